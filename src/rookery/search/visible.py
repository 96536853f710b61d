"""What may be shown at this moment: the gate again, with the policy and the live log as of now.

The index was built through the gate; since then a post may have been hidden or edited, or the
policy may have changed. Everything that leaves this package passes here last. The rules themselves
are in `posts/rights.py`.
"""

from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from rookery.core.home import Home
from rookery.posts.live import live_log
from rookery.posts.post import Use
from rookery.posts.rights import gate

EDITED = "edited"
"""The lake has a later text than the index; the next build shows that."""


def reasons_against(home: Home, rows: pa.Table, use: Use, lake_version: int) -> list[str | None]:
    """Return for each row why its post may not be shown now, or None if it may.

    The rows are as they were in a version of the lake.
    """
    posts = list(zip(rows["id"].to_pylist(), rows["author"].to_pylist(), strict=True))
    with live_log(home) as log:
        restrictions = log.restrictions_among(posts)
    reasons = gate(rows, use, home.settings.rights.policy, restrictions).to_pylist()
    edited = (restrictions.edited.get(post, 0) > lake_version for post, _ in posts)
    return [
        reason or (EDITED if is_edited else None)
        for reason, is_edited in zip(reasons, edited, strict=True)
    ]


def still_visible(home: Home, posts: Sequence[Any], use: Use, lake_version: int) -> list[bool]:
    """Return for each post (with `id` and `author`) shown a moment ago whether it still may be."""
    with live_log(home) as log:
        restrictions = log.restrictions_among([(post.id, post.author) for post in posts])
    return [not restrictions.forbids(use, post.id, post.author, lake_version) for post in posts]
