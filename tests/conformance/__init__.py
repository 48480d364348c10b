"""Bytes and picks that others recorded or wrote down, and what we make of them."""
