"""The same network in Octavo and in the runtimes that people use today, on this machine."""
