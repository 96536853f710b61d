"""What may be shown at this moment: the gate, asked again with the policy and the live log of now.

The index was built through the gate; since then a post may have been hidden or the policy
changed. Everything that leaves this package passes here last.
"""

from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from rookery.core.home import Home
from rookery.posts.live import live_log
from rookery.posts.post import Use
from rookery.posts.rights import gate


def reasons_against(home: Home, rows: pa.Table, use: Use) -> list[str | None]:
    """For each row, why it may not be shown now; None where it may."""
    posts = list(zip(rows["id"].to_pylist(), rows["author"].to_pylist(), strict=True))
    with live_log(home) as log:
        standing = log.standing_among(posts)
    return gate(rows, use, home.settings.rights.policy, standing).to_pylist()


def still_visible(home: Home, posts: Sequence[Any]) -> list[bool]:
    """Whether posts (with `id` and `author`) that were shown a moment ago are still not hidden."""
    with live_log(home) as log:
        standing = log.standing_among([(post.id, post.author) for post in posts])
    return [not standing.hides(post.id, post.author) for post in posts]
