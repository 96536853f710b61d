"""Control tokens: what a document is, said before it in tokens that no text can spell. A model can
be asked by them.

After CTRL (Keskar et al. 2019). A document's controls are names such as `<|language:en|>`,
`<|time:2016|>` and `<|engagement:2|>`; what is not known of it is not said. Here they are only
named: the tokenizer gives them ids, and the shards put them before the document.

Off unless asked for (`--set controls=true`): a model that is judged on plain text should learn
plain text.
"""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

UNKNOWN = -1
"""What stands for the number of reactions where it is not told."""
KINDS = ("language", "time", "engagement")
"""In the order in which a document says them."""
ENGAGEMENT_LEVELS = (1, 10, 100)
"""Level 0 is a post without any reaction; levels 1, 2 and 3 begin at so many likes, reposts and
replies together.

By powers of ten, since reactions are spread over orders of magnitude; fixed, so that a level means
the same in every corpus.
"""


def name(kind: str, value: object) -> str:
    """The control token of a value: `name("language", "en")` is `<|language:en|>`."""
    return f"<|{kind}:{value}|>"


def reactions(likes: pa.Array, reposts: pa.Array, replies: pa.Array) -> pa.Array:
    """int64: all reactions to each post, of those counts that the source tells; null where it tells
    none.
    """
    counts = [pc.cast(count, pa.int64()) for count in (likes, reposts, replies)]
    known = pc.or_(pc.or_(*(pc.is_valid(count) for count in counts[:2])), pc.is_valid(counts[2]))
    total = pc.add(
        pc.add(*(pc.fill_null(count, 0) for count in counts[:2])), pc.fill_null(counts[2], 0)
    )
    return pc.if_else(known, total, pa.scalar(None, pa.int64()))


def controls(language: pa.Array, created: pa.Array, reaction_count: np.ndarray) -> pa.ListArray:
    """The control tokens of each document: its language, the year of `created` (UTC), its
    engagement level.

    reaction_count: int64 (documents,), -1 where it is unknown.
    """
    level = np.searchsorted(ENGAGEMENT_LEVELS, reaction_count, side="right")
    level = pa.array(level, mask=reaction_count == UNKNOWN)
    columns = [
        _names("language", language),
        _names("time", pc.year(created)),
        _names("engagement", level),
    ]
    rows = np.stack([column.to_numpy(zero_copy_only=False) for column in columns], axis=1)
    known = rows != None  # noqa: E711
    ends = np.concatenate([[0], np.cumsum(known.sum(axis=1))])
    return pa.ListArray.from_arrays(pa.array(ends, pa.int32()), pa.array(rows[known], pa.string()))


def _names(kind: str, values: pa.Array) -> pa.Array:
    text = pc.cast(values, pa.string())
    return pc.binary_join_element_wise(f"<|{kind}:", text, "|>", "")
