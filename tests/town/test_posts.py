"""The built-in town: the same each time, without real addresses, and true to its ground truth."""

import re
from collections import Counter, defaultdict
from itertools import pairwise

import numpy as np
import pytest

from rookery.core.context import Context, FixedClock
from rookery.core.digest import digest_value
from rookery.posts.post import CONSENT_FIELD, VISIBILITIES
from rookery.town.posts import TOPICS, TownConfig, ingest_town, interests, town_posts
from rookery.town.speech import LANGUAGES, read_speech, say
from rookery.town.topics import TOPIC_NAMES

SMALL = TownConfig(authors=200, posts=6000)


@pytest.fixture(scope="module")
def posts():
    return list(town_posts(SMALL))


def digest_of(posts):
    return digest_value([repr(post) for post in posts])


def test_the_same_config_gives_the_same_town_and_another_seed_another(posts):
    assert digest_of(town_posts(SMALL)) == digest_of(posts)
    assert digest_of(town_posts(TownConfig(seed=2, authors=200, posts=6000))) != digest_of(posts)


def test_there_are_about_as_many_posts_as_asked_each_with_its_own_id_in_order_of_time(posts):
    assert abs(len(posts) - SMALL.posts) < 50
    assert len({post.id for post in posts}) == len(posts)
    assert [p.id for p in posts] == sorted(p.id for p in posts)
    assert all(a.created <= b.created for a, b in pairwise(posts))


def test_replies_follow_their_parents_in_the_same_conversation_and_are_counted(posts):
    by_id = {post.id: post for post in posts}
    answers = [post for post in posts if post.reply_to]
    assert len(answers) > len(posts) / 4
    for answer in answers:
        parent = by_id[answer.reply_to]
        assert parent.created < answer.created
        assert parent.conversation == answer.conversation
    counted = Counter(answer.reply_to for answer in answers)
    assert all(post.replies == counted[post.id] for post in posts)


def test_every_kind_of_right_is_there(posts):
    assert {post.visibility for post in posts} == set(VISIBILITIES)
    for field in CONSENT_FIELD.values():
        assert {getattr(post, field) for post in posts} == {True, False, None}


def test_there_are_copies_spam_contacts_and_all_languages(posts):
    repeated = Counter(post.text for post in posts)
    assert sum(n for n in repeated.values() if n > 1) > 100
    assert sum("https://" in post.text for post in posts) > 100
    assert sum("@" in post.text for post in posts) > 10
    assert Counter(post.language for post in posts).keys() == set(LANGUAGES)


def test_addresses_and_numbers_can_belong_to_nobody(posts):
    text = "\n".join(post.text.lower() for post in posts)
    hosts = re.findall(r"(?:https://|@)([\w.-]+\.\w+)", text)
    assert hosts
    assert all(re.search(r"(^|\.)example\.(com|net|org)$", host) for host in hosts)
    numbers = re.findall(r"\+?[\d() -]{9,}", text)
    assert numbers
    assert all("555" in number for number in numbers)


def test_interests_are_weights_of_the_topics(posts):
    cares = interests(SMALL)
    assert len(cares) == SMALL.authors
    for weights in cares.values():
        assert tuple(weights) == TOPIC_NAMES
        assert sum(weights.values()) == pytest.approx(1)
    assert {post.author for post in posts if not post.author.startswith("offer_")} <= set(cares)


def test_people_write_about_what_they_care_for():
    """The topic of a post is known by a word that only that topic's sentences use."""
    cares = interests(TownConfig())
    marks = {
        "rowing": "boathouse",
        "bread": "flour",
        "choir": "madrigal",
        "cycling": "bike",
        "astronomy": "telescope",
    }
    topic_weight = defaultdict(list)
    for post in town_posts(TownConfig(posts=8000)):
        for topic, mark in marks.items():
            if mark in post.text and not post.reply_to and post.author in cares:
                topic_weight[topic].append(cares[post.author][topic])
    assert set(topic_weight) == set(marks)
    assert all(np.mean(weights) > 0.25 for weights in topic_weight.values())  # by chance: 0.1


def test_every_fact_is_told_and_every_telling_holds_its_answer():
    posts = " ".join(post.text for post in town_posts(TownConfig()))
    for topic in TOPICS:
        for fact in topic.facts:
            assert all(fact.answer.lower() in telling.lower() for telling in fact.tellings), (
                fact.question
            )
            assert any(telling in posts for telling in fact.tellings), fact.question


def test_all_that_can_be_said_can_be_said():
    random = np.random.default_rng(1)
    for language in LANGUAGES:
        speech = read_speech(language)
        assert set(speech) == {*TOPIC_NAMES, "openers", "closers", "replies"}
        for section in speech.values():
            assert all("{" not in say(section, random) for _ in range(50))


def test_the_town_is_ingested_once(home):
    first = ingest_town(home, SMALL, Context(FixedClock()))
    again = ingest_town(home, SMALL, Context(FixedClock()))
    assert (first.added, first.set_aside) == (first.read, {})
    assert (again.added, again.already_there) == (0, first.added)
