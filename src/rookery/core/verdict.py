"""Verdicts: every rule answers `Keep` or `Drop(reason)`, and every drop is counted.

Rights, filters, eligibility and billing all use these types. A reason is a short lower-case name
(`too_short`, `author_opted_out`) that is the same in code, manifest and page.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Keep:
    """The verdict of a rule that has no objection."""


@dataclass(frozen=True, slots=True)
class Drop:
    """The verdict of a rule that objects, with its reason."""

    reason: str


Verdict = Keep | Drop
KEEP = Keep()


@dataclass
class Tally:
    """Counts of what was kept, and of what was dropped for each reason."""

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
        """Add `n` drops for one reason; an `n` of zero adds nothing."""
        if n:
            self.dropped[reason] += n

    def merge(self, other: "Tally") -> None:
        """Add another tally to this one."""
        self.kept += other.kept
        self.dropped.update(other.dropped)

    def to_dict(self) -> Mapping[str, object]:
        """Return `{"kept": n, "dropped": {reason: n}}`, the most frequent reason first."""
        return {
            "kept": self.kept,
            "dropped": dict(sorted(self.dropped.items(), key=lambda r: (-r[1], r[0]))),
        }
