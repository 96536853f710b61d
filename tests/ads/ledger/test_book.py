"""The book: what is sold comes back as saved, and servers read only what changed."""

from dataclasses import replace

import pytest
from sqlalchemy import select, update

from rookery.ads import sold
from rookery.ads.ledger import schema
from rookery.ads.ledger.book import book_version, read_book, read_listings, save_book
from rookery.ads.ledger.store import reading, writing
from rookery.ads.terms.files import read_sheet, sheet_of
from rookery.ads.terms.objects import AdBook, Cap, Keyword
from rookery.core.errors import DataError, UsageError
from tests.support.selling import campaign, funded, sell


def rich() -> AdBook:
    return funded(
        campaign(
            keywords=(Keyword("tea", "word"), Keyword("old harbour", "exact"), "茶"),
            excluded=("coffee",),
            meaning=("hot drinks",),
            languages=("en", "de"),
            hours=(1, 2, 167),
            countries=("DE",),
            devices=("phone",),
            caps=(Cap("ad", 3, 3_600), Cap("advertiser", 9, 86_400)),
            daily_budget_micros=1_000_000,
            zone="Europe/Berlin",
            start_seconds=5,
            end_seconds=9_000_000_000,
            pays_for="conversion",
            strategy="target",
            ads=("Another",),
        ),
        "pot",
        9_000_000,
    )


def test_what_is_sold_comes_back_as_it_was_saved(any_store):
    sell(any_store, rich(), campaign("plain", paused=True))
    with reading(any_store) as connection:
        book = read_book(connection)
        listings = {one.group.id: one for one in read_listings(connection)}
    expected = rich()
    assert replace(expected.campaigns[0]) in book.campaigns
    assert expected.groups[0] in book.groups
    assert set(expected.versions) <= set(book.versions)
    assert book.fundings == expected.fundings
    assert [one.version.title for one in listings["tea"].versions] == [
        "Tea above the harbour",
        "Another",
    ]
    assert listings["tea"].campaign == expected.campaigns[0]
    assert listings["tea"].advertiser.name == "Tea House"


def changed_after(store, version: int) -> tuple[int, set[str]]:
    with reading(store) as connection:
        names = {one.group.id for one in read_listings(connection, version)}
        return book_version(connection), names


def test_a_server_reads_only_what_changed(any_store):
    sell(any_store, campaign("a"), campaign("b", advertiser="B"), campaign("c", advertiser="B"))
    version, names = changed_after(any_store, 0)
    assert names == {"a", "b", "c"}
    assert changed_after(any_store, version) == (version, set())
    sell(any_store, campaign("a"))  # nothing differs
    assert changed_after(any_store, version) == (version, set())
    sell(any_store, campaign("a", bid_micros=1_000_000))
    assert changed_after(any_store, version) == (version + 1, {"a"})
    sold.set_paused(any_store, "ad", "b", True)
    assert changed_after(any_store, version + 1) == (version + 2, {"b"})
    sold.reject(any_store, ["c"])
    assert changed_after(any_store, version + 2) == (version + 3, {"c"})
    with writing(any_store) as connection:
        before = read_book(connection)
        advertisers = tuple(replace(one, name=f"{one.name}!") for one in before.advertisers[:1])
        save_book(connection, before, replace(before, advertisers=(
            *advertisers, *before.advertisers[1:])))  # fmt: skip
    assert changed_after(any_store, version + 3) == (version + 4, {"b", "c"})


def test_a_rejected_version_leaves_the_one_approved_before_it(any_store):
    sell(any_store, campaign())
    new = b'{"ad": [{"id": "tea", "title": "Worse tea"}]}'
    assert sold.import_sheet(any_store, sheet_of(new, "json")).to_review == ["ad tea"]
    assert sold.waiting(any_store) == ["tea"]
    sold.reject(any_store, ["tea"], "not tea")
    with reading(any_store) as connection:
        (listing,) = read_listings(connection)
        (_, worse) = read_book(connection).versions
    assert listing.versions[0].version.title == "Tea above the harbour"
    assert (worse.review, worse.reason) == ("rejected", "not tea")
    assert sold.waiting(any_store) == []


def test_what_was_never_approved_or_is_paused_has_nothing_to_show(store):
    sold.import_sheet(store, sheet_of(NEW.encode(), "toml"))
    with reading(store) as connection:
        (listing,) = read_listings(connection)
    assert (listing.versions, listing.is_reviewed, listing.campaign.paused) == ((), False, True)


