"""Wheels: models for boards that run Python, with numpy and nothing else."""
