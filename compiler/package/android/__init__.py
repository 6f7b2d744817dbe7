"""Packages for Android: an AAR of classes, libraries and weights, and an app that uses it."""
