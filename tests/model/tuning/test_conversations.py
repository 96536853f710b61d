"""Conversations: who says what in a thread, which tokens are learned, and what a bad file gets."""

import json
import sys

import numpy as np
import pytest

from rookery.cli.main import main
from rookery.core.context import Context
from rookery.core.errors import DataError
from rookery.core.protocols import Message
from rookery.corpus.build import build_corpus
from rookery.corpus.shards import open_shards
from rookery.model.tuning.conversations import (
    Conversation,
    encoded,
    of_threads,
    read_file,
    shards_of_file,
    shards_of_threads,
)
from rookery.model.tuning.template import load_template
from rookery.posts.forget import forget
from rookery.posts.lake import open_lake
from rookery.town.posts import TownConfig, town_posts
from rookery.workflows.erase import erase

ROOM = 400
FIRST, ANSWER = "the first of all words here", "an answer that is number {} of them"
HELLO = [{"role": "user", "content": "hello rooks"}, {"role": "assistant", "content": "hello elms"}]


@pytest.fixture
def template(checkpoint):
    return load_template(checkpoint)


def a_file(path, conversations):
    path.write_text("".join(json.dumps({"messages": one}) + "\n" for one in conversations))
    return path


def spoken(conversation):
    return [(message.role, message.content) for message in conversation.messages]


def thread(a_post, *links, authors="abcdefgh"):
    """Posts of a thread: each answers the one at its number in `links`, from the second on."""
    posts = [a_post(FIRST, author=authors[0])]
    for number, to in enumerate(links, 1):
        posts.append(a_post(ANSWER.format(number), author=authors[number], reply_to=posts[to].id))
    return posts


@pytest.fixture
def conversations(home, put):
    """Build a corpus of posts and return the conversations in both of its splits."""

    def conversations(posts):
        put(*posts, *town_posts(TownConfig(posts=300)))
        corpus, lake = build_corpus(home, Context()), open_lake(home)
        ids = {post.id for post in posts}
        found = (
            one for split in ("train", "validation") for one in of_threads(corpus, split, lake)
        )
        return [one for one in found if ids & set(one.post_ids)]

    return conversations


def test_a_way_through_a_thread_is_a_conversation_that_ends_with_the_assistant(
    a_post, conversations
):
    # 0 is answered by 1 and 3; 2 answers 1
    found = conversations(thread(a_post, 0, 1, 0, authors="abac"))
    said = sorted(spoken(one) for one in found)
    assert said == [
        [("user", ANSWER.format(1)), ("assistant", ANSWER.format(2))],
        [("user", FIRST), ("assistant", ANSWER.format(3))],
    ]


def test_posts_of_one_author_in_a_row_are_one_message(a_post, conversations):
    (found,) = conversations(thread(a_post, 0, 1, authors="aab"))
    texts = [FIRST, *(ANSWER.format(n) for n in (1, 2))]
    assert spoken(found) == [("user", "\n".join(texts[:2])), ("assistant", texts[2])]
    assert len(found.post_ids) == len(found.author_ids) == 3


def test_somebody_who_answers_only_himself_holds_no_conversation(a_post, conversations):
    assert conversations(thread(a_post, 0, 1, authors="aaa")) == []


def test_only_replies_are_learned_with_their_end(template):
    messages = [Message(one["role"], one["content"]) for one in [*HELLO, *HELLO]]
    one = encoded(a_conversation(messages), template, ROOM)
    learned = np.array(one.tokens)[np.array(one.learned)].tolist()
    (reply,) = template.tokenizer.encode(["hello elms"])
    (end,) = {token for token in learned if token in template.tokenizer.ends}
    assert learned == [*reply, end] * 2


def a_conversation(messages):
    return Conversation(tuple(messages), ("1",), ("a",))


