"""A small file of every source, with words that no other post has, and how its network deletes."""

import io
import json
import tarfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rookery.core.context import Context
from rookery.core.home import Home
from rookery.posts import compliance
from rookery.posts.ingest import ingest
from rookery.posts.sources import formats
from tests.posts.repository_writer import DID, Repository, car

WORDS = ("quazzlebrick", "yotterplum", "frandlewick")
TEXTS = [f"The heron of the {i} elm said {word} to all the rooks" for i, word in enumerate(WORDS)]
HOST = "https://home.example"
PUBLIC = "https://www.w3.org/ns/activitystreams#Public"
AUTHORS = ("ada", "ada", "bo")
COLUMNS = {"id": "id", "text": "text", "author": "author", "created": "created"}


@dataclass(frozen=True)
class Sample:
    """A file of a source. delete: the file with which the network deletes a post, given its number.

    is_dump: that file is another dump, to be ingested, and no compliance file.
    """

    name: str
    content: bytes
    delete: Callable[[int], Any] | None = None
    is_dump: bool = False

    def take(self, home: Home, folder: Path) -> None:
        """Ingest the file."""
        path = folder / self.name
        path.write_bytes(self.content)
        is_table = path.suffix in (".csv", ".parquet")
        ingest(home, [path], COLUMNS if is_table else None, Context())

    def delete_by_network(self, home: Home, folder: Path, number: int) -> None:
        """Read the file with which the network deletes a post."""
        path = folder / "deleted.json"
        path.write_text(json.dumps(self.delete(number)))
        if self.is_dump:
            ingest(home, [path], None, Context())
        else:
            compliance.apply(home, [path], None, Context())


def json_lines(*values: Any) -> bytes:
    return "\n".join(map(json.dumps, values)).encode()


def _x_api(n: int) -> dict:
    return {
        "id": f"{100 + n}",
        "text": TEXTS[n],
        "author_id": f"{7 + (AUTHORS[n] == 'bo')}",
        "created_at": f"2023-02-18T12:33:1{n}.000Z",
        "lang": "en",
    }


def _deleted_at_x(n: int) -> dict:
    return {"delete": {"tweet": {"id": f"{100 + n}"}, "event_at": "2024-01-01T00:00:00Z"}}


def _x_archive() -> bytes:
    tweets = [
        {
            "tweet": {
                "id_str": f"{100 + n}",
                "full_text": text,
                "created_at": f"Sat Feb 18 12:33:1{n} +0000 2023",
                "lang": "en",
            }
        }
        for n, text in enumerate(TEXTS)
    ]
    account = [{"account": {"username": "ada", "accountId": "1"}}]
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, items in (("tweets", tweets), ("account", account)):
            text = f"window.YTD.{name}.part0 = {json.dumps(items)}"
            archive.writestr(f"data/{name}.js", text)
    return packed.getvalue()


def _record(n: int) -> dict:
    created = f"2025-10-09T08:53:1{n}Z"
    return {
        "$type": "app.bsky.feed.post",
        "text": TEXTS[n],
        "langs": ["en"],
        "createdAt": created,
    }


def _commit(n: int, operation: str, rev: str, **record: Any) -> dict:
    commit = {"rev": rev, "operation": operation, "collection": "app.bsky.feed.post"}
    commit |= {"rkey": f"r{n}", "cid": "x"} | record
    return {"did": DID, "time_us": 1_760_000_000_000_000, "kind": "commit", "commit": commit}


def _repository() -> bytes:
    repository = Repository()
    records = {f"app.bsky.feed.post/r{n}": _record(n) for n in range(3)}
    root = repository.commit(records, "3m1")
    return car(root, repository.blocks)


def _note(n: int) -> dict:
    author = f"{HOST}/users/{AUTHORS[0]}"
    return {
        "id": f"{author}/statuses/{100 + n}",
        "type": "Note",
        "published": f"2023-02-18T12:33:1{n}Z",
        "attributedTo": author,
        "to": [PUBLIC],
        "content": f"<p>{TEXTS[n]}</p>",
    }


def _outbox() -> dict:
    actor = f"{HOST}/users/{AUTHORS[0]}"
    activities = [
        {"type": "Create", "actor": actor, "to": [PUBLIC], "object": _note(n)} for n in range(3)
    ]
    return {"type": "OrderedCollection", "orderedItems": activities}


