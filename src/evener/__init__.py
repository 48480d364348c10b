"""Evener, a load balancer: Python where people touch it, Rust where bytes flow.

Rules kept here:
- Nothing is imported before it is asked for (PEP 562): the worker imports this package too, and
  its start must stay short.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from evener.cli import run
    from evener.config import Config, ConfigError
    from evener.errors import EvenerError

__version__ = "0.1.0"
__all__ = ["Config", "ConfigError", "EvenerError", "__version__", "run"]


def __getattr__(name: str) -> Any:
    if name in ("Config", "ConfigError"):
        from evener import config

        return getattr(config, name)
    if name == "EvenerError":
        from evener.errors import EvenerError

        return EvenerError
    if name == "run":
        from evener.cli import run

        return run
    raise AttributeError(f"module 'evener' has no attribute {name!r}")
