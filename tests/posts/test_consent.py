"""Consent and states recorded by hand hold at once, and can be taken back."""

import json
import re

import pytest

from rookery.core.context import Context
from rookery.core.errors import DataError
from rookery.core.home import SETTINGS
from rookery.posts.consent import state_file
from rookery.posts.live import live_log


def restrictions(home):
    with live_log(home) as log:
        return log.restrictions()


def test_an_authors_word_on_a_use_is_noted_and_taken_back(rookery, home):
    assert rookery(
        "posts", "consent", "--author", "ada", "--training", "no", "--search", "yes", "--json"
    ).json() == {"new": 2}
    consent = restrictions(home).consent
    assert (consent["training"], consent["search"], consent["ads"]) == (
        {"ada": False},
        {"ada": True},
        {},
    )
    rookery("posts", "consent", "--author", "ada", "--training", "undefined")
    assert restrictions(home).consent["training"] == {}
    rookery("posts", "consent", "--author", "ada", "--training", "no")
    assert restrictions(home).consent["training"] == {"ada": False}


def test_a_state_hides_until_it_ends(rookery, home):
    assert rookery("posts", "state", "suspended", "on", "--author", "ada", "--post", "7").code == 0
    assert (restrictions(home).authors, restrictions(home).posts) == (
        {"ada": "suspended"},
        {"7": "suspended"},
    )
    rookery("posts", "state", "suspended", "off", "--author", "ada")
    assert (restrictions(home).authors, restrictions(home).posts) == ({}, {"7": "suspended"})


def test_words_of_many_authors_are_noted_from_a_file_and_the_latest_by_their_own_time_holds(
    rookery, home, tmp_path
):
    path = tmp_path / "words.csv"
    path.write_text(
        "author,use,word,happened\n"
        "ada,training,yes,2025-03-01T00:00:00Z\nada,training,no,2025-02-01T00:00:00Z\nbob,search,No,\n"
    )
    assert rookery("posts", "consent", "--file", path, "--json").json() == {"new": 3}
    consent = restrictions(home).consent
    assert (consent["training"], consent["search"]) == ({"ada": True}, {"bob": False})
    lines = tmp_path / "words.jsonl"
    lines.write_text(
        '{"author": "ada", "use": "training", "word": "undefined", "happened": '
        '"2025-04-01T00:00:00Z"}\n'
    )
    rookery("posts", "consent", "--file", lines)
    assert restrictions(home).consent["training"] == {}
    assert rookery("posts", "consent", "--file", lines, "--json").json() == {"new": 0}


def test_states_are_noted_from_a_file(rookery, home, tmp_path):
    path = tmp_path / "states.jsonl"
    path.write_text(
        '{"author": "ada", "cause": "suspended", "value": "on"}\n\n{"post": 7, "cause": '
        '"withheld", "value": "on"}\n'
    )
    assert rookery("posts", "state", "--file", path).code == 0
    assert (restrictions(home).authors, restrictions(home).posts) == (
        {"ada": "suspended"},
        {"7": "withheld"},
    )


@pytest.mark.parametrize(
    ("verb", "bad"),
    [
        ("consent", {"use": "cooking"}),
        ("consent", {"word": "maybe"}),
        ("consent", {"author": ""}),
        ("consent", {"happened": "soon"}),
        ("consent", {"happened": "2999-01-01"}),
        ("state", {"cause": "angry"}),
        ("state", {"value": "perhaps"}),
        ("state", {"post": "7"}),
        ("state", {"author": ""}),
    ],
)
def test_a_bad_row_of_a_file_is_named_and_nothing_of_the_file_is_noted(
    rookery, home, tmp_path, verb, bad
):
    good = {
        "author": "ada",
        "use": "ads",
        "word": "no",
        "cause": "suspended",
        "value": "on",
        "post": "",
        "happened": "",
    }
    path = tmp_path / "words.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in (good, good | bad)))
    ran = rookery("posts", verb, "--file", path)
    assert (ran.code, len(ran.said)) == (2, 1)
    assert "words.jsonl, line 2" in ran.said[0]
    assert restrictions(home).watermark == 0


def test_the_columns_of_a_file_are_judged_whole(rookery, home, tmp_path):
    path = tmp_path / "words.csv"
    rows = ("7.0,ads,no,13/2/2025", "8,ads,no,1/3/2025 5:00 PM", "9,ads,no,NaN")
    path.write_text("\n".join(["author,use,word,happened", *rows]))
    assert rookery("posts", "consent", "--file", path).code == 0
    assert restrictions(home).consent["ads"] == {"7": False, "8": False, "9": False}
    for row in ("7,ads,no,1/2/2025", "1.23457E+17,ads,no,"):
        path.write_text(f"author,use,word,happened\n{row}\n")
        ran = rookery("posts", "consent", "--file", path)
        assert (ran.code, len(ran.said)) == (2, 1)
        assert repr(row.split(",")[3 if "2025" in row else 0]) in ran.err


