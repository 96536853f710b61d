"""Columns of ids: of posts, authors, threads. An id that a spreadsheet has rounded is no id.

Programs that take ids for numbers write them as floats: 123 becomes `123.0`, which is mended, and
1577856600123456789 becomes `1.57785660012346E+18`, which cannot be: many posts then share one id,
and strangers one thread. A float holds whole numbers up to 2^53 exactly. The column is judged
whole, because a value alone does not show what it is: `1e5` may be a name among names, and is a
number only where at least half of the values are numbers.
"""

from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from rookery.posts.sources.tables.missing import without_missing

EXACT = {pa.float16(): 2**11, pa.float32(): 2**24, pa.float64(): 2**53}
"""The whole numbers that a float of each type holds exactly."""
_PLAIN = r"^[0-9]+$"
_NUMBER = r"^[+-]?[0-9]+(\.[0-9]*)?([eE][+-]?[0-9]+)?$"
_SPREADSHEET = r"^[0-9]\.[0-9]+E\+[0-9]{2,}$"
"""What only a spreadsheet writes, so that no other value of the column has to agree."""
_WHOLE_FLOAT = r"^([+-]?[0-9]+)\.0*$"
_FRACTION = r"\.0*[1-9]"
_HINT = (
    "The missing digits cannot be restored: export the ids as text, or leave the column out by "
    "naming the others with --map"
)


@dataclass(frozen=True)
class IdReading:
    """The decision how a column of ids is read.

    is_float: whether the fraction `.0` is cut off. refusal, hint: why the column cannot be read,
    and what would help.
    """

    how: str
    why: str
    is_float: bool = False
    refusal: str | None = None
    hint: str | None = None

    def read(self, column: pa.Array) -> pa.Array:
        """Return a column as ids, null where there is none."""
        if pa.types.is_floating(column.type):
            column = _without_nan(column)
            if self.is_float:
                column = column.cast(pa.int64())
            return column.cast(pa.string())
        texts = without_missing(column)
        return pc.replace_substring_regex(texts, _WHOLE_FLOAT, r"\1") if self.is_float else texts


class IdsJudge:
    """The values of a column so far: how many are numbers, and which of them were rounded."""

    def __init__(self) -> None:
        self._values = 0
        self._numbers = 0
        self._whole_floats = 0
        self._has_fraction = False
        self._notation: list[str] = []
        self._spreadsheet: list[str] = []
        self._too_large: list[str] = []

    def look(self, column: pa.Array) -> None:
        """Look at the next batch of the column."""
        if pa.types.is_floating(column.type):
            self._look_at_floats(_without_nan(column).drop_null())
        elif pa.types.is_integer(column.type):
            self._values += len(column) - column.null_count
        else:
            self._look_at_texts(without_missing(column).drop_null())

    def reading(self) -> IdReading:
        """Return the reading that the values seen decide."""
        are_numbers = 2 * self._numbers >= self._values
        rounded = self._notation + self._too_large if are_numbers else self._spreadsheet
        if rounded:
            shown = " and ".join(map(repr, rounded[:2]))
            return IdReading("ids", "", False, f"holds ids that were rounded: {shown}", _HINT)
        if are_numbers and self._whole_floats and not self._has_fraction:
            why = f"{self._whole_floats:,} of {self._values:,} values are floats"
            return IdReading("ids, without .0", why, True)
        return IdReading("ids", f"{self._values:,} values")

    def _look_at_floats(self, values: pa.Array) -> None:
        size = pc.abs(values.cast(pa.float64()))
        whole = pc.equal(pc.floor(size), size)
        self._values += len(values)
        self._numbers += len(values)
        self._whole_floats += pc.sum(whole).as_py() or 0
        self._has_fraction |= not pc.all(whole).as_py()
        large = values.filter(pc.greater_equal(size, float(EXACT[values.type])))
        _note(self._too_large, large.cast(pa.string()))

    def _look_at_texts(self, values: pa.Array) -> None:
        is_plain = pc.match_substring_regex(values, _PLAIN)
        others = values.filter(pc.invert(is_plain))
        self._values += len(values)
        self._numbers += len(values) - len(others)
        if len(others):
            is_number = pc.match_substring_regex(others, _NUMBER)
            if pc.any(is_number).as_py():
                self._look_at_decimals(others.filter(is_number))

    def _look_at_decimals(self, values: pa.Array) -> None:
        """Look at the numbers that are not digits alone."""
        self._numbers += len(values)
        is_notation = pc.match_substring_regex(values, "[eE]")
        notation, decimals = values.filter(is_notation), values.filter(pc.invert(is_notation))
        _note(self._notation, notation)
        _note(
            self._spreadsheet,
            notation.filter(pc.match_substring_regex(notation, _SPREADSHEET)),
        )
        is_whole = pc.match_substring_regex(decimals, _WHOLE_FLOAT)
        whole = decimals.filter(is_whole)
        self._whole_floats += len(whole)
        self._has_fraction |= bool(pc.any(pc.match_substring_regex(decimals, _FRACTION)).as_py())
        long = whole.filter(pc.greater_equal(pc.binary_length(whole), 16))
        large = [text for text in long.to_pylist() if abs(int(text.split(".")[0])) >= 2**53]
        _note(self._too_large, pa.array(large, pa.string()))


def _without_nan(column: pa.Array) -> pa.Array:
    return pc.if_else(pc.is_finite(column), column, None)


def _note(noted: list[str], values: pa.Array) -> None:
    """Add different values to the few that are shown to the person."""
    if len(noted) < 2 and len(values):
        noted += [text for text in values.slice(0, 1000).unique().to_pylist() if text not in noted]
        del noted[2:]
