"""Which weights a server may be given while it serves: what its scheduler's program allows.

Rules kept here:
- HAProxy: its static maps take back a server (0) and its own weight and nothing else; weights end
  at 256 (`server_parse_weight_change_request`).
- nginx, IPVS and ours: every weight, by the rule of a reload: IPVS edits a server in place, HAProxy
  moves it in its tree, nginx begins the turn of that server anew.
Not known here: how a weight reaches the worker.
"""

from typing import Any

from evener.control.errors import ControlError

#: The most that a server may weigh; HAProxy's bound is its own.
MOST = 65_535
_HAPROXY = 256


def refuse(pool: dict[str, Any], weight: int, file: int) -> None:
    """Refuses a weight that the pool's scheduler has no rule for.

    Args:
        pool: The pool in the plan.
        weight: The weight wanted.
        file: The weight that the file gives the server.

    Raises:
        ControlError: with what can be done instead.
    """
    scheduler = pool["scheduler"]
    name = scheduler["name"]
    most = _HAPROXY if name.startswith("haproxy/") else MOST
    if not 0 <= weight <= most:
        raise ControlError(f"weight {weight}: with {name} a weight is from 0 to {most}")
    if _is_static(scheduler) and weight not in (0, file):
        raise ControlError(
            f"{name} is static: at run time it takes the weights 0 and {file}, the file's, only",
            f"change the weight in the file and reload, or choose {_instead(name)}",
        )


def _is_static(scheduler: dict[str, Any]) -> bool:
    """Whether HAProxy's algorithm has no BE_LB_PROP_DYN: the fixed map, and hashes over it."""
    hashed = scheduler.get("hash")
    maps = isinstance(hashed, dict) and not hashed["consistent"]
    return scheduler["name"] == "haproxy/static-rr" or maps


def _instead(name: str) -> str:
    return "`roundrobin`" if name == "haproxy/static-rr" else "`consistent: on`"
