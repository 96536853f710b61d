"""Each quality rule drops the posts that it was made for, and keeps plain posts."""

import pyarrow as pa
import pytest

from rookery.corpus.normalize import key, plain
from rookery.corpus.quality import RULES, judge

PLAIN = [
    "The rooks came back to the elm behind the church this morning",
    "Прилетели грачи, значит, весна уже совсем близко",
    "今朝、教会の裏の木にミヤマガラスが戻ってきた",
    "@ada I think so too, but wait for the second week of March https://t.co/x1",
    "So happy today!!! 🎉🎉 The chicks have hatched #rooks #spring",
    "no no no no, that was a jackdaw and I can prove it",
]


def reason(text: str) -> str | None:
    texts = pa.array([text])
    return judge(texts, plain(texts), key(texts))[0].as_py()


@pytest.mark.parametrize("text", PLAIN)
def test_plain_posts_pass(text):
    assert reason(text) is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "too_short"),
        ("nice!! https://t.co/abcdefg", "too_short"),
        ("Rooks \ufffd\ufffd\ufffd\ufffd\ufffd flying \ufffd\ufffd home", "broken_encoding"),
        (
            "@a1 @b2 @c3 @d4 @e5 @f6 @g7 @h8 @i9 @j10 https://t.co/abcdefghij rooks forever",
            "mostly_links_and_mentions",
        ),
        ("#rooks #crows #ravens #jackdaws #magpies ok", "mostly_hashtags"),
        ("*** !!! ((( buy rooks now ))) >>> === <<< $$$ ***", "mostly_symbols"),
        ("Rooooooooooooooooooks are back in town", "repeated_characters"),
        ("buy rooks buy rooks buy rooks buy rooks buy rooks", "repeated_words"),
    ],
)
def test_each_rule_names_its_reason(text, expected):
    assert reason(text) == expected


@pytest.mark.parametrize(
    ("rule", "kept", "dropped"),
    [
        ("too_short", {"key": "x" * 12}, {"key": "x" * 11}),
        ("broken_encoding", {"text": "\ufffd" + "x" * 19}, {"text": "\ufffd" + "x" * 18}),
        (
            "mostly_links_and_mentions",
            {"text": "x" * 25, "plain": " fives "},
            {"text": "x" * 26, "plain": " fives "},
        ),
        ("mostly_hashtags", {"plain": "#sixsix ab"}, {"plain": "#sevens1 ab"}),
        (
            "mostly_symbols",
            {"plain": "x" * 10, "key": "x" * 5},
            {"plain": "x" * 11, "key": "x" * 5},
        ),
        ("repeated_characters", {"key": "a" * 12}, {"key": "a" * 13}),
        ("repeated_words", {"key": "a b c d" + " a" * 6}, {"key": "a b c" + " a" * 5}),
        ("repeated_words", {"key": "a" + " a" * 6}, {"key": "a" + " a" * 7}),
    ],
)
def test_the_last_post_that_a_rule_keeps_and_the_first_that_it_drops(rule, kept, dropped):
    def drops(columns: dict[str, str]) -> bool:
        return RULES[rule](*(pa.array([columns.get(n, "")]) for n in ("text", "plain", "key")))[
            0
        ].as_py()

    assert not drops(kept)
    assert drops(dropped)


def test_every_rule_answers_for_a_batch_of_none():
    empty = pa.array([], pa.string())
    assert [len(rule(empty, empty, empty)) for rule in RULES.values()] == [0] * len(RULES)
    assert len(judge(empty, empty, empty)) == 0


def test_a_run_of_characters_is_charged_to_its_own_post_only():
    texts = pa.array(
        ["first post of all is fine", "a" * 20 + " word", "", "last post of all is fine too"]
    )
    assert RULES["repeated_characters"](texts, plain(texts), key(texts)).to_pylist() == [
        False,
        True,
        False,
        False,
    ]
