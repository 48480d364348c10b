"""Trains the build: an engine that counts runs under load, and the profile of it is kept."""
