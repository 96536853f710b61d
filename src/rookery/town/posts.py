"""The built-in town: a seeded generator of a small, plausible platform with a known ground truth.

Its people have interests, write in four languages, answer one another, and like what they care for.
Some send spam, copy posts, write down a telephone number, restrict posts to their followers, or
refuse a use. The same config gives the same posts, byte for byte, on every machine. Names, numbers
and addresses are synthetic: mail goes to example domains, telephone numbers contain 555.

The topics and facts are in `topics.py`, the sentences in `speech.py`, the town's advertising in
`advertising.py`.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Literal, TypedDict

import numpy as np

from rookery.core.config import to_plain
from rookery.core.context import Context
from rookery.core.digest import digest_value
from rookery.core.home import Home
from rookery.posts.ingest import IngestReport, Read, ingest_batches
from rookery.posts.post import Post, Visibility, to_batch
from rookery.town.speech import LANGUAGES, Section, pick, read_speech, say, say_some
from rookery.town.topics import TOPIC_NAMES, TOPICS, Advert, Fact, Topic

__all__ = [
    "TOPICS",
    "Advert",
    "Fact",
    "Topic",
    "TownConfig",
    "ingest_town",
    "interests",
    "town_posts",
]

TOWN_VERSION = 1
"""The version of the generator; it has to rise when the same config gives other posts."""

FIRST_DAY = datetime(2025, 1, 1, tzinfo=UTC)
DAYS = 240
BATCH_POSTS = 10_000

# one stream of random numbers for each kind of draw, so that more of one kind changes no other
_INTERESTS, _PEOPLE, _THREADS, _SPAM, _COPIES = range(1, 6)

# shares of all posts; the rest are ordinary posts
_SPAM_SHARE, _COPY_SHARE = 0.07, 0.06
_LANGUAGE_SHARES = (0.61, 0.14, 0.13, 0.12)
_FACT_SHARE, _CONTACT_SHARE = 0.08, 0.015


@dataclass(frozen=True, kw_only=True)
class TownConfig:
    """The size and the seed of a town; `posts` is the approximate number of posts of all kinds."""

    seed: int = 1
    authors: int = 900
    posts: int = 36_000


_Consent = Literal["consent_search", "consent_answers", "consent_ads", "consent_training"]
_CONSENTS: tuple[_Consent, ...] = (
    "consent_search",
    "consent_answers",
    "consent_ads",
    "consent_training",
)


class _Rights(TypedDict, total=False):
    """Fields of a post that state rights; a missing one states nothing."""

    visibility: Visibility
    consent_search: bool
    consent_answers: bool
    consent_ads: bool
    consent_training: bool


_LESS_VISIBLE: tuple[tuple[Visibility, float], ...] = (
    ("unlisted", 0.02),
    ("followers", 0.01),
    ("direct", 0.02),
    ("unknown", 0.01),
)
"""The shares of posts that are less visible than their author's other posts."""


@dataclass(frozen=True)
class _Person:
    """A person of the town, with their interests, their style of writing and their consent."""

    name: str
    language: str
    weights: np.ndarray
    popularity: float
    lower_case: bool
    decoration: str
    rights: _Rights


@dataclass
class _Draft:
    """A post without an id; `parent` and `root` are places in the list of drafts."""

    person: _Person
    text: str
    created: datetime
    likes: int = 0
    parent: int | None = None
    root: int | None = None
    replies: int = 0
    rights: _Rights = field(default_factory=_Rights)


def ingest_town(home: Home, config: TownConfig, context: Context) -> IngestReport:
    """Write the town's posts into the lake; a town that is there already is left as it is."""
    key = digest_value({"town": TOWN_VERSION, "config": to_plain(config)})[:16]

    def read() -> Read:
        posts = list(town_posts(config))
        for start in range(0, len(posts), BATCH_POSTS):
            yield to_batch(posts[start : start + BATCH_POSTS]), []

    return ingest_batches(home, "town", key, read, context)


def interests(config: TownConfig) -> Mapping[str, Mapping[str, float]]:
    """Return how much each author cares for each topic.

    An author's weights sum to 1, and one to three topics have most of it.
    """
    return {
        name: dict(zip(TOPIC_NAMES, map(float, row), strict=True))
        for name, row in zip(_names(config), _weights(config), strict=True)
    }


def town_posts(config: TownConfig) -> Iterator[Post]:
    """Yield all posts of the town in the order of time, which their ids follow."""
    people = _people(config)
    speech = {language: read_speech(language) for language in LANGUAGES}
    drafts: list[_Draft] = []
    ordinary = int(config.posts * (1 - _SPAM_SHARE - _COPY_SHARE))
    _add_threads(drafts, people, speech, ordinary, np.random.default_rng([config.seed, _THREADS]))
    _add_copies(
        drafts,
        people,
        int(config.posts * _COPY_SHARE),
        np.random.default_rng([config.seed, _COPIES]),
    )
    _add_spam(drafts, int(config.posts * _SPAM_SHARE), np.random.default_rng([config.seed, _SPAM]))
    order = sorted(range(len(drafts)), key=lambda n: (drafts[n].created, n))
    ids = {place: f"town-{number:06d}" for number, place in enumerate(order, 1)}
    for place in order:
        yield _finished(drafts[place], place, ids)


