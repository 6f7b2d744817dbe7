"""Other runtimes, set up as well as they can be, to compare with on the same machine."""
