"""A repository's export: posts are read in order, with their owner's consent; damage is refused."""

import gzip
import hashlib
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rookery.core.context import FixedClock
from rookery.core.errors import DataError
from rookery.posts.event import Event
from rookery.posts.live import live_log
from rookery.posts.sources import atproto_repo, formats
from rookery.posts.sources.atproto_repo import read
from rookery.posts.sources.files import SetAside
from tests.posts.repository_writer import DID, Link, Repository, car, cbor

REV_TIME = datetime(2025, 10, 9, 8, 53, 20, tzinfo=UTC)
REV = "".join(
    "234567abcdefghijklmnopqrstuvwxyz"[1_760_000_000_000_000 << 10 >> 5 * n & 31]
    for n in range(12, -1, -1)
)
POST = {
    "$type": "app.bsky.feed.post",
    "text": "a rook",
    "langs": ["en"],
    "createdAt": "2024-10-07T12:00:00.000Z",
}
NO_LOGIN = {"labels": {"values": [{"val": "!no-unauthenticated"}]}}


def an_export(records, **change) -> bytes:
    repository = Repository()
    root = repository.commit(records, REV, **change)
    return car(root, repository.blocks)


def posts(n, **change):
    return {
        f"app.bsky.feed.post/r{number:05}": POST | {"text": f"rook {number}"} | change
        for number in range(n)
    }


@pytest.fixture
def reading(tmp_path):
    def reading(data, name="repo.car"):
        path = tmp_path / name
        path.write_bytes(data)
        batches = list(read(path))
        aside = [item for _, beside in batches for item in beside if isinstance(item, SetAside)]
        return [row for batch, _ in batches for row in batch.to_pylist()], aside

    return reading


@pytest.mark.parametrize("n", [0, 1, 2, 500])
def test_all_posts_of_a_tree_are_read_in_the_order_of_their_keys(reading, n):
    found, aside = reading(an_export(posts(n)))
    assert [post["id"] for post in found] == [
        f"at://{DID}/app.bsky.feed.post/r{number:05}" for number in range(n)
    ]
    assert [post["text"] for post in found] == [f"rook {number}" for number in range(n)]
    assert aside == []


def test_a_record_becomes_the_same_post_as_in_the_stream(reading):
    reply = {
        "root": {"uri": "at://did:plc:bo/app.bsky.feed.post/1"},
        "parent": {"uri": "at://x/app.bsky.feed.post/2"},
    }
    image = {
        "$type": "app.bsky.embed.images",
        "images": [{"alt": "a bird", "image": {"ref": Link(b"\x01\x55\x12\x20" + b"0" * 32)}}],
    }
    (post,), _ = reading(an_export(posts(1, reply=reply, embed=image)))
    assert post == post | {
        "author": DID,
        "language": "en",
        "created": datetime(2024, 10, 7, 12, tzinfo=UTC),
        "visibility": "public",
        "reply_to": "at://x/app.bsky.feed.post/2",
        "conversation": "at://did:plc:bo/app.bsky.feed.post/1",
        "alt_text": "a bird",
        "source": "atproto_repo",
    }


def test_a_clock_of_the_future_gives_way_to_the_commits(reading):
    (post,), _ = reading(an_export(posts(1, createdAt="2999-01-01T00:00:00Z")))
    assert post["created"] == REV_TIME


def test_other_records_are_set_aside_by_address_and_the_owners_word_is_noted(
    reading, tmp_path, restrictions_of
):
    records = posts(1) | {
        "app.bsky.feed.like/a": {"subject": {}},
        "app.bsky.feed.repost/a": {"subject": {}},
        "app.bsky.feed.post/empty": POST | {"text": ""},
        "app.bsky.actor.profile/self": NO_LOGIN,
        "org.user-intents.declaration/self": {"bulkDataset": {"allow": False}},
    }
    found, aside = reading(an_export(records))
    assert len(found) == 1
    assert sorted((item.reason, item.row["id"].rpartition("/")[2]) for item in aside) == [
        ("no_text", "empty"),
        ("other_collection", "a"),
        ("repost", "a"),
    ]
    restrictions = restrictions_of(read(tmp_path / "repo.car"))
    assert (restrictions.authors, restrictions.consent["training"]) == (
        {DID: "signed_in_only"},
        {DID: False},
    )


