"""Accounts: what is left of budgets, days and shared money, and how days begin."""

from datetime import UTC, datetime

import numpy as np
import pytest

from rookery.ads.price.accounts import Accounts
from rookery.ads.terms.objects import Campaign, Funding

NOON = datetime(2026, 1, 5, 12, tzinfo=UTC).timestamp()
HOUR = 3_600


def campaign(name: str = "tea", **fields) -> Campaign:
    return Campaign(id=name, advertiser="a", budget_micros=1_000, **fields)


def left(accounts: Accounts, number: int) -> tuple[int, int]:
    return tuple(int(one[number]) for one in accounts.left())


def know(accounts: Accounts, number: int, spent: int, today: int) -> None:
    accounts.know(*(np.array([one]) for one in (number, spent, today)))


def free(accounts: Accounts, number: int) -> int:
    return int(accounts.free()[number])


def test_what_is_left_is_less_what_was_spent_and_promised():
    accounts = Accounts()
    tea = accounts.put(campaign(daily_budget_micros=300), NOON)
    know(accounts, tea, 400, 100)
    assert left(accounts, tea) == (600, 200)
    assert accounts.promise(1, tea, 100, 0.5, NOON + 60)
    assert (left(accounts, tea), free(accounts, tea)) == ((600, 200), 150)
    accounts.settle(tea, 1, 80)
    assert left(accounts, tea) == (520, 120)


def test_money_that_is_shared_is_left_for_none_or_for_all():
    accounts = Accounts()
    tea, rum = (accounts.put(campaign(name, funding="f"), NOON) for name in ("tea", "rum"))
    accounts.put_funding(Funding("f", "a", 500))
    assert left(accounts, tea)[0] == left(accounts, rum)[0] == 500
    assert accounts.promise(1, tea, 400, 1.0, NOON + 60)
    assert not accounts.promise(2, rum, 200, 1.0, NOON + 60)
    assert (left(accounts, rum)[0], free(accounts, rum)) == (500, 100)
    accounts.settle(tea, 1, 400)
    assert left(accounts, rum)[0] == 100
    assert left(accounts, tea)[0] == 100


def test_promises_end_with_their_offers():
    accounts = Accounts()
    tea = accounts.put(campaign(), NOON)
    assert all(accounts.promise(n, tea, 1_000, 0.1, NOON + 10) for n in range(10))
    assert not accounts.promise(11, tea, 1_000, 0.1, NOON + 10)
    accounts.refresh(NOON + 10)
    assert accounts.promise(12, tea, 1_000, 0.1, NOON + 20)
    accounts.take_back(12)
    assert free(accounts, tea) == 1_000


@pytest.mark.parametrize(("zone", "hours"), [("UTC", 12), ("Asia/Tokyo", 3), ("America/Lima", 17)])
def test_a_day_begins_in_the_zone_of_its_campaign(zone, hours):
    accounts = Accounts()
    tea = accounts.put(campaign(daily_budget_micros=300, zone=zone), NOON)
    know(accounts, tea, 300, 300)
    accounts.refresh(NOON + hours * HOUR - 1)
    assert left(accounts, tea) == (700, 0)
    accounts.refresh(NOON + hours * HOUR)
    assert left(accounts, tea) == (700, 300)


def test_a_budget_presses_more_the_further_it_is_ahead_of_its_day():
    accounts = Accounts()
    numbers = [accounts.put(campaign(str(n), daily_budget_micros=1_000), NOON) for n in range(3)]
    for number, spent in zip(numbers, (400, 500, 600), strict=True):
        know(accounts, number, spent, spent)
    accounts.refresh(NOON)
    behind, right, ahead = accounts.pressure[numbers]
    assert behind < right < ahead
    assert right == pytest.approx(1.0)


def test_what_is_due_is_counted_from_when_a_campaign_begins():
    accounts, start = Accounts(), int(NOON + 8 * HOUR)
    tea = accounts.put(campaign(daily_budget_micros=1_000, start_seconds=start), NOON)
    accounts.refresh(start)
    assert accounts.pressure[tea] == pytest.approx(1.0)
    accounts.refresh(start + 2 * HOUR)
    assert np.log(accounts.pressure[tea]) == pytest.approx(-30.0)


def test_a_campaign_without_day_and_end_has_nothing_to_pace():
    accounts = Accounts()
    tea = accounts.put(campaign(), NOON)
    know(accounts, tea, 900, 900)
    accounts.refresh(NOON)
    assert accounts.pressure[tea] == 0.0


def test_many_accounts_keep_what_they_were():
    accounts = Accounts()
    numbers = [accounts.put(campaign(str(n)), NOON) for n in range(200)]
    accounts.promise(1, numbers[3], 100, 1.0, NOON + 60)
    more = [accounts.put(campaign(str(n)), NOON) for n in range(400)]
    assert more[:200] == numbers
    assert (free(accounts, 3), free(accounts, 399)) == (900, 1_000)


def test_what_is_settled_while_the_ledger_is_asked_is_not_forgotten():
    accounts = Accounts()
    tea = accounts.put(campaign(), NOON)
    accounts.settle(tea, 1, 100)
    accounts.ask()
    accounts.settle(tea, 2, 50)
    know(accounts, tea, 100, 100)  # as it was when it was asked
    assert left(accounts, tea)[0] == 850
    know(accounts, tea, 150, 150)
    assert left(accounts, tea)[0] == 850
