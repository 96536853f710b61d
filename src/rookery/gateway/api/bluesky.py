"""Bluesky's search API: `GET /xrpc/app.bsky.feed.searchPosts`, as its clients call and read it.

The lexicon `app.bsky.feed.searchPosts` names the parameters and `app.bsky.feed.defs#postView` the
answer. A post of any network is shown as a record `app.bsky.feed.post` with its text, time and
language; its CID is that of this record, since the record on its own network is not kept. Ids of
other networks are in `names.py`.
"""

import base64
import hashlib
from typing import TYPE_CHECKING, Annotated, Any

import libipld
from fastapi import APIRouter, HTTPException, Query
from fastapi.responses import Response

from rookery.core.errors import UsageError
from rookery.gateway.api.asked import MOST_RESULTS, filtered, json_response, moment, searched
from rookery.gateway.api.names import at_uri, author_of_did, did_of, handle_of
from rookery.gateway.parts import Parts

if TYPE_CHECKING:
    from rookery.search.hits import Hit
from rookery.search.search import Mode, Results

RESULTS = 25  # the lexicon's default
_MOST_BYTES = 3_000  # of a record's text, by the lexicon
_CID_V1_DAG_CBOR_SHA_256 = bytes([0x01, 0x71, 0x12, 0x20])
_MODES: "dict[str, Mode]" = {"top": "best", "latest": "latest"}
_COUNTS = {"likes": "likeCount", "reposts": "repostCount", "replies": "replyCount"}


def bluesky_routes(parts: Parts) -> APIRouter:
    """Return the route of Bluesky's search."""
    routes = APIRouter()

    @routes.get("/xrpc/app.bsky.feed.searchPosts", response_class=Response)
    async def search_posts(
        q: str,
        sort: str = "latest",
        since: str | None = None,
        until: str | None = None,
        mentions: str | None = None,
        author: str | None = None,
        lang: str | None = None,
        domain: str | None = None,
        url: str | None = None,
        tag: Annotated[list[str], Query(max_length=16)] = [],  # noqa: B006
        limit: Annotated[int, Query(ge=1, le=MOST_RESULTS)] = RESULTS,
        cursor: str | None = None,
    ) -> Response:
        """Search the posts, with the parameters of Bluesky's lexicon."""
        filters = [
            ("from:", author and author_of_did(author)),
            ("@", mentions and author_of_did(mentions).lstrip("@")),
            ("lang:", lang),
            ("domain:", domain),
            ("url:", url),
            ("since:", since),
            ("until:", until),
            *(("#", name.lstrip("#＃")) for name in tag),
        ]
        try:
            text = filtered(q, filters)
        except UsageError as error:
            raise HTTPException(400, error.line()) from None
        mode = _MODES.get(sort, "latest")  # the lexicon's values are open, its default is latest
        results = await searched(parts, text, mode, cursor, limit=limit)
        return json_response(posts_answer(results))

    return routes


def posts_answer(results: "Results") -> dict[str, Any]:
    """Return results as the output of the lexicon."""
    posts = [post_view(hit) for hit in results.hits]
    return {"posts": posts} | ({} if results.cursor is None else {"cursor": results.cursor})


def post_view(hit: "Hit") -> dict[str, Any]:
    """Return a post as `app.bsky.feed.defs#postView`."""
    counts = {name: getattr(hit, field) for field, name in _COUNTS.items()}
    record = post_record(hit)
    return {
        "$type": "app.bsky.feed.defs#postView",
        "uri": at_uri(hit.id, hit.author),
        "cid": cid_of(record),
        "author": {
            "$type": "app.bsky.actor.defs#profileViewBasic",
            "did": did_of(hit.author),
            "handle": handle_of(hit.author),
            "displayName": hit.author[:64],
        },
        "record": record,
        "indexedAt": record["createdAt"],
        **{name: count for name, count in counts.items() if count is not None},
    }


def post_record(hit: "Hit") -> dict[str, Any]:
    """Return a post as a record `app.bsky.feed.post`, its text cut to what a record may hold."""
    record = {
        "$type": "app.bsky.feed.post",
        "text": _cut(hit.text),
        "createdAt": moment(hit.created),
    }
    return record | ({"langs": [hit.language]} if hit.language else {})


def _cut(text: str) -> str:
    data = text.encode("utf-8", "replace")
    if len(data) <= _MOST_BYTES:
        return data.decode()
    return data[: _MOST_BYTES - 3].decode("utf-8", "ignore") + "…"


def cid_of(record: dict[str, Any]) -> str:
    """Return the CID (version 1, DAG-CBOR, SHA-256) of a record."""
    digest = hashlib.sha256(libipld.encode_dag_cbor(record)).digest()
    encoded = base64.b32encode(_CID_V1_DAG_CBOR_SHA_256 + digest).decode()
    return "b" + encoded.rstrip("=").lower()
