"""The campaign file: what is read, and the error line for each mistake."""

import re
import sys

import pytest

from rookery.ads.terms import campaigns as module
from rookery.ads.terms.campaigns import load_campaigns
from rookery.cli.main import main
from rookery.core.errors import DataError, UsageError
from rookery.core.home import create_home

LEAST = """\
currency = "EUR"
[[campaign]]
id = "tea"
advertiser = "Tea House"
title = "Tea"
body = "Forty teas."
url = "https://example.com/tea"
bid = 0.25
budget = 50
"""


@pytest.fixture
def loaded(tmp_path):
    def load(text: str | bytes):
        path = tmp_path / "campaigns.toml"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return load_campaigns(path)

    return load


def test_the_documented_example_loads_with_every_field(loaded):
    example = "\n".join(line[4:] for line in module.__doc__.splitlines() if line.startswith("    "))
    (tea,) = loaded(example).campaigns
    assert (tea.bid_micros, tea.budget_micros, tea.daily_budget_micros) == (
        250_000,
        50_000_000,
        5_000_000,
    )
    assert (tea.keywords, tea.excluded_words, tea.languages) == (
        ("tea", "old harbour"),
        ("coffee",),
        ("en", "de"),
    )
    assert (tea.end_seconds - tea.start_seconds) == 31 * 86_400
    assert tea.views_per_viewer_per_day == 3
    assert not tea.paused


def test_a_time_without_zone_is_utc_and_one_with_zone_is_kept(loaded):
    (tea,) = loaded(
        LEAST + "start = 2026-01-01T08:00:00\nend = 2026-01-01T10:00:00+01:00"
    ).campaigns
    assert tea.end_seconds - tea.start_seconds == 3600


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('id = "tea"', 'id = "Tea!"', "campaign Tea!: id must be up to 64 small letters"),
        ("bid = 0.25", "", "campaign tea: bid is missing"),
        (
            "bid = 0.25",
            'bid = "0.25"',
            "campaign tea: bid must be an amount such as 0.25, without quotes",
        ),
        (
            "bid = 0.25",
            "bid = 0.0000001",
            "bid must be an amount above 0 with at most six decimals",
        ),
        ("bid = 0.25", "bid = -1", "bid must be an amount above 0"),
        ("bid = 0.25", "bid = nan", "bid must be an amount above 0"),
        ("bid = 0.25", "bid = true", "bid must be an amount"),
        ("bid = 0.25", "bid = 51", "bid 51.00 is above the budget"),
        (
            "budget = 50",
            "budget = 50\ndaily_budget = 60",
            "daily_budget 60.00 is above budget 50.00",
        ),
        ("budget = 50", "budget = 50\ndaily_budget = 0.2", "bid 0.25 is above the budget"),
        (
            "budget = 50",
            "budget = 50\nkeyword = []",
            "unknown field keyword; did you mean keywords?",
        ),
        ("budget = 50", 'budget = 50\nkeywords = "tea"', "keywords must be a list"),
        ("budget = 50", 'budget = 50\nkeywords = ["…"]', "keywords must be words"),
        ("budget = 50", 'budget = 50\nlanguages = ["English"]', "languages must be language codes"),
        (
            "budget = 50",
            'budget = 50\nstart = "2026-01-01"',
            "start must be a date or time without quotes",
        ),
        (
            "budget = 50",
            "budget = 50\nstart = 2026-02-01\nend = 2026-02-01",
            "end must be later than start",
        ),
        (
            "budget = 50",
            "budget = 50\nviews_per_viewer_per_day = 0",
            "must be a whole number from 1 to 1000, not 0",
        ),
        ("budget = 50", 'budget = 50\npaused = "no"', "paused must be true or false"),
        ('title = "Tea"', 'title = ""', "title must be one line of 1 to 80 characters"),
        ('title = "Tea"', 'title = "Tea\\u0000"', "title must be one line"),
        ("https://example.com/tea", "javascript:alert(1)", "url must be a web address"),
        ("https://example.com/tea", "https:///tea", "url must be a web address"),
        ('currency = "EUR"', 'currency = "euro"', "currency must be three capital letters"),
        ('currency = "EUR"', "", "currency is missing"),
        ('currency = "EUR"', 'currency = "EUR"\ncolour = 1', "unknown setting colour"),
        ("[[campaign]]", "[campaign]", "there is no campaign in it"),
    ],
)
def test_a_wrong_field_is_refused_by_name(loaded, old, new, message):
    assert old in LEAST
    with pytest.raises(DataError, match=re.escape(message)):
        loaded(LEAST.replace(old, new))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "currency is missing"),
        ('currency = "EUR"', "there is no campaign in it"),
        ("currency =", "not valid TOML"),
        (b"\xff\xfe", "not valid TOML"),
        (LEAST + LEAST.partition("\n")[2], "campaign tea: two campaigns have this id"),
        ('currency = "EUR"\ncampaign = [1]', "each campaign begins with a line"),
    ],
)
def test_a_file_that_is_no_campaign_file_is_refused(loaded, text, message):
    with pytest.raises(DataError, match=re.escape(message)) as caught:
        loaded(text)
    assert "campaigns.toml" in caught.value.line()


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(UsageError, match="cannot be read: No such file"):
        load_campaigns(tmp_path / "none.toml")


def _run(monkeypatch, *words) -> int:
    monkeypatch.setattr(sys, "argv", ["rookery", *map(str, words)])
    with pytest.raises(SystemExit) as ended:
        main()
    return ended.value.code or 0


def test_the_command_refuses_a_malformed_file_in_one_line_and_takes_nothing_in(
    tmp_path, monkeypatch, capsys
):
    home, path = create_home(tmp_path / "home").path, tmp_path / "campaigns.toml"
    path.write_text(
        LEAST + LEAST.partition("\n")[2].replace('"tea"', '"two"').replace("0.25", "-1")
    )
    assert _run(monkeypatch, "ads", "campaigns", path, "--home", home) == 2
    shown = capsys.readouterr()
    assert shown.err.count("\n") == 1
    assert "campaign two: bid must be an amount above 0" in shown.err
    assert str(path) in shown.err
    assert _run(monkeypatch, "ads", "report", "--home", home, "--json") == 0
    assert '"campaigns": []' in capsys.readouterr().out


def test_the_command_takes_a_file_in_and_lists_it(tmp_path, monkeypatch, capsys):
    home, path = create_home(tmp_path / "home").path, tmp_path / "campaigns.toml"
    path.write_text(LEAST)
    assert _run(monkeypatch, "ads", "campaigns", path, "--home", home) == 0
    assert "tea" in capsys.readouterr().out
