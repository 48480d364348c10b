"""Tests of `evener.control`."""
