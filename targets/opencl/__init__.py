"""OpenCL GPUs: records, and a kernel library of their own."""
