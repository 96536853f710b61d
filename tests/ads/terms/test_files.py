"""Files of what is sold: read in three forms, merged all or nothing, written as no change."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rookery.ads.terms.exporting import as_csv, as_json, as_toml
from rookery.ads.terms.files import Faults, read_sheet
from rookery.ads.terms.merging import merge
from rookery.ads.terms.objects import (
    DEVICES,
    LEVELS,
    MATCHES,
    PAYMENTS,
    STRATEGIES,
    Ad,
    AdBook,
    AdVersion,
    Advertiser,
    Campaign,
    Cap,
    Funding,
    Group,
    GroupBid,
    Keyword,
    Targeting,
)
from rookery.core.errors import DataError, UsageError

SHORT = """
currency = "EUR"
[[campaign]]
id = "harbour-tea"
advertiser = "Harbour Tea House"
title = "Tea above the old harbour"
body = "Forty teas, one view."
url = "https://example.com/tea"
bid = 0.25
budget = 50.00
daily_budget = 5.00
keywords = ["tea", "old harbour"]
excluded_words = ["coffee"]
languages = ["en"]
start = 2026-01-01
views_per_viewer_per_day = 3
paused = false
"""
LONG = """
currency = "EUR"
[[advertiser]]
id = "tea"
name = "Tea House"
[[funding]]
id = "purse"
advertiser = "tea"
budget = 1000
[[campaign]]
id = "spring"
advertiser = "tea"
funding = "purse"
budget = 100.5
zone = "Europe/Berlin"
start = 2026-03-29
pays_for = "conversion"
caps = ["3 views of campaign in 24 hours", {level = "ad", views = 1, hours = 2}]
[[group]]
id = "harbour"
campaign = "spring"
bid = 2.5
strategy = "target"
keywords = ["old harbour", "exact: tea", {text = "green tea", match = "word"}]
excluded = ["coffee"]
hours = ["mon-fri 8-20", "sun"]
countries = ["DE"]
devices = ["phone"]
[[ad]]
id = "first"
group = "harbour"
title = "Tea"
body = "Forty teas."
url = "https://example.com/tea"
"""


@pytest.fixture
def taken(tmp_path):
    """Merge a file into what is stored."""

    def take(text, stored=AdBook(""), suffix=".toml", encoding="utf-8"):
        path = tmp_path / f"sold{suffix}"
        path.write_text(text, encoding=encoding, newline="")
        return merge(stored, read_sheet(path))

    return take


def faults(take, *arguments, **options):
    with pytest.raises(Faults) as raised:
        take(*arguments, **options)
    return [fault.line() for fault in raised.value.faults]


def test_the_short_form_is_a_campaign_with_one_ad_that_is_new_and_so_paused(taken):
    book, changes = taken(SHORT)
    (campaign,), (group,), (ad,), (words,) = book.campaigns, book.groups, book.ads, book.versions
    assert book.advertisers == (Advertiser("harbour-tea-house", "Harbour Tea House"),)
    assert (campaign.budget_micros, campaign.daily_budget_micros) == (50_000_000, 5_000_000)
    assert campaign.caps == (Cap("campaign", 3, 86_400),)
    assert campaign.start_seconds == datetime(2026, 1, 1, tzinfo=UTC).timestamp()
    assert group.bid == GroupBid(250_000)
    assert group.targeting.keywords == (Keyword("tea"), Keyword("old harbour"))
    assert group.targeting.excluded == (Keyword("coffee"),)
    assert (campaign.paused, group.paused, ad.paused) == (True, True, True)
    assert (words.number, words.review, words.title) == (
        1,
        "unreviewed",
        "Tea above the old harbour",
    )
    assert changes.count() == {"new": 4, "changed": 0, "unchanged": 0, "to_review": 1}


def test_the_long_form_says_all_that_there_is(taken):
    book, _ = taken(LONG)
    (campaign,), (group,) = book.campaigns, book.groups
    assert campaign.start_seconds == datetime(2026, 3, 28, 23, tzinfo=UTC).timestamp()
    assert campaign.caps == (Cap("campaign", 3, 86_400), Cap("ad", 1, 7_200))
    assert group.bid == GroupBid(2_500_000, "target")
    assert group.targeting.keywords == (
        Keyword("old harbour"), Keyword("tea", "exact"), Keyword("green tea", "word"))  # fmt: skip
    assert len(group.targeting.hours) == 5 * 12 + 24
    assert 6 * 24 in group.targeting.hours


def test_what_is_known_keeps_what_a_file_does_not_name_and_new_words_are_reviewed_again(taken):
    book, _ = taken(LONG)
    running = replace(
        book,
        campaigns=tuple(replace(one, paused=False) for one in book.campaigns),
        versions=tuple(replace(one, review="approved") for one in book.versions),
    )
    text = (
        '[[campaign]]\nid = "spring"\nbudget = 200\n[[ad]]\nid = "first"\ntitle = "Teas"\n'
        '[[group]]\nid = "harbour"\npaused = false\n'
    )
    after, changes = taken(text, running)
    (campaign,) = after.campaigns
    assert (campaign.budget_micros, campaign.funding, campaign.paused) == (
        200_000_000,
        "purse",
        False,
    )
    assert [(v.number, v.title, v.review) for v in after.versions] == [
        (1, "Tea", "approved"), (2, "Teas", "unreviewed")]  # fmt: skip
    assert (changes.changed, changes.to_review) == (
        ["campaign spring", "group harbour", "ad first"], ["ad first"])  # fmt: skip
    assert not after.groups[0].paused


def test_a_spreadsheet_has_a_row_for_each_ad(taken):
    rows = (
        "Advertiser,Advertiser Name,Campaign,Budget,Group,Bid,Keywords,Ad,Title,Body,URL,Currency\n"
        "tea,Tea House,spring,100,harbour,0.25,tea; old harbour,one,Tea,Forty teas.,https://e.com/1,EUR\n"
        ",,,,,,,,,,,\n"
        "tea,,spring,,harbour,,,two,Teas,All teas.,https://e.com/2,\n"
    )
    book, changes = taken(rows, suffix=".csv")
    assert [(ad.id, ad.group) for ad in book.ads] == [("one", "harbour"), ("two", "harbour")]
    assert changes.count()["new"] == 5
    german = (
        "currency;advertiser;advertiser_name;campaign;budget;group;bid;ad;title;body;url\r\n"
        'EUR;tea;Tea House;spring;"100,5";harbour;0,25;one;1,5 litres;Forty teas.;https://e.com/1\r\n'
    )
    for encoding in ("utf-8-sig", "utf-16"):
        book, _ = taken(german, suffix=".csv", encoding=encoding)
        assert (book.campaigns[0].budget_micros, book.groups[0].bid.micros) == (
            100_500_000,
            250_000,
        )
        assert book.versions[0].title == "1,5 litres"
    tabs, _ = taken(rows.replace(",", "\t"), suffix=".csv")
    assert tabs.ads == taken(rows, suffix=".csv")[0].ads


def test_every_fault_is_told_with_row_and_field_and_nothing_is_taken(taken):
    found = faults(taken, LONG.replace("bid = 2.5", 'bid = "much"').replace('"DE"', '"Germany"')
                   .replace("pays_for", "pay_for").replace('"exact: tea"', '""'))  # fmt: skip
    assert found == [
        "campaign 1 (spring), pay_for: unknown field; did you mean pays_for?",
        "group 1 (harbour), bid: must be an amount such as 0.25, not 'much'",
        "group 1 (harbour), keywords: must be one line of 1 to 60 characters, not "
        "['old harbour', '', {'text': 'green tea', 'match': 'word'}]",
        'group 1 (harbour), countries: must be countries by two capital letters, such as "DE", '
        "not ['Germany']",
    ]
    rows = "campaign,budget,bid,group\nspring,x,0.1,g\nspring,2,,\n,,0.2,\n"
    assert faults(taken, rows, suffix=".csv") == [
        "row 2, budget: must be an amount such as 0.25, not 'x'",
        "row 3, campaign budget: is '2', and 'x' in a row above",
        "row 4, group: no group is named",
    ]


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ('advertiser = "tea"\nfunding', 'advertiser = "coffee"\nfunding', "no advertiser coffee"),
        ('funding = "purse"', 'funding = "bag"', "there is no funding bag"),
        ('campaign = "spring"', 'campaign = "autumn"', "there is no campaign autumn"),
        ('group = "harbour"', 'group = "hill"', "there is no group hill"),
        ("bid = 2.5", "bid = 200", "above the budget"),
        ("budget = 100.5", "budget = 100.5\ndaily_budget = 101", "daily_budget 101.00 is above"),
        ("start = 2026-03-29", "start = 2026-03-29\nend = 2026-03-29", "end must be later"),
        ('zone = "Europe/Berlin"', 'zone = "Europe/Nowhere"', "must be a time zone"),
        ('currency = "EUR"', "", "currency: is missing"),
        ('name = "Tea House"', "", "name: is missing"),
        ('id = "first"', 'id = "First!"', "must be up to 64 small letters"),
        ("[[ad]]", "[[adds]]", "unknown; did you mean ad?"),
        ('hours = ["mon-fri 8-20", "sun"]', 'hours = ["fri-mon"]', "must be days and hours"),
        ("1, hours = 2", "0, hours = 2", 'must be such as "3 views'),
    ],
)
def test_what_does_not_fit_together_is_refused(taken, old, new, told):
    assert old in LONG
    found = faults(taken, LONG.replace(old, new))
    assert any(told in line for line in found), found


def test_another_currency_and_an_id_that_stands_twice_are_refused(taken):
    book, _ = taken(LONG)
    assert "keeps its books in EUR" in faults(taken, LONG.replace("EUR", "USD"), book)[0]
    again = LONG[LONG.index("[[ad]]") :]
    assert "two of one id" in faults(taken, LONG + again)[0]


@pytest.mark.parametrize(
    ("suffix", "data", "told"),
    [
        (".toml", b"currency = ", "not valid TOML"),
        (".json", b"[1", "not valid JSON"),
        (".json", b"[1]", "must be a table"),
        (".csv", b"\xffx", "not UTF-8"),
        (".csv", b"", "nothing to import"),
        (".csv", b"campain\nx\n", "did you mean campaign?"),
        (".csv", b"campaign,campaign\nx,y\n", "stands twice"),
        (".csv", b"campaign\nx,y\n", "2 cells under 1 columns"),
    ],
)
def test_a_file_that_is_none_is_named(tmp_path, suffix, data, told):
    path = tmp_path / f"sold{suffix}"
    path.write_bytes(data)
    with pytest.raises(DataError) as raised:
        read_sheet(path)
    assert told in str(raised.value)
    with pytest.raises(UsageError):
        read_sheet(tmp_path / "none.csv")


ids = st.text("abz09-", min_size=1, max_size=8).filter(lambda text: text[0] not in "-")
lines = st.text(
    st.characters(codec="utf-8", exclude_categories=["C", "Z"]), min_size=1, max_size=20
)
some_caps = st.lists(
    st.builds(Cap, st.sampled_from(LEVELS), st.integers(1, 99), st.just(7_200)),
    max_size=2,
    unique=True,
).map(tuple)
money = st.integers(1, 10**14)
word = st.builds(Keyword, lines.filter(str.isalnum), st.sampled_from(MATCHES))
some = st.booleans()


@st.composite
def books(draw):
    advertisers = draw(st.lists(ids, min_size=1, max_size=3, unique=True))
    fundings = [
        Funding(one, draw(st.sampled_from(advertisers)), draw(money))
        for one in draw(st.lists(ids, max_size=2, unique=True))
    ]
    campaigns = []
    for one in draw(st.lists(ids, max_size=3, unique=True)):
        payer = draw(st.sampled_from(advertisers))
        purses = ["", *(f.id for f in fundings if f.advertiser == payer)]
        start = draw(st.none() | st.integers(0, 2**33))
        campaigns.append(Campaign(
            id=one, advertiser=payer, budget_micros=10**14, funding=draw(st.sampled_from(purses)),
            daily_budget_micros=draw(st.none() | st.just(10**13)),
            zone=draw(st.sampled_from(["UTC", "Europe/Berlin", "America/New_York"])),
            start_seconds=start,
            end_seconds=None if start is None else start + draw(st.integers(1, 10**6)),
            pays_for=draw(st.sampled_from(PAYMENTS)), caps=draw(some_caps),
            paused=draw(some),
        ))  # fmt: skip
    groups = [
        Group(one, draw(st.sampled_from(campaigns)).id,
              GroupBid(draw(st.integers(1, 10**13)), draw(st.sampled_from(STRATEGIES))),
              Targeting(
                  tuple(draw(st.lists(word, max_size=3, unique=True))),
                  tuple(draw(st.lists(word, max_size=2, unique=True))),
                  tuple(draw(st.lists(lines, max_size=2, unique=True))),
                  tuple(draw(st.lists(st.sampled_from(["en", "ja"]), max_size=2, unique=True))),
                  tuple(sorted(draw(st.sets(st.integers(0, 167), max_size=9)))),
                  tuple(draw(st.lists(st.sampled_from(["DE", "JP"]), max_size=2, unique=True))),
                  tuple(draw(st.lists(st.sampled_from(DEVICES), max_size=2, unique=True)))),
              draw(some))
        for one in (draw(st.lists(ids, max_size=3, unique=True)) if campaigns else [])
    ]  # fmt: skip
    ads = [
        Ad(one, draw(st.sampled_from(groups)).id, draw(some))
        for one in (draw(st.lists(ids, max_size=3, unique=True)) if groups else [])
    ]
    versions = [
        AdVersion(ad.id, n, draw(lines), draw(lines), "https://e.com/x?y=1,2;3", "approved")
        for ad in ads
        for n in range(1, draw(st.integers(1, 3)) + 1)
    ]

    def by_id(some):
        return tuple(sorted(some, key=lambda one: one.id))

    return AdBook(
        "EUR", by_id(Advertiser(one, draw(lines)) for one in advertisers), by_id(fundings),
        by_id(campaigns), by_id(groups), by_id(ads),
        tuple(sorted(versions, key=lambda one: (one.ad, one.number))),
    )  # fmt: skip


@settings(max_examples=150)
@given(
    book=books(), form=st.sampled_from([(".toml", as_toml), (".json", as_json), (".csv", as_csv)])
)
def test_what_is_exported_imports_as_no_change(tmp_path_factory, book, form):
    suffix, written = form
    path = tmp_path_factory.mktemp("sold") / f"sold{suffix}"
    path.write_text(written(book), encoding="utf-8", newline="")
    after, changes = merge(book, read_sheet(path))
    assert after == book
    assert not changes.new
    assert not changes.changed