def _finished(draft: _Draft, place: int, ids: Mapping[int, str]) -> Post:
    rights: _Rights = {"visibility": "public", **draft.person.rights, **draft.rights}
    return Post(
        id=ids[place],
        author=draft.person.name,
        text=draft.text,
        created=draft.created,
        language=draft.person.language or None,
        reply_to=None if draft.parent is None else ids[draft.parent],
        conversation=ids[place if draft.root is None else draft.root],
        likes=draft.likes,
        replies=draft.replies,
        source="town",
        **rights,
    )


# People


def _names(config: TownConfig) -> list[str]:
    return [
        f"{_FIRST_NAMES[n % len(_FIRST_NAMES)]}_{n // len(_FIRST_NAMES) + 1}"
        for n in range(config.authors)
    ]


def _weights(config: TownConfig) -> np.ndarray:
    """Return the interests, float64 of shape (authors, topics)."""
    random = np.random.default_rng([config.seed, _INTERESTS])
    return random.dirichlet(np.full(len(TOPIC_NAMES), 0.15), config.authors)


def _people(config: TownConfig) -> list[_Person]:
    random = np.random.default_rng([config.seed, _PEOPLE])
    languages = random.choice(LANGUAGES, config.authors, p=_LANGUAGE_SHARES)
    popularity = random.lognormal(0.0, 0.8, config.authors)
    return [
        _Person(
            name=name,
            language=str(language),
            weights=weights,
            popularity=float(likes),
            lower_case=random.random() < 0.08,
            decoration=pick(random, _DECORATIONS) if random.random() < 0.3 else "",
            rights=_person_rights(random),
        )
        for name, language, weights, likes in zip(
            _names(config), languages, _weights(config), popularity, strict=True
        )
    ]


def _person_rights(random: np.random.Generator) -> _Rights:
    """Return a person's rights: most state none, some refuse a use, some allow all, few hide."""
    rights: _Rights = {}
    if random.random() < 0.06:
        rights["visibility"] = "followers"
    if random.random() < 0.15:
        for consent in _CONSENTS:
            rights[consent] = True
    for consent, share in zip(_CONSENTS, (0.02, 0.03, 0.04, 0.06), strict=True):
        if random.random() < share:
            rights[consent] = False
    return rights


# Talk


def _add_threads(
    drafts: list[_Draft],
    people: list[_Person],
    speech: Mapping[str, Mapping[str, Section]],
    wanted: int,
    random: np.random.Generator,
) -> None:
    """Add threads until there are enough posts.

    Somebody writes on a topic, and people who care for it answer.
    """
    activity = np.cumsum(random.pareto(1.6, len(people)) + 0.2)
    crowds = _crowds(people)
    heat = random.uniform(0.6, 1.8, len(TOPICS))
    while len(drafts) < wanted:
        person = people[int(np.searchsorted(activity, random.random() * activity[-1]))]
        topic = int(np.searchsorted(np.cumsum(person.weights), random.random()))
        topic = min(topic, len(TOPICS) - 1)
        root = len(drafts)
        text = _opening_text(TOPICS[topic], speech[person.language], person, random)
        drafts.append(_draft(person, text, _moment(random), heat[topic], topic, random))
        crowd, cumulative = crowds[person.language, topic]
        for _ in range(min(int(random.geometric(0.45)) - 1, 8)):
            answering = crowd[int(np.searchsorted(cumulative, random.random() * cumulative[-1]))]
            parent = root if random.random() < 0.6 else len(drafts) - 1
            text = _reply_text(TOPICS[topic], speech[person.language], answering, random)
            later = drafts[-1].created + timedelta(seconds=20 + int(random.exponential(4000)))
            reply = _draft(answering, text, later, heat[topic] * 0.4, topic, random)
            reply.parent, reply.root = parent, root
            drafts[parent].replies += 1
            drafts.append(reply)


def _crowds(people: list[_Person]) -> dict[tuple[str, int], tuple[list[_Person], np.ndarray]]:
    """Return who might answer in each language and topic, with the running sum of interests."""
    crowds = {}
    for language in LANGUAGES:
        speakers = [person for person in people if person.language == language] or people
        weights = np.array([person.weights for person in speakers])
        for topic in range(len(TOPICS)):
            crowds[language, topic] = speakers, np.cumsum(weights[:, topic] + 1e-4)
    return crowds


def _draft(
    person: _Person,
    text: str,
    created: datetime,
    heat: float,
    topic: int,
    random: np.random.Generator,
) -> _Draft:
    """Return a post with its likes.

    They depend on the author's popularity and on how much the author cares for the topic.
    """
    likes = int(random.poisson(3 * heat * person.popularity * (0.3 + person.weights[topic])))
    return _Draft(person, text, created, likes, rights=_post_rights(random))


def _post_rights(random: np.random.Generator) -> _Rights:
    """Return the rights of the few posts that are less visible than their author's others."""
    chance = random.random()
    for visibility, share in _LESS_VISIBLE:
        if chance < share:
            return {"visibility": visibility}
        chance -= share
    return {}


