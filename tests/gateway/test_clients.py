"""The search APIs as the networks' own clients call them, with `rookery serve` as a process."""

import re
import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest
from atproto import Client
from atproto_client.exceptions import BadRequestError
from atproto_client.models import get_or_create
from atproto_client.models.app.bsky.feed.search_posts import Response
from mastodon import Mastodon, MastodonAPIError

from rookery.core.context import Context
from rookery.core.protocols import HashedEmbedder
from rookery.posts.forget import forget
from rookery.search.build import build_index

AUTHORS = ["did:plc:vw3kgaqjkmqh5l4smxvgrwcc", "https://rooks.example/users/ada", "eve_3"]


@pytest.fixture
def address(home, put, a_post):
    """The address of a process that serves 60 posts by authors of three networks."""
    moment = datetime(2026, 5, 1, tzinfo=UTC)
    put(
        *(
            a_post(
                f"rook <b>number{n}</b> #birds" + " long" * (700 * (n == 7)),
                id=f"at://{AUTHORS[0]}/app.bsky.feed.post/3l{n:011}" if n % 3 == 0 else f"p/{n}",
                author=AUTHORS[n % 3],
                created=moment + timedelta(hours=n),
                language="en" if n % 2 else "pt-BR",
                likes=n,
            )
            for n in range(60)
        )
    )
    build_index(home, HashedEmbedder(), Context())
    command = [sys.executable, "-m", "rookery.cli.main", "serve", "--port", "0"]
    process = subprocess.Popen(
        [*command, "--home", str(home.path)], stdout=subprocess.PIPE, text=True
    )
    try:
        yield re.search(r"http://\S+", process.stdout.readline()).group().rstrip("/")
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)


def test_the_client_of_at_protocol_turns_all_pages_and_filters(address, home):
    client = Client(base_url=f"{address}/xrpc")

    def search(**params):
        answer = client.app.bsky.feed.search_posts({"limit": 25} | params)
        get_or_create(answer.model_dump(by_alias=True), Response, strict=True,
                      strict_string_format=True)  # fmt: skip
        return answer

    for sort in ("latest", "top"):
        first = search(q="rook", sort=sort)
        second = search(q="rook", sort=sort, cursor=first.cursor)
        third = search(q="rook", sort=sort, cursor=second.cursor)
        posts = [*first.posts, *second.posts, *third.posts]
        assert (len(first.posts), third.cursor) == (25, None)
        assert len({post.uri for post in posts}) == len({post.cid for post in posts}) == 60
    assert first.posts[0].record.text.startswith("rook <b>number")
    of_bluesky = search(q="rook", author=AUTHORS[0]).posts
    assert {post.author.did for post in of_bluesky} == {AUTHORS[0]}
    eve = next(post for post in posts if post.author.display_name == AUTHORS[2])
    assert search(q="rook", author=eve.author.did, tag=["birds"], limit=100).posts
    assert search(q="rook", tag=["trees"]).posts == []
    may = search(q="rook", since="2026-05-02", until="2026-05-03", lang="en", limit=100).posts
    assert sorted(post.like_count for post in may) == list(range(25, 48, 2))
    with pytest.raises(BadRequestError, match="cursor"):
        search(q="rook", cursor="nonsense")
    forget(home, [of_bluesky[0].uri], [], Context())
    assert of_bluesky[0].uri not in {post.uri for post in search(q="rook", limit=100).posts}


def test_the_client_of_mastodon_turns_pages_by_offset_and_by_id(address):
    client = Mastodon(api_base_url=address)
    whole = []
    page = client.search_v2("rook", result_type="statuses", limit=20)
    while page and page.statuses:
        whole += page.statuses
        page = client.fetch_next(page)
    assert len({status.id for status in whole}) == 60
    assert [s.created_at for s in whole] == sorted((s.created_at for s in whole), reverse=True)
    assert whole[0].content == "<p>rook &lt;b&gt;number59&lt;/b&gt; #birds</p>"
    assert whole[0].favourites_count == 59
    below = client.search_v2("rook", result_type="statuses", max_id=whole[20], limit=40)
    assert [s.id for s in below.statuses] == [s.id for s in whole[21:]]
    above = client.search_v2("rook", result_type="statuses", min_id=whole[20].id)
    assert [s.id for s in above.statuses] == [s.id for s in whole[:20]]
    ada = next(s.account for s in whole if s.account.uri == AUTHORS[1])
    assert ada.acct == "ada@rooks.example"
    hers = client.search_v2("rook", result_type="statuses", account_id=ada.id, limit=40)
    assert len(hers.statuses) == 20
    assert {s.account.id for s in hers.statuses} == {ada.id}
    with pytest.raises(MastodonAPIError):
        client.search_v2("rook", result_type="statuses", limit=1_000)
