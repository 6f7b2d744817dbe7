"""Target records and the kernel library: one operation, one file."""
