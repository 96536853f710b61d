"""The three search APIs over twins: parameters, forms of answers and errors, ids turned back."""

import contextlib
import dataclasses
import re
from datetime import UTC, datetime, timedelta

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rookery.core.context import SystemClock
from rookery.core.errors import DataError, UsageError
from rookery.gateway.api import names
from rookery.gateway.api.asked import filtered
from rookery.gateway.api.bluesky import post_record, post_view
from rookery.gateway.api.mastodon import account, content, status
from rookery.gateway.app import create_app
from rookery.gateway.guard import Guard
from rookery.search.hits import Hit
from rookery.search.search import Results

MOMENT = datetime(2026, 3, 4, 5, 6, 7, 891_000, tzinfo=UTC)
BLUESKY = "/xrpc/app.bsky.feed.searchPosts"
MASTODON = "/api/v2/search"


def a_hit(post_id="1", author="ada", text="a rook", **fields) -> Hit:
    hit = Hit(post_id, author, text, MOMENT, "en", 2.0, {"bm25": 1.5})
    return dataclasses.replace(hit, **fields)


@pytest.fixture
def client(parts, served):
    """A function that serves the parts with a search that keeps what it was asked."""

    def client(results=Results((a_hit(),), "rook", {}, "next"), guard=Guard(), **changes):
        heard = []

        def search(*asked, **options):
            heard.append((asked, options))
            if isinstance(results, Exception):
                raise results
            return results

        made = dataclasses.replace(parts, **({"search": search} | changes))
        address = opened.enter_context(served(create_app(made, SystemClock(), guard=guard)))
        return opened.enter_context(httpx2.Client(base_url=address)), heard

    with contextlib.ExitStack() as opened:
        yield client


def test_our_own_answer_has_the_parts_of_the_score_and_the_cursor(client):
    http, heard = client()
    answer = http.get("/v1/search", params={"q": "rook", "mode": "latest", "cursor": "x"})
    assert answer.headers["cache-control"] == "no-store"
    assert answer.json()["cursor"] == "next"
    assert answer.json()["understood"] == "rook"
    (hit,) = answer.json()["hits"]
    assert hit["parts"] == {"bm25": 1.5}
    assert (hit["id"], hit["text"], hit["created"]) == ("1", "a rook", "2026-03-04T05:06:07.891Z")
    (asked, options) = heard[0]
    assert asked == ("rook", "latest", "x")
    assert options == {"limit": 20, "zone": UTC, "reader": None}
    assert http.get("/v1/search?q=rook&zone=Europe/Berlin").status_code == 200
    assert str(heard[1][1]["zone"]) == "Europe/Berlin"


FORMS = [
    ("/v1/search", lambda body: body["error"]["message"]),
    (BLUESKY, lambda body: body["message"] if body["error"] == "InvalidRequest" else None),
    (MASTODON, lambda body: body["error"]),
]


@pytest.mark.parametrize(("path", "message"), FORMS)
@pytest.mark.parametrize("query", ["", "?q=x&limit=1000", "?q=x&limit=0", "?q=x&limit=many"])
def test_a_wrong_parameter_is_named_in_the_form_of_the_api(client, path, message, query):
    http, heard = client()
    answer = http.get(path + query)
    assert answer.status_code == 400
    assert ("limit" if "limit" in query else "q") in message(answer.json())
    assert heard == []


@pytest.mark.parametrize(("path", "message"), FORMS)
def test_a_cursor_that_is_none_is_400_and_a_broken_index_503(client, path, message):
    http, _ = client(UsageError("this cursor is not one of this search"))
    answer = http.get(path, params={"q": "rook", "cursor": "nonsense"})
    assert answer.status_code == 400
    assert "this cursor" in message(answer.json())
    broken, _ = client(DataError("the search index is damaged"))
    answer = broken.get(path, params={"q": "rook"})
    assert answer.status_code == 503
    assert "damaged" in answer.text


@pytest.mark.parametrize(("path", "message"), FORMS)
def test_a_crash_tells_nothing_in_the_form_of_the_api(client, path, message):
    http, _ = client(RuntimeError("secret detail"))
    answer = http.get(path, params={"q": "rook"})
    assert answer.status_code == 500
    assert answer.json()["error"]
    assert "secret" not in answer.text


