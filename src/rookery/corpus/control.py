"""Control tokens: the language, year and engagement of a document, as tokens before its text.

No text can spell these tokens, so a model can be asked for a kind of document by them (after CTRL,
Keskar et al. 2019). A document's controls are names such as `<|language:en|>`, `<|time:2016|>` and
`<|engagement:2|>`; what is unknown of it is left out. This module only names them: the tokenizer
gives them ids (tokenizer.py), and the shards put them before the document (shards.py).

They are off unless asked for (`--set controls=true`), since a model that is judged on plain text
should learn plain text.
"""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

UNKNOWN = -1
"""The number of reactions where the source states none."""
KINDS = ("language", "time", "engagement")
"""The kinds of control tokens, in the order in which a document carries them."""
ENGAGEMENT_LEVELS = (1, 10, 100)
"""The numbers of likes, reposts and replies together at which levels 1, 2 and 3 begin.

Level 0 is a post without any reaction. The limits are powers of ten, since reactions are spread
over orders of magnitude, and fixed, so that a level means the same in every corpus.
"""


def name(kind: str, value: object) -> str:
    """Return the control token of a value: `name("language", "en")` is `<|language:en|>`."""
    return f"<|{kind}:{value}|>"


def reactions(likes: pa.Array, reposts: pa.Array, replies: pa.Array) -> pa.Array:
    """Add up the reactions to each post, as int64; null where the source states no count at all."""
    counts = [pc.cast(count, pa.int64()) for count in (likes, reposts, replies)]
    known = pc.or_(pc.or_(*(pc.is_valid(count) for count in counts[:2])), pc.is_valid(counts[2]))
    total = pc.add(
        pc.add(*(pc.fill_null(count, 0) for count in counts[:2])), pc.fill_null(counts[2], 0)
    )
    return pc.if_else(known, total, pa.scalar(None, pa.int64()))


def controls(language: pa.Array, created: pa.Array, reaction_count: np.ndarray) -> pa.ListArray:
    """Return the control tokens of each document: language, year (UTC) and engagement level.

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
