"""Filling: brings a generation up to date with the posts' feed and the live log.

Every post that the feed brings to the home's shard is asked at the gate, with the log as it is
then. Events after that are followed: what they hide is taken out, what they let be seen again is
brought back from the lake. So the index holds exactly what may be searched at its cursor, whatever
came first.

Not here: who fills which generation, and when (`index.py`); the files (`writer.py`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from rookery.core.arrays import is_among
from rookery.core.context import Clock
from rookery.core.home import Home
from rookery.core.locks import is_held
from rookery.posts import feed
from rookery.posts.event import EventRow
from rookery.posts.lake import find_lake
from rookery.posts.live import LiveLog, live_log
from rookery.posts.log.countries import countries_of
from rookery.posts.post import POST_SCHEMA, Post, to_table
from rookery.posts.restrictions import Restrictions
from rookery.posts.rights import GATE_COLUMNS, gate
from rookery.posts.streams.inbox import Inbox
from rookery.posts.versions import supersedes
from rookery.search.engine.shard import of_shard
from rookery.search.engine.writer import GenerationWriter

_LIFTING = ("state_post", "state_author", "consent_author")
_WAITING_POSTS = 100_000  # of the inbox, among which a post is looked for that may be seen again


class Filling:
    """One generation that is being filled."""

    def __init__(self, home: Home, writer: GenerationWriter, clock: Clock):
        self._home, self.writer, self._clock = home, writer, clock
        self._feed, self._log = writer.cursor.feed, writer.cursor.log
        self._lake = writer.cursor.lake
        if not self._feed:  # every post is still to be asked with the log as it is then
            with live_log(home) as log:
                self._log = log.watermark()

    @property
    def read_to(self) -> int:
        """Return the number up to which posts were taken in."""
        return self._feed

    def step(self, most: int) -> int:
        """Take in at most so many posts of the feed, or follow the log if there are none.

        Returns how many posts it was. What it took in is committed by `commit`.
        """
        version = self._lake_version()
        page = feed.read(self._home, self._feed, most)
        if page.last == self._feed:  # all that came before this version of the lake is taken in
            self._follow_log(version)
        self.take(page)
        return page.rows.num_rows

    def take(self, page: feed.FeedPage) -> None:
        """Take in a page of the feed."""
        if page.rows.num_rows:
            with live_log(self._home) as log:
                self._take(page.rows, log)
        self._feed = page.last

    def _lake_version(self) -> int:
        lake = find_lake(self._home)
        return lake.version if lake else -1

    @property
    def is_ahead(self) -> bool:
        """Return whether there is anything to commit."""
        cursor = self.writer.cursor
        moved = (self._feed, self._log) != (cursor.feed, cursor.log)
        return moved or self.writer.has_changed

    def commit(self) -> None:
        """Make what was taken in durable, and visible to readers."""
        self.writer.commit(
            replace(
                self.writer.cursor,
                feed=self._feed,
                log=self._log,
                lake=self._lake,
                committed=self._clock.now().isoformat(),
            )
        )

    def _take(self, rows: pa.Table, log: LiveLog) -> None:
        posts = self._superseding(rows.select(POST_SCHEMA.names))
        mine = of_shard(posts, self._home.shard)
        if mine.num_rows < posts.num_rows:  # one may have been of this shard by an earlier name
            self.writer.remove(set(posts["id"].to_pylist()) - set(mine["id"].to_pylist()))
        self.writer.take(mine, self._reasons(mine, log))

    def _superseding(self, posts: pa.Table) -> pa.Table:
        """Return the posts without those that the index holds in a version that stays.

        A stream may repeat a post, and tell an earlier version after a later one.
        """
        ids = posts["id"].to_pylist()
        if self.writer.has_added(ids):  # so that they are found among those committed
            self.commit()
        held = {row["id"]: _version(row) for row in self.writer.held(ids)}
        if not held:
            return posts
        stays = [
            n
            for n, post_id in enumerate(ids)
            if post_id in held
            and not supersedes(_version(posts.slice(n, 1).to_pylist()[0]), held[post_id])
        ]
        return posts.take(np.delete(np.arange(len(ids)), stays)) if stays else posts

    def _reasons(self, posts: pa.Table, log: LiveLog) -> list[str | None]:
        """Return why nobody may search for each post now; None where somebody may."""
        policy = self._home.settings.rights.policy
        elsewhere = _restrictions(posts, log).within("")  # readers withhold it (`visible.py`)
        return gate(posts, "search", policy, elsewhere).to_pylist()

    def _follow_log(self, lake_version: int) -> None:
        self._lake = lake_version
        with live_log(self._home) as log:
            events = self._due(list(log.rows_after(self._log)), lake_version)
            if not events:
                return
            if self.writer.has_changed:  # so that posts just added are found among those committed
                self.commit()
            subjects = list({row[1]: None for row in events})
            self._take_out_hidden(subjects, log)
            lifted = _lifted(events, log)
            if lifted:
                self._bring_back(lifted, log)
            self._log = events[-1][-1]

    def _due(self, events: list[EventRow], lake_version: int) -> list[EventRow]:
        """Return the events up to the first edit whose new text is still being written.

        Until it is there, readers hide the text before it, which they would not once the cursor is
        past the event. An edit of an ingest that died is passed over.
        """
        for place, (kind, _, _, value, *_) in enumerate(events):
            if kind == "edit_post" and int(value) > lake_version:
                return events[:place] if is_held(self._home.path / "lake.lock") else events
        return events

    def _take_out_hidden(self, subjects: Sequence[str], log: LiveLog) -> None:
        held = self.writer.held_of(subjects)
        if not held:
            return
        posts = pa.Table.from_pylist(
            [{name: post[name] for name in GATE_COLUMNS} for post in held],
            pa.schema([POST_SCHEMA.field(name) for name in GATE_COLUMNS]),
        )
        reasons = self._reasons(posts, log)
        hidden = [(post["id"], why) for post, why in zip(held, reasons, strict=True) if why]
        if hidden:
            self.writer.take_out(*map(list, zip(*hidden, strict=True)))

    def _bring_back(self, subjects: Sequence[str], log: LiveLog) -> None:
        """Ask again about the posts of some ids and authors: the lake's, and those that wait."""
        waiting = [post for _, post in Inbox(log).first(_WAITING_POSTS)]
        names = frozenset(subjects)
        newer = {p.id: p for p in waiting if p.id in names or p.author in names}
        lake = find_lake(self._home)
        for batch in lake.batches() if lake else ():
            asked = pc.or_(is_among(batch["id"], names), is_among(batch["author"], names))
            rows = batch.filter(pc.and_not(asked, is_among(batch["id"], newer.keys())))
            if rows.num_rows:
                self._take(pa.Table.from_batches([rows]), log)
        if newer:
            self._take(to_table(list(newer.values())), log)