NEW = """\
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


def test_an_import_counts_what_it_does_and_a_dry_run_does_nothing(any_store):
    sheet = sheet_of(NEW.encode(), "toml")
    dry = sold.import_sheet(any_store, sheet, is_dry_run=True)
    assert sold.export_book(any_store) == AdBook("")
    assert sold.import_sheet(any_store, sheet).count() == dry.count()
    assert dry.count() == {"new": 4, "changed": 0, "unchanged": 0, "to_review": 1}
    again = sold.import_sheet(any_store, sheet)
    assert again.count() == {"new": 0, "changed": 0, "unchanged": 4, "to_review": 0}


def test_pausing_and_resuming_may_take_all_below_along(store):
    sold.import_sheet(store, sheet_of(NEW.encode(), "toml"))
    assert sold.set_paused(store, "campaign", "tea", False) == 1
    assert [one.paused for one in sold.export_book(store).groups] == [True]
    assert sold.set_paused(store, "campaign", "tea", False, is_below=True) == 3
    book = sold.export_book(store)
    assert not any(one.paused for one in (*book.campaigns, *book.groups, *book.ads))


@pytest.mark.parametrize("kind", ["campaign", "group", "ad"])
def test_what_is_not_there_is_one_clear_error(store, kind):
    with pytest.raises(UsageError, match=f"there is no {kind} nothing"):
        sold.set_paused(store, kind, "nothing", True)
    with pytest.raises(UsageError, match="there is no ad nothing"):
        sold.approve(store, ["nothing"])


def test_one_ad_that_is_not_there_approves_none(store):
    sold.import_sheet(store, sheet_of(NEW.encode(), "toml"))
    with pytest.raises(UsageError):
        sold.approve(store, ["tea", "nothing"])
    assert sold.waiting(store) == ["tea"]


def spend(store, micros: int) -> None:
    with writing(store) as connection:
        connection.execute(update(schema.campaign).values(spent_micros=micros))


def test_a_campaign_can_be_changed_and_keeps_what_it_spent(any_store):
    sell(any_store, campaign())
    spend(any_store, 3_000_000)
    sell(any_store, campaign(budget_micros=3_000_000))
    with reading(any_store) as connection:
        row = connection.execute(select(schema.campaign)).one()
    assert (row.spent_micros, row.budget_micros) == (3_000_000, 3_000_000)


def test_a_budget_below_what_was_spent_is_refused_and_nothing_is_taken_in(any_store):
    sell(any_store, campaign())
    spend(any_store, 3_000_000)
    with pytest.raises(UsageError, match=r"campaign tea: budget 2.99 is below what is spent, 3.00"):
        sell(any_store, campaign("another"), campaign(budget_micros=2_990_000))
    assert [one.id for one in sold.export_book(any_store).campaigns] == ["tea"]


def test_a_file_in_another_currency_is_refused(store):
    sell(store, campaign())
    sheet = sheet_of(NEW.replace("EUR", "USD").encode(), "toml")
    with pytest.raises(DataError, match="USD, and this home keeps its books in EUR"):
        sold.import_sheet(store, sheet)


def test_a_lower_daily_budget_never_falls_below_what_the_day_has_spent(any_store):
    sell(any_store, campaign(daily_budget_micros=5_000_000))
    day = schema.campaign_day
    with writing(any_store) as connection:
        for date, spent in (("2026-01-01", 4_000_000), ("2026-01-02", 1_000_000)):
            row = {"campaign": 1, "day": date, "budget_micros": 5_000_000, "spent_micros": spent}
            connection.execute(day.insert().values(**row))
    sell(any_store, campaign(daily_budget_micros=2_000_000))
    with reading(any_store) as connection:
        rows = connection.execute(day.select().order_by(day.c.day)).all()
    assert [row.budget_micros for row in rows] == [4_000_000, 2_000_000]


@pytest.mark.soak
def test_a_million_rows_are_imported(any_store, tmp_path):
    file = tmp_path / "million.csv"
    columns = "currency,advertiser,advertiser_name,campaign,budget,group,bid,keywords,ad,title,body"
    with file.open("w") as rows:
        rows.write(f"{columns},url\n")
        for n in range(1_000_000):
            of = n // 4
            rows.write(
                f"EUR,a{of % 997},Advertiser {of % 997},c{of},100,g{of},0.25,word{of % 5_000},"
                f"ad{n},Title {n},Body,https://example.com/{n}\n"
            )
    counts = sold.import_sheet(any_store, read_sheet(file)).count()
    assert counts == {"new": 1_500_997, "changed": 0, "unchanged": 0, "to_review": 1_000_000}
