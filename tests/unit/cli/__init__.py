"""Tests of `evener.cli`."""
