"""Tests; packages, so that one folder may use the fakes of another."""