@pytest.mark.parametrize("path", ["/v1/search", BLUESKY, MASTODON, "/api/v1/instance", "/suggest"])
def test_the_password_holds_for_every_api(client, path):
    http, heard = client(guard=Guard(password=b"secret".decode()))
    answer = http.get(path, params={"q": "rook"})
    assert answer.status_code == 401
    assert answer.json()["error"]
    assert heard == []
    assert http.get(path, params={"q": "rook"}, auth=("me", "secret")).status_code == 200


def test_only_the_operator_asks_as_a_reader(client):
    http, heard = client()
    assert http.get("/v1/search?q=rook&reader=ada").status_code == 200
    assert heard[0][1]["reader"] == "ada"
    proxied = http.get("/v1/search?q=rook&reader=ada", headers={"x-forwarded-for": "192.0.2.1"})
    assert proxied.status_code == 403
    assert len(heard) == 1


def test_a_zone_that_is_none_is_refused(client):
    http, heard = client()
    for zone in ("Mars/Phobos", "../../etc/passwd", "x" * 9_000):
        assert http.get("/v1/search", params={"q": "rook", "zone": zone}).status_code == 400
        assert http.get("/", params={"q": "rook", "zone": zone}).status_code == 400
    assert heard == []


# Bluesky
# -------------------------------------------------------------------------------------------------


def test_every_parameter_of_blueskys_lexicon_becomes_a_part_of_the_query(client):
    http, heard = client()
    answer = http.get(
        BLUESKY,
        params={
            "q": "rook OR crow",
            "sort": "top",
            "since": "2026-01-01",
            "until": "2026-02-01T00:00:00.000Z",
            "mentions": "bob.example",
            "author": names.did_of("ada"),
            "lang": "en",
            "domain": "rooks.example",
            "url": "https://rooks.example/a",
            "tag": ["birds", "#trees"],
            "limit": 7,
            "cursor": "x",
        },
    )
    assert answer.json()["cursor"] == "next"
    text = (
        "from:ada @bob.example lang:en domain:rooks.example url:https://rooks.example/a "
        "since:2026-01-01 until:2026-02-01T00:00:00.000Z #birds #trees #trees rook OR crow"
    )
    assert heard == [((text, "best", "x"), {"limit": 7})]
    assert http.get(BLUESKY, params={"q": "x", "author": 'a" OR b'}).status_code == 400
    http.get(BLUESKY, params={"q": "x"})
    assert heard[-1] == (("x", "latest", None), {"limit": 25})


@pytest.mark.parametrize("text", ["OR rook", "| rook", ") OR rook", '" OR rook', "OR | OR rook"])
def test_no_text_undoes_a_filter(text):
    from rookery.search.query import Field, parse

    parsed = parse(filtered(text, [("from:", "ada")]))
    assert Field("author", "ada") in parsed.root.parts


@given(st.text(min_size=1))
def test_an_author_of_any_network_has_a_did_that_is_turned_back(author):
    author = author.encode("utf-8", "replace").decode()
    did = names.did_of(author)
    assert re.fullmatch(r"did:[a-z]+:[a-zA-Z0-9._:%-]*[a-zA-Z0-9._-]", did)
    assert names.author_of_did(did) == author
    assert names.author_of_account(names.account_id(author)) == author


@given(st.text(min_size=1, max_size=80), st.text(min_size=1, max_size=20))
def test_every_post_has_an_address_of_its_own(post_id, author):
    uri = names.at_uri(post_id, author)
    assert re.fullmatch(r"at://did:[a-z]+:[\w.%:-]+/app\.bsky\.feed\.post/[\w.:~-]{1,512}", uri)
    assert names.at_uri(post_id + "x", author) != uri


def test_a_post_of_bluesky_keeps_its_address():
    uri = "at://did:plc:abc/app.bsky.feed.post/3jxtb5w2hkt2m"
    view = post_view(a_hit(uri, "did:plc:abc", likes=3))
    assert (view["uri"], view["author"]["did"]) == (uri, "did:plc:abc")
    assert view["author"]["handle"] == "handle.invalid"
    assert view["likeCount"] == 3
    assert "repostCount" not in view
    assert post_view(a_hit(author="Ada.Example"))["author"]["handle"] == "ada.example"


