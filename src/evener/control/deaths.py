"""Decide what follows a worker's death: which plan is served next, and after how long.

Rules kept here (PROCESS.md, "worker dies"):
- Normally the same plan, at once.
- Two deaths, each within 5 s of starting the same plan: the previous plan, where there is one.
- Five deaths within 10 s: a pause of 1 s, 2 s, 4 s … 30 s before each next start, until a worker
  has lived for 10 s.
Pure: `now` is an argument, in seconds of any steady clock. Not known here: what a worker is.
"""

from collections import deque
from dataclasses import dataclass

#: A death sooner than this after its plan was started is held against the plan.
SOON = 5.0
#: So many deaths in so many seconds start the pauses.
MANY, WINDOW = 5, 10.0
#: The first pause and the longest.
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 30.0


@dataclass(frozen=True)
class Verdict:
    """What follows a death: the previous plan or the same, and seconds to wait before."""

    previous: bool
    wait: float


class Deaths:
    """The deaths so far, and the rules over them."""

    def __init__(self) -> None:
        self._recent: deque[float] = deque(maxlen=MANY)
        self._pause = 0.0
        self._suspect: int | None = None
        self.count = 0

    def died(self, now: float, generation: int, started: float, born: float) -> Verdict:
        """A worker that lived since `born` has died at `now`.

        Args:
            generation: The plan it served last.
            started: When it was given that plan: a reload is no birth.
        """
        self.count += 1
        soon = now - started < SOON
        previous = soon and self._suspect == generation
        self._suspect = generation if soon and not previous else None
        return Verdict(previous, self._wait(now, now - born))

    def _wait(self, now: float, lived: float) -> float:
        if lived >= WINDOW:
            self._recent.clear()
            self._pause = 0.0
        self._recent.append(now)
        if self._pause:
            self._pause = min(self._pause * 2, LONGEST_PAUSE)
        elif len(self._recent) == MANY and now - self._recent[0] <= WINDOW:
            self._pause = FIRST_PAUSE
        return self._pause
