"""Tests of the way from a configuration to its plan."""
