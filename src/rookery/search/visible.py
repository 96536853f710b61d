"""What may be shown at this moment: the gate again, with the policy and the live log as of now.

The index was filled through the gate; since its last commit a post may have been hidden or edited,
or the policy may have changed. A search begins by withholding these posts from retrieval
(`CurrentGate`), so that nothing shows that they are in the index, and everything that leaves this
package passes here once more. The rules themselves are in `posts/rights.py`.
"""

import threading
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa

from rookery.core.arrays import among
from rookery.core.digest import hash_ids
from rookery.core.home import Home
from rookery.posts.live import LiveLog, live_log
from rookery.posts.log.countries import countries_of
from rookery.posts.post import POST_SCHEMA, Use
from rookery.posts.restrictions import Restrictions
from rookery.posts.rights import GATE_COLUMNS, gate
from rookery.search.engine.columns import CONSENTED
from rookery.search.engine.fields import author_key
from rookery.search.engine.reader import View
from rookery.search.engine.retrieve import posts_of
from rookery.search.engine.withheld import Withheld

EDITED = "edited"
"""A later text of the post is on its way into the index."""

_SCHEMA = pa.schema([POST_SCHEMA.field(name) for name in GATE_COLUMNS])


class CurrentGate:
    """The gate of an open generation, kept current with the live log; several threads may ask it.

    What nobody may find is withheld from everybody. What is withheld in some countries is withheld
    from readers there, and from whoever is nowhere that is known.
    """

    def __init__(self, policy: str):
        """Begin with the policy through which the index was filled."""
        self._policy = policy
        self._lock = threading.Lock()
        self._log: LiveLog | None = None
        self._seen: tuple[int, int] | None = None  # the commit, and the state of the log
        self._watermark = 0  # of the log, up to which the rest is true
        self._view: View | None = None  # less what nobody may find
        self._names: set[str] = set()  # posts and authors that were ever withheld in a country
        self._countries: dict[int, frozenset[str]] = {}  # by ordinal, in which it is withheld
        self._looked_at = 0  # ordinals of which this is known
        self._views: dict[str | None, View] = {}  # by the reader's country

    def current(self, home: Home, view: View, country: str | None = None) -> View:
        """Return a view less the posts that may not be found at this moment.

        country: of whoever asks; None where it is not known.
        """
        with self._lock:
            if self._log is None:
                self._log = LiveLog(home, any_thread=True)
                self._names.update(_ever_withheld(self._log))
            seen = (id(view), self._log.data_version())
            if self._view is None or seen[0] != (self._seen or (0,))[0]:
                self._view, self._watermark = view, view.cursor.log
                self._newest = view  # keeps it alive, so that its id is its own
                self._views.clear()
                if self._policy != home.settings.rights.policy:
                    self._withhold(_without_consent(view, self._log))
                self._look_at_new(view, self._log)
            if seen != self._seen:
                self._follow(home, self._log)
                self._seen = seen
            return self._view_in(country)

    def stands(self, view: View) -> bool:
        """Return whether nothing was written to the log since `current` returned a view.

        Then none of its posts has been hidden meanwhile, and nobody needs to ask for each.
        """
        with self._lock:
            if self._log is None or self._view is None or self._seen is None:
                return False
            is_newest = view.cursor is self._view.cursor
            return (
                is_newest
                and any(view.withheld is one.withheld for one in self._views.values())
                and self._seen[1] == self._log.data_version()
            )

    def _view_in(self, country: str | None) -> View:
        """Return what somebody in a country may find."""
        assert self._view is not None
        if not self._countries:
            country = None
        if country not in self._views:
            local = frozenset(
                n for n, names in self._countries.items() if country is None or country in names
            )
            hidden = self._view.withheld.ordinals
            is_less = not local <= hidden
            withheld = Withheld(hidden | local) if is_less else self._view.withheld
            self._views[country] = replace(self._view, withheld=withheld)
        return self._views[country]

    def _look_at_new(self, view: View, log: LiveLog) -> None:
        """Learn of the posts that came with a commit in which countries they are withheld."""
        start, self._looked_at = self._looked_at, view.columns.posts
        dead = frozenset(view.dead.tolist()) if self._names else frozenset[int]()
        self._countries = {n: c for n, c in self._countries.items() if n not in dead}
        if not self._names:
            return
        named = among(view.columns.ids[start:], np.sort(hash_ids(self._names)))
        named |= among(
            view.columns.authors[start:], np.sort(hash_ids(map(author_key, self._names)))
        )
        new = [n for n in (start + np.flatnonzero(named)).tolist() if n not in dead]
        rows = view.posts_at([view.address_of(n) for n in new])
        self._note_countries(new, rows, _restrictions(log, rows))

    def _note_countries(
        self, ordinals: Sequence[int], rows: Sequence[Mapping[str, Any]], found: Restrictions
    ) -> None:
        for ordinal, row in zip(ordinals, rows, strict=True):
            countries = found.countries_of(row["id"], row["author"])
            if self._countries.get(ordinal, frozenset()) != countries:
                self._views.clear()
                self._countries[ordinal] = countries
            if not countries:
                self._countries.pop(ordinal, None)

    def _follow(self, home: Home, log: LiveLog) -> None:
        assert self._view is not None
        subjects, watermark = log.subjects_since(self._watermark)
        if subjects:
            known = log.restrictions_among([(name, name) for name in subjects])
            self._names.update(known.posts_in, known.authors_in)
            found = posts_of(self._view, subjects)
            rows = self._view.posts_at(found.addresses)
            restrictions = _restrictions(log, rows)
            self._note_countries(found.ordinals.tolist(), rows, restrictions)
            elsewhere, log_seq = restrictions.within(""), self._view.cursor.log
            reasons = _reasons(home, rows, "search", log, log_seq, elsewhere)
            hidden = [n for n, why in zip(found.ordinals.tolist(), reasons, strict=True) if why]
            kept = self._view.withheld.ordinals - frozenset(found.ordinals.tolist())
            self._withhold(kept | frozenset(hidden))
        self._watermark = watermark

    def _withhold(self, ordinals: frozenset[int]) -> None:
        assert self._view is not None
        if ordinals != self._view.withheld.ordinals:
            self._view = replace(self._view, withheld=Withheld(ordinals))
            self._views.clear()