def test_of_a_long_conversation_the_last_turns_are_learned_or_nothing(template):
    turns = [Message(one["role"], one["content"]) for one in HELLO * 6]
    whole = encoded(a_conversation(turns), template, ROOM)
    cut = encoded(a_conversation(turns), template, len(whole.tokens) // 2)
    assert len(cut.tokens) <= len(whole.tokens) // 2
    assert cut.tokens == whole.tokens[-len(cut.tokens) :]
    assert encoded(a_conversation(turns), template, 4) is None


def test_a_files_conversations_are_shards_of_which_a_twentieth_is_held_back(
    home, template, tmp_path
):
    path = a_file(tmp_path / "chats.jsonl", [HELLO] * 120)
    made = shards_of_file(home, path, template, ROOM, Context())
    train, validation = open_shards(made, "train"), open_shards(made, "validation")
    assert (train.documents, validation.documents) == (114, 6)
    assert train.learned.sum() < len(train.tokens)
    assert shards_of_file(home, path, template, ROOM, Context()).key == made.key


def test_what_does_not_fit_is_counted(home, template, tmp_path):
    long = [{"role": "user", "content": "rooks " * 300}, HELLO[1]]
    path = a_file(tmp_path / "chats.jsonl", [HELLO] * 119 + [long])
    made = shards_of_file(home, path, template, 40, Context())
    assert made.manifest.tally["dropped"] == {"longer_than_the_context": 1}
    with pytest.raises(DataError, match=r"120 are longer than the model's context"):
        shards_of_file(home, path, template, 4, Context())


def test_a_forgotten_post_masks_its_conversations_and_is_erased_from_them(home, put, template):
    put(*town_posts(TownConfig(posts=3000)))
    corpus = build_corpus(home, Context())
    made = shards_of_threads(home, corpus, template, ROOM, Context())
    posts = next(of_threads(corpus, "train", open_lake(home))).post_ids
    before = np.array(open_shards(made, "train").tokens)
    forget(home, [posts[0]])
    erased = {one["place"]: one["count"] for one in erase(home, Context())["erased"]}
    assert erased[f"shards {made.key}"] >= 1
    after = np.array(open_shards(made, "train").tokens)
    assert (before != after).any()


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ("hello", "line 2"),
        ('{"text": "hello"}', "line 2"),
        ('{"messages": [{"role": "bot", "content": "x"}]}', "system, user, assistant"),
        ('{"messages": [{"role": "user", "content": 3}]}', "line 2"),
        ('{"messages": [{"role": "user", "content": "hello"}]}', "without a reply"),
    ],
)
def test_a_line_that_is_no_conversation_is_named(tmp_path, line, what):
    path = tmp_path / "chats.jsonl"
    path.write_text(json.dumps({"messages": HELLO}) + f"\n{line}\n")
    with pytest.raises(DataError, match=what):
        list(read_file(path))


def test_fewer_than_a_hundred_are_refused(home, put, template, tmp_path):
    with pytest.raises(DataError, match="99 conversations are too few"):
        shards_of_file(
            home, a_file(tmp_path / "few.jsonl", [HELLO] * 99), template, ROOM, Context()
        )
    put(*town_posts(TownConfig(posts=300)))
    with pytest.raises(DataError, match="conversations are too few"):
        shards_of_threads(home, build_corpus(home, Context()), template, ROOM, Context())


@pytest.fixture
def rookery(home, monkeypatch, capsys):
    def run(*words):
        monkeypatch.setattr(sys, "argv", ["rookery", *map(str, words), "--home", str(home.path)])
        with pytest.raises(SystemExit) as ended:
            main()
        return ended.value.code, capsys.readouterr().err.strip().splitlines()

    return run


def test_the_command_refuses_in_one_line(rookery, checkpoint, tmp_path):
    for words, said in [
        ((tmp_path / "none.jsonl",), "cannot be read"),
        ((a_file(tmp_path / "few.jsonl", [HELLO]),), "conversations are too few"),
        ((), "there is no finished corpus yet"),
        (("--model", "nothing"), "no checkpoints have a key"),
    ]:
        code, lines = rookery("model", "tune", "chat", *words)
        assert (code, len(lines)) == (2, 1)
        assert said in lines[0]