def _opening_text(
    topic: Topic, speech: Mapping[str, Section], person: _Person, random: np.random.Generator
) -> str:
    parts = [say(speech["openers"], random)] if random.random() < 0.5 else []
    parts += say_some(speech[topic.name], 2 if random.random() < 0.55 else 1, random)
    if person.language == "en" and random.random() < _FACT_SHARE:
        parts.insert(int(random.random() * 2), pick(random, pick(random, topic.facts).tellings))
    if random.random() < 0.5:
        parts.append(say(speech["closers"], random))
    return _in_own_style(parts, topic, person, random)


def _reply_text(
    topic: Topic, speech: Mapping[str, Section], person: _Person, random: np.random.Generator
) -> str:
    parts = [say(speech["replies"], random)]
    if random.random() < 0.7:
        parts.append(say(speech[topic.name], random))
    return _in_own_style(parts, topic, person, random)


def _in_own_style(
    parts: list[str], topic: Topic, person: _Person, random: np.random.Generator
) -> str:
    if random.random() < _CONTACT_SHARE:
        parts.append(_contact(person, random))
    if person.decoration and random.random() < 0.4:
        parts.append(person.decoration)
    if random.random() < 0.08:
        parts.append(f"#{topic.name}")
    text = " ".join(parts)
    return text.lower() if person.lower_case else text


def _contact(person: _Person, random: np.random.Generator) -> str:
    number = int(random.integers(1000, 9999))
    return pick(
        random,
        (
            f"{person.name.replace('_', '.')}@mail.example.org",
            f"+1 555 010 {number}",
            f"(555) 014-{number}",
            f"{person.name}{number % 90 + 10}@example.net",
        ),
    )


def _moment(random: np.random.Generator) -> datetime:
    """Return a moment of the town's days, between six and midnight, most often in the evening."""
    hour = 6 + 18 * random.beta(2.2, 1.6)
    return FIRST_DAY + timedelta(days=int(random.random() * DAYS), seconds=int(hour * 3600))


# Copies and spam


def _add_copies(
    drafts: list[_Draft], people: list[_Person], wanted: int, random: np.random.Generator
) -> None:
    """Add copies of others' posts, word for word or a little changed, hours to days later."""
    originals = len(drafts)
    for _ in range(wanted):
        original = drafts[int(random.random() * originals)]
        copier = replace(pick(random, people), language=original.person.language)
        text = original.text if random.random() < 0.55 else _changed(original.text, random)
        later = original.created + timedelta(seconds=60 + int(random.exponential(90_000)))
        drafts.append(_Draft(copier, text, later, int(random.poisson(0.5))))


def _changed(text: str, random: np.random.Generator) -> str:
    return pick(
        random,
        (f"{text} !!", f"So true: {text}", text.upper(), text.replace(".", " .", 1), f"{text} 👍"),
    )


def _add_spam(drafts: list[_Draft], wanted: int, random: np.random.Generator) -> None:
    """Add link farms, floods and form letters from accounts that send nothing else."""
    accounts = [
        _Person(f"offer_{n}", "en", np.array([]), 0.0, False, "", {})
        for n in range(1, wanted // 60 + 2)
    ]
    sent = 0
    while sent < wanted:
        account, moment = pick(random, accounts), _moment(random)
        template = pick(random, _SPAM_LETTERS)
        thing, number = pick(random, _SPAM_THINGS), int(random.integers(10, 99))
        for burst in range(min(int(random.geometric(0.15)), wanted - sent)):
            text = template.format(
                thing=thing, number=number + burst, code=f"{int(random.integers(1 << 20)):x}"
            )
            drafts.append(_Draft(account, text, moment + timedelta(seconds=11 * burst)))
            sent += 1


_FIRST_NAMES = (
    "ada", "bruno", "carmen", "dora", "emil", "fatou", "greta", "hugo", "ines", "jonas", "karla",
    "luis", "mila", "noor", "otto", "pia", "quentin", "rosa", "sami", "tilda", "ugo", "vera",
    "wanda", "xenia", "yusuf", "zoe",
)  # fmt: skip

_DECORATIONS = ("🙂", "😅", "☀️", "🌧️", "❤️", "…", ":)", "🚲", "🌱")

_SPAM_LETTERS = (
    "Cheap {thing} {number}% off today only https://deals.example.com/{code}",
    "BUY NOW {thing} BUY NOW {thing} https://shop.example.net/{code}",
    "Congratulations! You are winner number {number} of a free {thing}, click "
    "https://win.example.com/{code}",
    "I made {number}000 a week with {thing} from home, ask me how https://money.example.net/{code}",
    "{thing} {thing} {thing} best price {number} https://farm.example.com/{code} "
    "https://farm.example.com/{code}b",
    "Follow back follow back follow back {number} {thing}",
)

_SPAM_THINGS = (
    "followers", "watches", "phone covers", "crypto coins", "diet tea", "sunglasses", "loans",
    "gift cards", "casino chips", "vitamins", "handbags", "ringtones",
)  # fmt: skip
