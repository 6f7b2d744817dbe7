"""What was measured, in one database: by kernel, operation, code, device and toolchain."""
