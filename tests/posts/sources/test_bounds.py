"""Posts outside the limits are set aside with their reason, whatever their source."""

from datetime import UTC, datetime, timedelta

import pytest

from rookery.posts.post import to_batch
from rookery.posts.sources.bounds import LONGEST_CHARACTERS, within_bounds

NOW = datetime(2026, 1, 10, tzinfo=UTC)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({}, None),
        ({"created": datetime(1, 1, 1, tzinfo=UTC)}, "wrong_clock"),
        ({"created": datetime(1970, 1, 1, tzinfo=UTC)}, "wrong_clock"),
        ({"created": datetime(1995, 1, 1, tzinfo=UTC)}, None),
        ({"created": NOW + timedelta(hours=23)}, None),
        ({"created": NOW + timedelta(hours=25)}, "wrong_clock"),
        ({"created": datetime(9999, 12, 31, tzinfo=UTC)}, "wrong_clock"),
        ({"edited": datetime(2400, 1, 1, tzinfo=UTC)}, "wrong_clock"),
        ({"text": "é" * LONGEST_CHARACTERS}, None),
        ({"text": "é" * 10_000_000}, "too_long"),
        ({"author": "https://m.example/" + "x" * 8_000}, "too_long"),
        ({"text": "a\x00b\x1b\u202e\ufffd"}, None),
    ],
)
def test_a_post_out_of_bounds_is_set_aside_and_its_neighbours_stay(a_post, change, reason):
    batch = to_batch([a_post(id="before"), a_post(id="odd", **change), a_post(id="after")])
    ((kept, aside),) = within_bounds(iter([(batch, [])]), NOW)
    assert kept["id"].to_pylist() == (["before", "after"] if reason else ["before", "odd", "after"])
    assert [(item.where, item.reason) for item in aside] == ([("id odd", reason)] if reason else [])
    assert all(len(str(item.row)) < 1000 for item in aside)


def test_a_name_of_megabytes_is_set_aside_by_its_beginning(a_post):
    batch = to_batch([a_post(id="x" * 5_000_000)])
    ((kept, aside),) = within_bounds(iter([(batch, [])]), NOW)
    assert (kept.num_rows, [item.reason for item in aside]) == (0, ["too_long"])
    assert len(aside[0].where) < 10_000
