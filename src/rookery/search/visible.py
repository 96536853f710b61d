"""What may be shown at this moment: the gate again, with the policy and the live log as of now.

The index was built through the gate; since then a post may have been hidden or edited, or the
policy may have changed. A search begins by withholding these posts from retrieval (`CurrentGate`),
so that nothing shows that they are in the index, and everything that leaves this package passes
here once more. The rules themselves are in `posts/rights.py`.
"""

import threading
from collections import Counter
from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from rookery.core.home import Home
from rookery.posts.live import LiveLog, live_log
from rookery.posts.post import Use
from rookery.posts.restrictions import Restrictions
from rookery.posts.rights import GATE_COLUMNS, gate
from rookery.search.engine.retrieve import posts_of
from rookery.search.engine.segment import Segment
from rookery.search.engine.withheld import NOTHING, Withheld

EDITED = "edited"
"""The lake has a later text than the index; the next build shows that."""


class CurrentGate:
    """The gate of an open index, kept current with the live log; several threads may ask it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._watermark: int | None = None  # of the log, up to which `_withheld` is true
        self._withheld = NOTHING

    def withheld(
        self, home: Home, segment: Segment, policy: str, log_seq: int, lake_version: int
    ) -> Withheld:
        """Return the posts of a segment that may not be found at this moment.

        policy, log_seq, lake_version: those through which the segment was built. Only posts of
        which the log reports something since then are judged, or all if the policy has changed.
        """
        with self._lock, live_log(home) as log:
            if self._watermark is None:
                self._watermark = log_seq
                if policy != home.settings.rights.policy:
                    self._begin_anew(home, segment, log, lake_version)
            subjects, watermark = log.subjects_since(self._watermark)
            if subjects:
                self._follow(home, segment, log, subjects, lake_version)
            self._watermark = watermark
            return self._withheld

    def _begin_anew(self, home: Home, segment: Segment, log: LiveLog, lake_version: int) -> None:
        restrictions = log.restrictions()
        reasons = _reasons(home, pa.Table.from_batches(segment.rows), "search", restrictions,
                           lake_version)  # fmt: skip
        hidden = (n for n, reason in enumerate(reasons) if reason)
        self._withheld = _counted(segment, frozenset(hidden))
        self._watermark = restrictions.watermark

    def _follow(
        self, home: Home, segment: Segment, log: LiveLog, subjects: list[str], lake_version: int
    ) -> None:
        judged = posts_of(segment, subjects)
        rows = (
            pa.Table.from_batches(segment.rows)
            .select(GATE_COLUMNS)
            .take(pa.array(judged, pa.int64()))
        )
        restrictions = log.restrictions_among(_names(rows))
        reasons = _reasons(home, rows, "search", restrictions, lake_version)
        hidden = frozenset(n for n, reason in zip(judged, reasons, strict=True) if reason)
        ordinals = self._withheld.ordinals - frozenset(judged) | hidden
        if ordinals != self._withheld.ordinals:
            self._withheld = _counted(segment, ordinals)


def _counted(segment: Segment, ordinals: frozenset[int]) -> Withheld:
    documents = segment.terms_of(sorted(ordinals))
    posts_with = Counter(term for terms in documents for term in set(terms))
    return Withheld(ordinals, sum(map(len, documents)), posts_with)


def reasons_against(home: Home, rows: pa.Table, use: Use, lake_version: int) -> list[str | None]:
    """Return for each row why its post may not be shown now, or None if it may.

    The rows are as they were in a version of the lake.
    """
    with live_log(home) as log:
        restrictions = log.restrictions_among(_names(rows))
    return _reasons(home, rows, use, restrictions, lake_version)


def _reasons(
    home: Home, rows: pa.Table, use: Use, restrictions: Restrictions, lake_version: int
) -> list[str | None]:
    reasons = gate(rows, use, home.settings.rights.policy, restrictions).to_pylist()
    edited = (restrictions.edited.get(i, 0) > lake_version for i in rows["id"].to_pylist())
    return [
        reason or (EDITED if is_edited else None)
        for reason, is_edited in zip(reasons, edited, strict=True)
    ]


def _names(rows: pa.Table) -> list[tuple[str, str]]:
    """Return the id and the author of each row."""
    return list(zip(rows["id"].to_pylist(), rows["author"].to_pylist(), strict=True))


def still_visible(home: Home, posts: Sequence[Any], use: Use, lake_version: int) -> list[bool]:
    """Return for each post (with `id` and `author`) shown a moment ago whether it still may be."""
    with live_log(home) as log:
        restrictions = log.restrictions_among([(post.id, post.author) for post in posts])
    return [not restrictions.forbids(use, post.id, post.author, lake_version) for post in posts]
