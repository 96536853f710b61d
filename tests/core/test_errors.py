"""Errors: one line, whatever went into it, and the exit code of the promise."""

import pytest

from rookery.core import errors


def test_an_error_is_one_line_with_what_where_and_mend():
    error = errors.DataError("the file\nis empty", where="a.csv", hint="Give\tanother")
    assert error.line() == str(error) == "the file is empty (a.csv). Give another"
    assert errors.RookeryError("only what").line() == "only what"


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("UsageError", 2),
        ("DataError", 2),
        ("StorageError", 2),
    ],
)
def test_wrong_use_and_bad_input_end_with_two(name, code):
    assert getattr(errors, name).exit_code == code
