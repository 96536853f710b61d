"""`Restrictions`: which posts and authors the live log restricts at one moment.

It is a fold over the log's events (`restrictions_from`), held in memory and immutable. `rights.py`
combines it with a post's own fields to decide on one use; `forbids` is the short question for posts
that passed that gate once.

An account of ActivityPub that refuses search is one that is not indexable. `rookery.toml` says
whether that is a no to training as well (`[rights] not_indexable`); what its author says about
training goes before.

Not here: recording events and asking for the current state (`live.py`).
"""

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

from rookery.core.digest import digest_value
from rookery.core.home import NotIndexable
from rookery.posts.event import EventRow
from rookery.posts.log.countries import countries_of
from rookery.posts.post import USES, Use

FORGOTTEN = "forgotten"
SUPERSEDED = "superseded"
_OF_ACTIVITYPUB = re.compile(r"(?:^|/)https?://")  # an author, after the name of a source or not


@dataclass(frozen=True)
class Restrictions:
    """The state of the live log at one moment. It does not change; use it for many posts at once.

    posts, authors: those that are hidden, each with the reason: `forgotten`, `superseded` or a
    cause. consent: for a use, the authors that consented (True) or refused (False).
    edited: posts whose text changed, with the version of the lake that first holds the newest one.
    posts_in, authors_in: of those that are hidden because they are withheld in some countries, and
    for nothing else, the countries; only search by a reader who is elsewhere may show them.
    watermark: the sequence number of the last event that it covers.
    """

    posts: Mapping[str, str] = field(default_factory=dict)
    authors: Mapping[str, str] = field(default_factory=dict)
    consent: Mapping[Use, Mapping[str, bool]] = field(default_factory=dict)
    edited: Mapping[str, int] = field(default_factory=dict)
    watermark: int = 0
    posts_in: Mapping[str, frozenset[str]] = field(default_factory=dict)
    authors_in: Mapping[str, frozenset[str]] = field(default_factory=dict)

    def posts_among(self, ids: Iterable[str]) -> dict[str, str]:
        """Return those of some posts that are hidden, each with the reason."""
        return {post: self.posts[post] for post in ids if post in self.posts}

    def authors_by_consent(self, use: Use, consented: bool) -> frozenset[str]:
        """Return the authors that consented to a use, or refused it."""
        return self._by_consent[use, consented]

    @cached_property
    def _by_consent(self) -> dict[tuple[Use, bool], frozenset[str]]:
        return {
            (use, answer): frozenset(
                author for author, given in self.consent.get(use, {}).items() if given is answer
            )
            for use in USES
            for answer in (True, False)
        }

    @cached_property
    def forgotten_posts(self) -> frozenset[str]:
        """Return the ids of the posts that are forgotten."""
        return frozenset(post for post, reason in self.posts.items() if reason == FORGOTTEN)

    @cached_property
    def forgotten_authors(self) -> frozenset[str]:
        """Return the authors that are forgotten."""
        return frozenset(author for author, reason in self.authors.items() if reason == FORGOTTEN)

    @property
    def permanent(self) -> "Restrictions":
        """Return only what can never be taken back, and so is erased.

        That is what is forgotten or superseded, and every earlier text.
        """
        posts = {
            post: reason for post, reason in self.posts.items() if reason in (FORGOTTEN, SUPERSEDED)
        }
        return Restrictions(
            posts, dict.fromkeys(self.forgotten_authors, FORGOTTEN), {}, self.edited, self.watermark
        )

    @property
    def digest(self) -> str:
        """Return the digest of the content, by which a stage names it among its inputs.

        It leaves out the watermark: events that change nothing do not change the digest.
        """
        consent = {use: sorted(authors.items()) for use, authors in self.consent.items() if authors}
        lists = [
            sorted(self.posts.items()),
            sorted(self.authors.items()),
            sorted(self.edited.items()),
        ]
        return digest_value({"lists": lists, "consent": consent})

    def within(self, country: str) -> "Restrictions":
        """Return what holds for somebody in a country; "" for one in which nothing is withheld."""
        if not self.posts_in and not self.authors_in:
            return self
        return replace(
            self,
            posts=_hidden_in(country, self.posts, self.posts_in),
            authors=_hidden_in(country, self.authors, self.authors_in),
            posts_in={},
            authors_in={},
        )

    def countries_of(self, post_id: str, author: str) -> frozenset[str]:
        """Return the countries in which a post is withheld that others may be shown."""
        none: frozenset[str] = frozenset()
        return self.posts_in.get(post_id, none) | self.authors_in.get(author, none)

    def hides(self, post_id: str, author: str) -> bool:
        """Return whether a post may be shown to nobody and used for nothing."""
        return post_id in self.posts or author in self.authors

    def forbids(self, use: Use, post_id: str, author: str, lake_version: float = math.inf) -> bool:
        """Return whether a use of a post, as a version of the lake holds it, must end.

        It must if the post is hidden, its author refuses the use, or it was edited since; without
        a version, edits do not count.
        """
        refused = self.consent.get(use, {}).get(author) is False
        return self.hides(post_id, author) or refused or self.edited.get(post_id, 0) > lake_version


