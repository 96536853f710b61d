"""Facts on a terminal."""

import pytest

from rookery.cli.show import show_facts


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0.00021, "0.0002"), (0.02, "0.02"), (0.0, "0"), (1234.56, "1,234.6"), (1234, "1,234"), (True, "yes")],
)
def test_a_number_is_shown_short_and_a_small_one_not_as_nothing(capsys, value, shown):
    show_facts({"fact": value})
    assert capsys.readouterr().out.split() == ["fact", shown]
