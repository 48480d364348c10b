"""Tests of `evener.telemetry`."""
