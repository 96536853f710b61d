"""Verdicts: every rule answers `Keep` or `Drop(reason)`, and every drop is counted.

Rights, filters, eligibility, billing and access all speak in these words. A reason is a short
lower-case name (`too_short`, `author_opted_out`) that reads the same in code, manifest and page.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Keep:
    """Nothing speaks against it."""


@dataclass(frozen=True, slots=True)
class Drop:
    """Something speaks against it; `reason` says what."""

    reason: str


Verdict = Keep | Drop
KEEP = Keep()


@dataclass
class Tally:
    """How many were kept, and how many dropped for each reason."""

    kept: int = 0
    dropped: Counter[str] = field(default_factory=Counter)

    def count(self, verdict: Verdict) -> None:
        """Add one verdict."""
        match verdict:
            case Keep():
                self.kept += 1
            case Drop(reason):
                self.dropped[reason] += 1

    def drop(self, reason: str, n: int = 1) -> None:
        """Add `n` drops for one reason; nothing is noted for `n` of zero."""
        if n:
            self.dropped[reason] += n

    def merge(self, other: "Tally") -> None:
        """Add another tally to this one."""
        self.kept += other.kept
        self.dropped.update(other.dropped)

    def to_dict(self) -> Mapping[str, object]:
        """`{"kept": n, "dropped": {reason: n}}`, largest reason first."""
        return {
            "kept": self.kept,
            "dropped": dict(sorted(self.dropped.items(), key=lambda r: (-r[1], r[0]))),
        }
