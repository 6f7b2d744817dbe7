"""Packages of artifacts: what an app's build takes, with one runtime for several models."""