def test_a_record_is_cut_to_what_it_may_hold():
    record = post_record(a_hit(text="ü" * 2_000, language=None))
    assert len(record["text"].encode()) <= 3_000
    assert record["text"].endswith("ü…")
    assert "langs" not in record


# Mastodon
# -------------------------------------------------------------------------------------------------


def many(count: int) -> tuple[Hit, ...]:
    """Return posts, the newest first, one second apart."""
    return tuple(
        a_hit(str(n), text=f"rook {n}", created=MOMENT - timedelta(seconds=n)) for n in range(count)
    )


def test_statuses_are_turned_by_offset_and_by_id(client):
    http, heard = client(Results(many(9), "rook"))
    whole = [s["id"] for s in http.get(f"{MASTODON}?q=rook").json()["statuses"]]
    assert whole == sorted(whole, key=int, reverse=True)
    third = http.get(f"{MASTODON}?q=rook&type=statuses&limit=3&offset=3").json()
    assert [s["id"] for s in third["statuses"]] == whole[3:6]
    assert heard[-1][1] == {"limit": 6}
    below = http.get(f"{MASTODON}?q=rook&limit=3&max_id={whole[4]}").json()["statuses"]
    assert [s["id"] for s in below] == whole[5:8]
    assert "until:2026-03-04T05:06:03.892Z rook" == heard[-1][0][0]
    above = http.get(f"{MASTODON}?q=rook&min_id={whole[4]}").json()["statuses"]
    assert [s["id"] for s in above] == whole[:4]
    assert "since:2026-03-04T05:06:03.891Z rook" == heard[-1][0][0]


def test_an_account_asks_by_the_id_that_it_was_given(client):
    http, heard = client()
    author = "https://rooks.example/users/ada"
    http.get(MASTODON, params={"q": "rook", "account_id": account(author)["id"]})
    assert heard[0][0][0] == f"from:{author} rook"
    assert http.get(f"{MASTODON}?q=rook&account_id=!").status_code == 400
    assert http.get(f"{MASTODON}?q=rook&max_id={10**30}").status_code == 400
    assert http.get(f"{MASTODON}?q=rook&type=polls").status_code == 400


def test_accounts_and_hashtags_are_what_completes_the_words(client):
    one = Results((a_hit(),), "rook")
    http, heard = client(one, suggest=lambda prefix: ["#rooks", "from:rowan", "#rowing"])
    found = http.get(f"{MASTODON}?q=ro").json()
    assert [tag["name"] for tag in found["hashtags"]] == ["rooks", "rowing"]
    assert [a["username"] for a in found["accounts"]] == ["rowan"]
    only = http.get(f"{MASTODON}?q=ro&type=hashtags&limit=1").json()
    assert (len(only["hashtags"]), only["accounts"], only["statuses"]) == (1, [], [])
    assert len(heard) == 1
    without, _ = client()
    assert without.get(f"{MASTODON}?q=ro&type=accounts").json()["accounts"] == []


def test_a_status_has_its_address_and_its_text_as_html():
    shown = status(
        a_hit("https://rooks.example/1", "https://rooks.example/users/ada", "<b>\nx & y")
    )
    assert shown["url"] == shown["uri"] == "https://rooks.example/1"
    assert shown["content"] == "<p>&lt;b&gt;<br>x &amp; y</p>"
    assert shown["account"]["acct"] == "ada@rooks.example"
    assert status(a_hit("javascript:x"))["url"] is None
    assert account("http://[")["username"]


@given(st.text())
def test_the_text_of_a_status_holds_no_markup_of_its_own(text):
    assert set(re.findall(r"<[^>]*>", content(text))) <= {"<p>", "</p>", "<br>"}


def test_suggestions_are_json_and_empty_where_a_home_has_none(client):
    http, _ = client(suggest=lambda prefix: [prefix + "a"] * 20)
    assert http.get("/suggest?q=%23r").json() == {"suggestions": ["#ra"] * 8}
    assert http.get("/suggest?q=").json() == {"suggestions": []}
    without, _ = client()
    assert without.get("/suggest?q=r").json() == {"suggestions": []}