def _hidden_in(
    country: str, hidden: Mapping[str, str], countries: Mapping[str, frozenset[str]]
) -> Mapping[str, str]:
    return {
        name: reason
        for name, reason in hidden.items()
        if name not in countries or country in countries[name]
    }


def restrictions_from(
    rows: Iterable[EventRow],
    forgotten_posts: Iterable[str] = (),
    forgotten_authors: Iterable[str] = (),
    not_indexable: NotIndexable = "no",
) -> Restrictions:
    """Return the restrictions that follow from rows of the log and from names that are forgotten.

    The rows must be sorted by `happened` and then `seq`: the latest state by the source's clock
    holds, so that events may be recorded in any order. What is forgotten has no order, and a long
    log gives it by name alone, since that costs a tenth of its rows.
    not_indexable: what an account that is not says of training.
    """
    posts: dict[str, str] = dict.fromkeys(forgotten_posts, FORGOTTEN)
    authors: dict[str, str] = dict.fromkeys(forgotten_authors, FORGOTTEN)
    consent: dict[str, dict[str, str]] = {use: {} for use in USES}
    states: dict[tuple[str, str, str], tuple[str, str]] = {}  # value and note
    edited: dict[str, int] = {}
    watermark = 0
    for kind, subject, cause, value, _, _, note, seq in rows:
        watermark = max(watermark, seq)
        match kind:
            case "forget_post":
                posts[subject] = FORGOTTEN
            case "forget_author":
                authors[subject] = FORGOTTEN
            case "replace_post":
                posts.setdefault(subject, SUPERSEDED)  # forgotten is the stronger reason
            case "edit_post":
                edited[subject] = max(int(value), edited.get(subject, 0))
            case "consent_author":
                consent[cause][subject] = value
            case "state_post" | "state_author":
                states[kind, subject, cause] = value, note
    # a permanent reason stays; of several causes the first in the alphabet is named
    posts_in: dict[str, frozenset[str]] = {}
    authors_in: dict[str, frozenset[str]] = {}
    for (kind_of_state, subject, cause), (value, note) in sorted(states.items()):
        if value == "on":
            of_posts = kind_of_state == "state_post"
            hidden, local = (posts, posts_in) if of_posts else (authors, authors_in)
            is_first = hidden.setdefault(subject, cause) == cause
            countries = countries_of(cause, note) if is_first else frozenset()
            if countries:
                local[subject] = countries
    answers = {use: {a: v == "yes" for a, v in consent[use].items() if v} for use in USES}
    if not_indexable == "no":
        for author, may in answers["search"].items():
            if not may and _OF_ACTIVITYPUB.search(author):
                answers["training"].setdefault(author, False)
    return Restrictions(posts, authors, answers, edited, watermark, posts_in, authors_in)
