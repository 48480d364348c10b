"""Pair Evener with nginx and HAProxy on one machine, in one run, and say what each request costs.

Standard library only, so that `python3 -m bench` runs before anything is installed.
"""
