"""A home in which what has to go lies in every place that posts reach, and a walk that looks into
all files.
"""

import gzip
import json
import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import tantivy
import zstandard

from rookery.core.context import Context
from rookery.core.home import Home, create_home
from rookery.core.protocols import HashedEmbedder
from rookery.corpus.build import build_corpus
from rookery.corpus.shards import write_shards
from rookery.model.tokenizer import load_tokenizer, train_tokenizer
from rookery.posts.event import Event
from rookery.posts.ingest import ingest_batches
from rookery.posts.live import live_log
from rookery.posts.post import Post, to_batch
from rookery.posts.sources.files import in_batches
from rookery.posts.streams.inbox import Inbox, StreamMessage
from rookery.search.build import build_index
from rookery.town.posts import TownConfig, town_posts

DAY = datetime(2025, 3, 1, tzinfo=UTC)

# What has to go, by what goes: each text has a word that no other has.
GOING = {
    "a post": Post(
        "gone-1", "kim", "The heron said quazzlebrick to all the rooks of the elm today", DAY
    ),
    "an author": Post(
        "zelda-1", "zelda_gone", "My garden is full of yotterplum and the rooks eat all of it", DAY
    ),
    "a dropped post": Post("zelda-2", "zelda_gone", "wibblenost", DAY),
    "an edited post": Post(
        "edited-1", "ann", "I first wrote frandlewick here and was sorry about the word", DAY
    ),
    "a replaced post": Post(
        "1000", "bea", "Before the correction there was a snorkleby in this sentence", DAY
    ),
    "a deleted account": Post(
        "dora-1", "dora_left", "The last words of dora are mumblethrip and then silence", DAY
    ),
    "an other version": Post(
        "2000", "cy", "The first of two versions says gribbleforth about the tram", DAY
    ),
    "a copied post": Post(
        "copied-1", "kim", "Everyone repeats drundlewax on the square of the town", DAY
    ),
}
COPIED = "drundlewax"  # also said by somebody who is not forgotten
WORDS = {
    "a post": "quazzlebrick",
    "an author": "yotterplum",
    "a dropped post": "wibblenost",
    "an edited post": "frandlewick",
    "a replaced post": "snorkleby",
    "a deleted account": "mumblethrip",
    "an other version": "gribbleforth",
    "a waiting post": "clappernudge",
    "a handed-over post": "thrumbleword",
    "a row set aside": "vexelmorph",
    "a place": "Quonterstreet",
}
IDS = [
    "gone-1",
    "zelda-1",
    "zelda-2",
    "copied-1",
    "zelda_gone",
    "dora-1",
    "dora_left",
    "gone-waiting",
    "gone-before",
]
"""The names of what is forgotten; they stay in the live log alone, so that the same does not come
in again.
"""


def in_lake(home: Home, *posts: Post | object) -> None:
    key = f"test-{len(list(home.lake.glob('_delta_log/*')))}"
    ingest_batches(home, "test", key, lambda: in_batches(posts), Context())


def public(post: Post, **changed) -> Post:
    fields = {name: getattr(post, name) for name in Post.__slots__}
    return Post(**(fields | {"visibility": "public", "source": "test", "language": "en"} | changed))


def make_full_home(path: Path) -> Home:
    """A home in which everything of `GOING` is due, and nothing is erased yet."""
    home = create_home(path)
    town = list(town_posts(TownConfig(posts=600)))
    second = Post(
        "2001",
        "cy",
        "The second of two versions says gribbleforth of the tram again",
        DAY,
        version_of="2000",
    )
    placed = Post(
        "placed-1",
        "dee",
        "I wrote this one on my way home from the market",
        DAY,
        place="Quonterstreet 7",
    )
    copy = Post("copy-2", "eve", GOING["a copied post"].text, DAY + timedelta(days=1))
    answer = Post(
        "answer-1", "fay", "I answer the heron with a sentence of my own", DAY, reply_to="gone-1"
    )
    in_lake(
        home, *town, *(public(post) for post in [*GOING.values(), second, placed, copy, answer])
    )
    _put_aside(home)
    corpus = build_corpus(home, Context())
    tokenizer = train_tokenizer(home, corpus, Context(), 384)
    write_shards(home, corpus, load_tokenizer(tokenizer), Context())
    build_index(home, HashedEmbedder(), Context())
    edit = public(
        GOING["an edited post"],
        text="What I wrote here is better now, and longer",
        edited=DAY + timedelta(1),
    )
    version = public(
        GOING["a replaced post"],
        id="1001",
        text="After the correction it is a spark",
        version_of="1000",
    )
    in_lake(home, edit, version)
    write_shards(home, build_corpus(home, Context()), load_tokenizer(tokenizer), Context())
    _follow(home)
    _leave_unfinished(home)
    _forget(home)
    return home