def _ever_withheld(log: LiveLog) -> set[str]:
    """Return the posts and authors that were ever withheld in countries that are known."""
    rows = log.rows_of_cause("withheld")
    return {subject for _, subject, cause, _, _, _, note, _ in rows if countries_of(cause, note)}


def _without_consent(view: View, log: LiveLog) -> frozenset[int]:
    """Return the posts for whose search neither they nor their authors gave consent.

    They are hidden where the policy became `opt-in` after the index was filled.
    """
    consenting = log.restrictions().authors_by_consent("search", True)
    columns = view.columns
    consented = (columns.flags & CONSENTED).astype(bool)
    consented |= np.isin(columns.authors, hash_ids(map(author_key, consenting)))
    return frozenset(np.flatnonzero(~consented).tolist())


def reasons_against(
    home: Home,
    rows: Sequence[Mapping[str, Any]],
    use: Use,
    log_seq: int,
    country: str | None = None,
) -> list[str | None]:
    """Return for each row why its post may not be shown now, or None if it may.

    rows: with at least `GATE_COLUMNS`, as of an event of the log. country: of the reader to whom a
    search shows it; a post that is withheld anywhere is used for nothing else.
    """
    with live_log(home) as log:
        restrictions = _restrictions(log, rows)
        if use == "search" and country is not None:
            restrictions = restrictions.within(country)
        return _reasons(home, rows, use, log, log_seq, restrictions)


def _reasons(
    home: Home,
    rows: Sequence[Mapping[str, Any]],
    use: Use,
    log: LiveLog,
    log_seq: int,
    restrictions: Restrictions,
) -> list[str | None]:
    if not rows:
        return []
    posts = pa.Table.from_pylist([{name: row[name] for name in _SCHEMA.names} for row in rows],
                                 _SCHEMA)  # fmt: skip
    edited = log.edited_since(log_seq, restrictions.edited)
    reasons = gate(posts, use, home.settings.rights.policy, restrictions).to_pylist()
    return [
        reason or (EDITED if row["id"] in edited else None)
        for reason, row in zip(reasons, rows, strict=True)
    ]


def _restrictions(log: LiveLog, rows: Sequence[Mapping[str, Any]]) -> Restrictions:
    return log.restrictions_among([(row["id"], row["author"]) for row in rows])


def still_visible(home: Home, posts: Sequence[Any], use: Use, log_seq: int) -> list[bool]:
    """Return for each post (with `id` and `author`) shown a moment ago whether it still may be."""
    with live_log(home) as log:
        restrictions = log.restrictions_among([(post.id, post.author) for post in posts])
        edited = log.edited_since(log_seq, restrictions.edited)
    return [
        not restrictions.forbids(use, post.id, post.author) and post.id not in edited
        for post in posts
    ]
