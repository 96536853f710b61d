"""What stands for nothing in a table: blanks, and the words that programs write for it.

In the text of a post these words are words, so that this is not asked of it.
"""

import pyarrow as pa
import pyarrow.compute as pc

NULL_WORDS = ("nan", "NaN", "NULL", "null", "None", "\\N", "NA", "NaT", "<NA>")
"""What pandas, R, MySQL and PostgreSQL write for a missing value."""
_NOTHING = pa.array(["", *NULL_WORDS])


def without_missing(column: pa.Array) -> pa.Array:
    """Return a column as texts without white space around them, null where there is no value."""
    texts = pc.utf8_trim_whitespace(column.cast(pa.string()))
    is_missing = pc.is_in(texts, _NOTHING)
    return pc.if_else(is_missing, None, texts) if pc.any(is_missing).as_py() else texts
