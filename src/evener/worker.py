"""The entry of the worker process: ignore the supervisor's signals, then one call into Rust.

Rules kept here:
- Nothing heavy is imported: a new worker serves within 200 ms of the last one's death.
- Nothing is decided here; all it is told comes over the control socket.
Not known here: plans, sockets, counters.
"""

import os
import signal
import sys

#: What an instance is told by signals (CONFIG.md): the supervisor obeys them, its worker does not.
SIGNALS = (
    signal.SIGTERM,
    signal.SIGQUIT,
    signal.SIGINT,
    signal.SIGHUP,
    signal.SIGUSR1,
    signal.SIGUSR2,
)


def main(arguments: list[str]) -> None:
    """Serves until the supervisor says otherwise.

    Args:
        arguments: The path to listen at for the supervisor, and `--tied-to=PID` when this
            process must end with that parent.
    """
    ignore_signals()
    path, *options = arguments
    for option in options:
        end_with(int(option.removeprefix("--tied-to=")))
    from evener import _engine

    try:
        _engine.serve(path)
    except (OSError, _engine.EngineFailedError) as error:
        sys.exit(f"evener worker: {error}")


def ignore_signals() -> None:
    """Ignores what is the supervisor's to obey, and unblocks it: it was held back until now."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)


def end_with(parent: int) -> None:
    """Has the kernel end this process when its parent ends.

    Source: prctl(2), PR_SET_PDEATHSIG; the parent may have ended before the call.
    """
    import ctypes

    pr_set_pdeathsig = 1
    if ctypes.CDLL(None, use_errno=True).prctl(pr_set_pdeathsig, signal.SIGKILL) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG)")
    if os.getppid() != parent:
        sys.exit(1)