@pytest.mark.parametrize(
    "content", ["", "author,word\nada,no\n", "author,use,word\nada,ads\n", "author,use,word\n\xff"]
)
def test_a_file_that_is_no_table_of_words_is_one_clear_line(rookery, home, tmp_path, content):
    path = tmp_path / "words.csv"
    path.write_bytes(content.encode("latin-1"))
    ran = rookery("posts", "consent", "--file", path)
    assert (ran.code, len(ran.said)) == (2, 1)
    assert restrictions(home).watermark == 0


@pytest.mark.parametrize(
    "words",
    [
        ["consent", "--author", "ada"],
        ["consent", "--author", "ada", "--training", "maybe"],
        ["state", "angry", "on", "--author", "ada"],
        ["state", "suspended", "perhaps", "--author", "ada"],
        ["state", "suspended", "on"],
        ["state"],
        ["state", "suspended"],
        ["state", "suspended", "on", "--file", "x.csv"],
        ["state", "--file", "missing.csv"],
        ["consent"],
        ["consent", "--author", "ada", "--file", "x.csv"],
        ["consent", "--file", "missing.csv"],
        ["forget"],
        ["forget", "7", "--file", "x.jsonl"],
        ["forget", "--file", "x.jsonl", "--ids-of", "cats"],
    ],
)
def test_what_cannot_be_meant_is_one_clear_line(rookery, words):
    ran = rookery("posts", *words)
    assert (ran.code, len(ran.said)) == (2, 1)


ADA = "https://home.example/users/ada"


@pytest.fixture
def outbox(tmp_path):
    """An outbox with one public post, of an account that says what is given here."""

    def outbox(**account):
        folder = tmp_path / "export"
        folder.mkdir(exist_ok=True)
        note = {
            "type": "Note",
            "id": f"{ADA}/statuses/1",
            "to": ["https://www.w3.org/ns/activitystreams#Public"],
            "published": "2023-02-18",
            "content": "<p>words</p>",
        }
        create = {"type": "Create", "actor": ADA, "to": note["to"], "object": note}
        (folder / "outbox.json").write_text(json.dumps({"orderedItems": [create]}))
        (folder / "actor.json").write_text(json.dumps({"id": ADA} | account))
        return folder

    return outbox


def not_indexable_means(home, word):
    settings = home.path / SETTINGS
    settings.write_text(
        re.sub('not_indexable = "[a-z]*"', f'not_indexable = "{word}"', settings.read_text())
    )


def dropped(rookery, use="training"):
    return rookery("posts", "stats", "--json").json()["dropped_by_use"][use]


def test_an_account_that_is_not_indexable_is_not_trained_on_unless_the_home_says_otherwise(
    home, rookery, outbox
):
    rookery("posts", "ingest", outbox())
    assert dropped(rookery) == {"author_opted_out": 1}
    not_indexable_means(home, "undefined")
    assert dropped(rookery) == {}
    assert dropped(rookery, "search") == {"author_opted_out": 1}
    not_indexable_means(home, "no")
    assert dropped(rookery) == {"author_opted_out": 1}


def test_what_the_author_says_of_training_goes_before(home, rookery, outbox):
    rookery("posts", "ingest", outbox())
    rookery("posts", "consent", "--author", ADA, "--training", "yes")
    assert dropped(rookery) == {}
    not_indexable_means(home, "undefined")
    rookery("posts", "consent", "--author", ADA, "--training", "no")
    assert dropped(rookery) == {"author_opted_out": 1}


def test_an_indexable_account_may_be_trained_on(rookery, outbox):
    rookery("posts", "ingest", outbox(indexable=True))
    assert dropped(rookery) == {}


def test_a_refusal_of_search_elsewhere_says_nothing_of_training(rookery, put, a_post):
    put(a_post(author="did:plc:ada"))
    rookery("posts", "consent", "--author", "did:plc:ada", "--search", "no")
    assert dropped(rookery) == {}


def test_a_home_made_before_keeps_what_its_accounts_refused_out_of_training(home, rookery, outbox):
    rookery("posts", "ingest", outbox())
    settings = home.path / SETTINGS
    settings.write_text('[rights]\npolicy = "public"\nerase_within_days = 30\n')
    assert dropped(rookery) == {"author_opted_out": 1}


def test_a_table_names_the_countries_of_what_is_withheld(home, tmp_path):
    file = tmp_path / "states.csv"
    file.write_text(
        "post,cause,value,countries\n7,withheld,on,de UK\n8,withheld,on,\n9,withheld,on,EU\n"
    )
    with pytest.raises(DataError, match="'EU'"):
        state_file(home, file, Context())
    file.write_text("post,cause,value,countries\n7,withheld,on,de UK\n8,withheld,on,\n")
    assert state_file(home, file, Context()) == 2
    with live_log(home) as log:
        assert log.restrictions().posts_in == {"7": {"DE", "GB"}}
    file.write_text("post,cause,value,countries\n7,suspended,on,DE\n")
    with pytest.raises(DataError, match="only what is withheld has them"):
        state_file(home, file, Context())
