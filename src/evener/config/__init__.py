"""The configuration language: text or Python to one typed tree, with every error in its place.

Rules kept here:
- Pure: files are read when a Config is loaded, and nothing else of the world is touched.
- Keys, types, defaults and reasons are declared once, in `schema`.

Not known here: the plan, what a host name resolves to, how any key is obeyed.
"""

from evener.config.api import Config
from evener.config.errors import ConfigError, Place, Problem
from evener.errors import EvenerError

__all__ = ["Config", "ConfigError", "EvenerError", "Place", "Problem"]
