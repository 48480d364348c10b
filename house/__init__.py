"""The house around the product: sets a machine up, and holds the repository to its own rules.

Standard library only: it runs before anything is installed.
"""