def _version(row: Mapping[str, Any]) -> Post:
    """Return what `supersedes` compares of a post."""
    names = ("id", "author", "text", "created", "visibility", "edited")
    return Post(**{name: row[name] for name in names})


def _restrictions(posts: pa.Table, log: LiveLog) -> Restrictions:
    if not log.watermark():
        return Restrictions()
    names = zip(posts["id"].to_pylist(), posts["author"].to_pylist(), strict=True)
    return log.restrictions_among(list(names))


def _lifted(events: Sequence[EventRow], log: LiveLog) -> list[str]:
    """Return the posts and authors that somebody may find now, and whom nobody might before.

    What is withheld in some countries was found everywhere before, unless the log says that it was
    withheld everywhere; to look for it in the lake would take long.
    """
    lifting = {row[1]: row for row in events if may_lift(row)}
    local = {name for name, row in lifting.items() if _is_local(row)}
    hidden = {
        row[1] for row in log.rows_of_subjects(local) if row[3] == "on" and not _is_local(row)
    }
    return [name for name in lifting if name not in local or name in hidden]


def _is_local(event: EventRow) -> bool:
    _, _, cause, value, _, _, note, _ = event
    return value == "on" and bool(countries_of(cause, note))


def may_lift(event: EventRow) -> bool:
    """Return whether posts may be searched after an event that could not be before."""
    kind, _, _, value, *_ = event
    return kind in _LIFTING and (value in ("off", "yes", "") or _is_local(event))
