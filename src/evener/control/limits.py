"""The descriptor limit: the soft one is raised to the hard one, and what it was is said."""

import resource
from dataclasses import dataclass


@dataclass(frozen=True)
class Descriptors:
    """The soft limit as it was and as it is now."""

    before: int
    now: int

    def words(self) -> str:
        """One line for the log."""
        if self.before == self.now:
            return f"up to {self.now} descriptors"
        return f"up to {self.now} descriptors (the soft limit was {self.before})"


def raise_descriptors() -> Descriptors:
    """Raises RLIMIT_NOFILE's soft limit to the hard one; children inherit it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return Descriptors(soft, hard)
