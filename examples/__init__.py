"""Small trained networks with their data."""