def _export() -> bytes:
    actor = {"id": f"{HOST}/users/{AUTHORS[0]}", "type": "Person", "indexable": True}
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for name, value in (("outbox.json", _outbox()), ("actor.json", actor)):
            data = json.dumps(value).encode()
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return packed.getvalue()


def _deleted_note(n: int) -> dict:
    actor = f"{HOST}/users/{AUTHORS[0]}"
    return {"type": "Delete", "actor": actor, "object": _note(n)["id"]}


def _status(n: int) -> dict:
    author = f"{HOST}/users/{AUTHORS[n]}"
    return {
        "id": f"{100 + n}",
        "uri": f"{author}/statuses/{100 + n}",
        "created_at": f"2023-02-18T12:33:1{n}.000Z",
        "visibility": "public",
        "content": f"<p>{TEXTS[n]}</p>",
        "account": {"id": "1", "acct": AUTHORS[n], "url": f"{HOST}/@{AUTHORS[n]}"},
    }


def _deleted_status(n: int) -> dict:
    author = f"{HOST}/users/{AUTHORS[n]}"
    return {"type": "Delete", "actor": author, "object": f"{author}/statuses/{100 + n}"}


def _comment(n: int, **change: Any) -> dict:
    return {
        "id": f"c{n}",
        "author": AUTHORS[n],
        "body": TEXTS[n],
        "created_utc": 1420070400 + n,
        "link_id": "t3_2qyrla",
        "subreddit": "birds",
    } | change


def _forum(n: int, **change: Any) -> dict:
    return {
        "id": 100 + n,
        "username": AUTHORS[n],
        "created_at": f"2023-02-18T12:33:1{n}Z",
        "cooked": f"<p>{TEXTS[n]}</p>",
        "post_number": n + 2,
        "post_type": 1,
        "topic_id": 57,
    } | change


def _topic(*posts: dict) -> dict:
    topic = {"id": 57, "archetype": "regular", "visible": True, "category_id": 13}
    return topic | {"post_stream": {"posts": list(posts)}}


def _table() -> bytes:
    rows = [f"{n},{text},{AUTHORS[n]},2023-02-1{n}\n" for n, text in enumerate(TEXTS)]
    return ("id,text,author,created\n" + "".join(rows)).encode()


SAMPLES = {
    "x_api": Sample("x.jsonl", json_lines({"data": [_x_api(n) for n in range(3)]}), _deleted_at_x),
    "x_archive": Sample("x.zip", _x_archive(), _deleted_at_x),
    "jetstream": Sample(
        "j.jsonl",
        json_lines(*(_commit(n, "create", "3m1", record=_record(n)) for n in range(3))),
        lambda n: _commit(n, "delete", "3m2"),
    ),
    "atproto_repo": Sample("r.car", _repository(), lambda n: _commit(n, "delete", "3m2")),
    "mastodon outbox": Sample("outbox.json", json.dumps(_outbox()).encode(), _deleted_note),
    "mastodon export": Sample("e.tar.gz", _export(), _deleted_note),
    "mastodon statuses": Sample("s.jsonl", json_lines(*map(_status, range(3))), _deleted_status),
    "reddit": Sample(
        "c.ndjson",
        json_lines(*map(_comment, range(3))),
        lambda n: _comment(n, removed_by_category="deleted"),
        is_dump=True,
    ),
    "discourse": Sample(
        "t.json",
        json.dumps(_topic(*map(_forum, range(3)))).encode(),
        lambda n: _topic(_forum(n, user_deleted=True)),
        is_dump=True,
    ),
    "table": Sample("t.csv", _table()),
}


def real_samples(folder: Path) -> list[Path]:
    """Return the files of posts among the real samples of formats, sorted."""
    names = ("*.jsonl", "*.json", "*.ndjson", "*.zip", "*.zst", "*.tar.gz")
    paths = {path for name in names for path in folder.glob(f"*/{name}")}
    return sorted(path for path in paths if _holds_posts(path))


def _holds_posts(path: Path) -> bool:
    try:
        source = formats.source_of(path)
        return source is not None and any(batch.num_rows for batch, _ in source.read(path))
    except Exception:
        return False
