"""Tokens: what is sealed comes back, and nothing that anybody made or changed opens."""

import base64
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rookery.ads.ledger.store import delete_state, open_store, sqlite_url, writing
from rookery.ads.ledger.token import (
    Keys,
    OfferNumbers,
    OfferTerms,
    auction_of,
    pseudonym,
    read_keys,
    read_viewer_key,
    replace_key,
    seal,
    seconds_of,
    unseal,
    utc_day,
)
from rookery.ads.terms.objects import PAYMENTS
from rookery.core.errors import DataError

KEYS = Keys({0: b"k" * 32, 1: b"l" * 32}, 1)
LIFE = 1_000

_int63 = st.integers(0, 2**63 - 1)
TERMS = st.builds(
    OfferTerms,
    offer=_int63,
    campaign=st.integers(1, 2**31 - 1),
    ad_version=st.integers(1, 2**31 - 1),
    viewer=st.binary(min_size=12, max_size=12),
    pays_for=st.sampled_from(PAYMENTS),
    price_micros=_int63,
    pctr=st.floats(0, 1),
    propensity=st.floats(0, 1),
    features=st.binary(max_size=200).map(lambda data: data[: len(data) // 4 * 4]),
    at_seconds=st.integers(0, 2**40),
    expires_seconds=st.integers(0, 2**40),
)


@given(terms=TERMS)
def test_an_offer_comes_back_as_it_was_sealed(terms):
    token = seal(terms, KEYS)
    assert unseal(token, KEYS) == terms
    assert token.isascii()
    assert not set(token) & set("+/=%")


@given(terms=TERMS, place=st.integers(0), bit=st.integers(0, 7))
def test_a_token_that_was_changed_anywhere_opens_nothing(terms, place, bit):
    whole = bytearray(base64.urlsafe_b64decode(seal(terms, KEYS) + "=="))
    whole[place % len(whole)] ^= 1 << bit
    forged = base64.urlsafe_b64encode(whole).rstrip(b"=").decode()
    assert unseal(forged, KEYS) is None


@given(terms=TERMS, length=st.integers(0))
def test_a_token_that_was_cut_opens_nothing(terms, length):
    token = seal(terms, KEYS)
    assert unseal(token[: length % len(token)], KEYS) is None


@given(st.text())
def test_any_text_is_no_token_and_no_error(text):
    assert unseal(text, KEYS) is None


def _terms(**fields) -> OfferTerms:
    usual = OfferTerms(4, 1, 1, b"v" * 12, "click", 5, 0.1, 1.0, b"", 0, LIFE)
    return replace(usual, **fields)


def test_a_key_that_was_replaced_opens_until_its_tokens_expire_and_no_longer(store):
    with writing(store) as connection:
        first = read_keys(connection, 0, LIFE)
        replace_key(connection, 100)
        second = read_keys(connection, 100, LIFE)
        later = read_keys(connection, 100 + LIFE, LIFE)
    old, new = seal(_terms(), first), seal(_terms(), second)
    assert old != new
    assert unseal(old, second) == unseal(new, second) == _terms()
    assert unseal(new, first) is None  # a process that has not heard of the new key
    assert unseal(old, later) is None
    assert unseal(new, later) == _terms()


def test_two_stores_do_not_open_each_other_s_tokens(store, tmp_path):
    another = open_store(sqlite_url(tmp_path / "another.sqlite"), "OFF")
    with writing(another) as one, writing(store) as other:
        token = seal(_terms(), read_keys(one, 0, LIFE))
        assert unseal(token, read_keys(other, 0, LIFE)) is None
    another.dispose()


def test_numbers_rise_though_the_clock_jumps_and_tell_their_time(clock):
    numbers, found = OfferNumbers(5, clock), []
    for jump in (0, 0, 10, -3_600, 0, 7_200):
        clock.time += timedelta(seconds=jump)
        found += [numbers.next() for _ in range(3)]
    assert found == sorted(set(found))
    assert seconds_of(found[0]) == pytest.approx(clock.now().timestamp() - 3_610, abs=1)
    assert all(auction_of(number + place) == number for number in found for place in range(4))


def test_engines_never_make_the_same_number(clock):
    engines = [OfferNumbers(engine, clock) for engine in range(8)]
    found = [numbers.next() for numbers in engines for _ in range(2_000)]
    assert len(set(found)) == len(found)
    assert max(found) < 2**63


def test_a_viewer_has_another_name_each_day_and_in_each_store():
    names = {pseudonym(key, "ada", day) for key in (b"a", b"b") for day in ("2026-01-01", "-02")}
    assert len(names) == 4
    assert all(b"ada" not in name for name in names)
    assert utc_day(1_767_268_800) == "2026-01-01"


def test_a_store_that_lost_its_key_is_one_clear_error(store):
    with writing(store) as connection:
        delete_state(connection, "viewer_key")
        with pytest.raises(DataError, match="no key for viewers' names"):
            read_viewer_key(connection)


def test_numbers_go_on_after_the_newest_though_the_clock_was_set_back_before_a_restart(clock):
    before = OfferNumbers(0, clock).next()
    clock.time -= timedelta(hours=2)
    assert OfferNumbers(0, clock, after=before).next() > before