@pytest.mark.parametrize(
    ("declared", "consent"),
    [
        ("2025-01-01T00:00:00Z", False),
        ("2025-03-01T00:00:00Z", True),
        ("2999-01-01T00:00:00Z", True),
    ],
)
def test_an_old_word_does_not_pass_for_a_new_one(
    tmp_path, home, restrictions_of, declared, consent
):
    with live_log(home) as log:
        no = Event(
            "consent_author", DID, "training", "no", datetime(2025, 2, 1, tzinfo=UTC), "by hand"
        )
        log.record([no], FixedClock())
    path = tmp_path / "repo.car"
    stance = {"allow": True, "updatedAt": declared}
    path.write_bytes(
        an_export({"community.lexicon.preference.ai/self": {"preferences": {"training": stance}}})
    )
    assert restrictions_of(read(path)).consent["training"] == {DID: consent}


def test_it_is_known_by_its_content_and_read_through_compression(tmp_path, reading):
    data = an_export(posts(3))
    path = tmp_path / "download.gz"
    path.write_bytes(gzip.compress(data))
    assert formats.source_of(path) is atproto_repo
    assert len(reading(gzip.compress(data), "repo.car.gz")[0]) == 3


def altered(change):
    repository = Repository()
    root = repository.commit(posts(50), REV)
    return car(*change(root, repository.blocks))


def without_the_root_of_the_tree(root, blocks):
    return root, {cid: block for cid, block in blocks.items() if cid != list(blocks)[-2]}


def in_a_circle(root, blocks):
    other = Repository()
    leaf = other.tree({})
    node = other.add(
        {"l": leaf, "e": [{"p": 0, "k": b"app.bsky.feed.post/1", "v": leaf, "t": leaf}]}
    )
    return other.add(
        {"did": DID, "version": 3, "data": node, "rev": REV, "prev": None}
    ), other.blocks


def out_of_order(root, blocks):
    other = Repository()
    record = other.add(POST)
    entries = [
        {"p": 0, "k": key, "v": record, "t": None}
        for key in (b"app.bsky.feed.post/2", b"app.bsky.feed.post/1")
    ]
    data = other.add({"l": None, "e": entries})
    return other.add(
        {"did": DID, "version": 3, "data": data, "rev": REV, "prev": None}
    ), other.blocks


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "empty"),
        (b"hello", "cannot be read"),
        (an_export(posts(9))[:-1], "cut short"),
        (an_export(posts(9))[:-3].replace(b"rook 4", b"rook X"), "does not match its hash"),
        (altered(lambda root, blocks: (Link(root[:-1] + b"?"), blocks)), "is missing"),
        (altered(lambda root, blocks: (Link(next(iter(blocks))), blocks)), "cannot be read"),
        (altered(without_the_root_of_the_tree), "is missing"),
        (altered(in_a_circle), "back to itself"),
        (altered(out_of_order), "out of order"),
        (an_export(posts(1), did="ada"), "not the commit"),
        (an_export(posts(1), version=1), "not the commit"),
        (cbor({"version": 1, "roots": []}), "cannot be read"),
        (b"\xff\xff\xff\xff\x0f" + b"x" * 99, "bytes long"),
        (b"\xff" * 20, "not a valid number"),
    ],
)
def test_what_is_no_whole_repository_is_refused_with_one_line(reading, data, words):
    with pytest.raises(DataError, match=words):
        reading(data)


