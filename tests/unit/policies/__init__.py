"""Tests of `evener.policies`."""
