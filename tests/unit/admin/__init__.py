"""Tests of `evener.admin`."""