RAW, DAG_PB, VERSION_0, BLAKE3 = (
    b"\x01\x55\x12\x20", b"\x01\x70\x12\x20", b"\x12\x20", b"\x01\x71\x1e\x20"
)  # fmt: skip
BAD = {
    "missing": lambda repository: Link(b"\x01\x71\x12\x20" + b"?" * 32),
    "raw": lambda repository: repository.add_block(b"a picture", RAW),
    "of_dag_pb": lambda repository: repository.add_block(cbor(POST), DAG_PB),
    "of_version_0": lambda repository: repository.add_block(cbor(POST), VERSION_0),
    "of_another_hash": lambda repository: repository.add_block(cbor(POST), BLAKE3),
    "broken": lambda repository: repository.add_block(cbor(POST)[:-1]),
    "not_cbor": lambda repository: repository.add_block(b"\xff\xff"),
    "deep": lambda repository: repository.add_block(b"\x81" * 100_000),
    "a_number": lambda repository: repository.add_block(b"\x01"),
}
REASONS = {
    "missing": "block_is_missing", "raw": "block_of_another_kind",
    "of_dag_pb": "block_of_another_kind", "of_version_0": "block_of_another_kind",
    "of_another_hash": "block_of_another_kind", "broken": "not_decodable",
    "not_cbor": "not_decodable", "deep": "not_decodable", "a_number": "not_a_record",
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_one_bad_record_costs_one_record(reading, name):
    repository = Repository()
    bad = {f"app.bsky.feed.post/{name}": BAD[name](repository)}
    root = repository.commit(posts(20) | bad, REV)
    found, (aside,) = reading(car(root, repository.blocks))
    assert len(found) == 20
    uri = f"at://{DID}/app.bsky.feed.post/{name}"
    assert (aside.reason, aside.row, aside.id, aside.author) == (
        REASONS[name], {"id": uri}, uri, DID
    )  # fmt: skip


@pytest.mark.parametrize("kind", [RAW, DAG_PB])
def test_a_tree_of_another_kind_is_refused(reading, kind):
    repository = Repository()
    whole = repository.tree(posts(5))
    node = repository.add_block(repository.blocks[whole], kind)
    root = repository.add({"did": DID, "version": 3, "data": node, "rev": REV, "prev": None})
    with pytest.raises(DataError, match="of another kind"):
        reading(car(root, repository.blocks))


@pytest.mark.parametrize("kind", [b"\x02\x71\x12\x20", b"\x01\x71\x12\x7f", b"\x01" + b"\xff" * 9])
def test_a_name_of_a_block_that_is_none_is_refused(reading, kind):
    repository = Repository()
    root = repository.commit(posts(2), REV)
    repository.add_block(b"x", kind)
    with pytest.raises(DataError, match="cannot be read"):
        reading(car(root, repository.blocks))


@settings(max_examples=200)
@given(st.integers(0, 10**6), st.binary(max_size=6))
def test_damage_anywhere_is_noticed(tmp_path_factory, place, noise):
    """A file is refused, unless the damage makes the name of a block into the name of another."""
    data = bytearray(an_export(posts(9)))
    place %= len(data)
    changed = bytes(data[:place]) + noise + bytes(data[place + len(noise) :])
    path = tmp_path_factory.mktemp("car") / "repo.car"
    path.write_bytes(changed[: len(data)])
    if changed[: len(data)] == data:
        return
    try:
        ((batch, beside),) = read(path)
    except DataError:
        return
    assert {item.reason for item in beside} == {"block_is_missing"}
    assert batch.num_rows + len(beside) == 9


def test_a_blob_beside_the_records_is_checked_and_passed_over(reading):
    blob = b"a picture"
    name = bytes.fromhex("01551220") + hashlib.sha256(blob).digest()
    whole = an_export(posts(3)) + bytes([len(name + blob)]) + name + blob
    assert len(reading(whole)[0]) == 3
    with pytest.raises(DataError, match="does not match its hash"):
        reading(whole[:-1] + b"?")