def _put_aside(home: Home) -> None:
    """One row as it is set aside now, and the same as an earlier release kept it."""
    other = public(
        GOING["a post"], text="Under the same id somebody says vexelmorph, which is set aside"
    )
    in_lake(home, other)
    row = to_batch([other]).to_pylist()[0]
    old = {"where": f"id {other.id}", "reason": "id_taken", "row": row}
    (home.set_aside / "earlier.jsonl").write_text(f"{json.dumps(old, default=str)}\n")


def _follow(home: Home) -> None:
    """One post waits for the lake, and one that waited has left its words on a free page."""
    with live_log(home) as log:
        inbox = Inbox(log)
        log.execute(
            "PRAGMA secure_delete = OFF"
        )  # some builds of SQLite wipe free pages by themselves
        before = public(
            Post("gone-before", "kim", "thrumbleword has been here for a moment " * 200, DAY)
        )
        inbox.store("stream", [StreamMessage((before,))], Context().clock)
        inbox.taken(1)
        waiting = public(Post("gone-waiting", "kim", "clappernudge waits here for the lake", DAY))
        placed = public(
            Post("waits-1", "dee", "This was written on the way", DAY, place="Quonterstreet 8")
        )
        inbox.store(
            "stream",
            [StreamMessage((waiting, placed), aliases=(("7", "gone-waiting"),))],
            Context().clock,
        )


def _leave_unfinished(home: Home) -> None:
    """What a kill leaves: parts of a corpus, a segment of an index, a file that the lake does not
    name, rows set aside by half an ingest.
    """
    rows = pa.table({"text": [post.text for post in GOING.values()]})
    for folder in ("artifacts/corpus/0123456789abcdef/scratch/parts", "search/0123456789abcdef"):
        (home.path / folder).mkdir(parents=True)
        pq.write_table(rows, home.path / folder / "part.parquet", compression="zstd")
    pq.write_table(rows, next(home.lake.glob("month=*")) / "00000099-killed-0.parquet")
    (home.set_aside / "killed.part").write_text(json.dumps({"row": GOING["a post"].text}))


def _forget(home: Home) -> None:
    long_ago = datetime(2025, 1, 1, tzinfo=UTC)
    subjects = ["gone-1", "copied-1", "2001", "gone-waiting", "gone-before"]
    events = [Event("forget_post", subject) for subject in subjects] + [
        Event("forget_author", "zelda_gone")
    ]
    events += [
        Event("state_author", "dora_left", "deleted", "on", long_ago),
        Event("scrub_place", "dee"),
    ]
    with live_log(home) as log:
        log.record(events, Context().clock)


OWED = ("tokenizer", "checkpoint", "export")


def walk(home: Home, needle: bytes) -> set[str]:
    """The files under the home in which some bytes stand, whatever the format hides; what is owed
    is left out.
    """
    files = [path for path in home.path.rglob("*") if path.is_file()]
    files = [
        path
        for path in files
        if path.relative_to(home.path).parts[:2] not in {("artifacts", k) for k in OWED}
    ]
    found = {
        path.relative_to(home.path).as_posix()
        for path in files
        if any(needle in part for part in readings(path))
    }
    return found | {
        f"{path.name}'s terms"
        for path in home.search.glob("*/text")
        if _has_term(path, needle.decode())
    }


def walk_tokens(home: Home, text: str) -> set[str]:
    """The shards in which the tokens of a text stand one after the other."""
    tokens = np.asarray(load_tokenizer(home.newest("tokenizer")).encode([text])[0], "<u2").tobytes()
    paths = [*home.artifacts.glob("shards/*/*.tokens"), *home.artifacts.glob("shards/*/scratch/*")]
    return {path.relative_to(home.path).as_posix() for path in paths if tokens in path.read_bytes()}


def readings(path: Path) -> Iterator[bytes]:
    """A file's bytes (with SQLite's free pages, Parquet's statistics), and what they say when they
    are decoded.
    """
    raw = path.read_bytes()
    yield raw
    if raw[:4] == b"PAR1":
        yield _plain(pq.ParquetFile(path).read())
    elif raw[:6] == b"ARROW1":
        yield _plain(pa.ipc.open_file(path).read_all())
    elif raw[:2] == b"\x1f\x8b":
        yield gzip.decompress(raw)
    elif raw[:4] == b"\x28\xb5\x2f\xfd":
        yield zstandard.ZstdDecompressor().decompressobj().decompress(raw)
    elif raw[:15] == b"SQLite format 3":
        connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
        yield "\n".join(connection.iterdump()).encode()
        connection.close()


def _plain(table: pa.Table) -> bytes:
    return json.dumps(table.to_pylist(), default=str, ensure_ascii=False).encode()


def _has_term(folder: Path, word: str) -> bool:
    index = tantivy.Index.open(str(folder))
    fields = {"exact": word, "terms": word, "id": word, "author": word.lower()}
    queries = (
        tantivy.Query.term_query(index.schema, field, value) for field, value in fields.items()
    )
    return any(index.searcher().search(query, 1).count for query in queries)
