"""Learning from the ledger: each view counts once, when its outcome is known."""

import numpy as np
import pytest

from rookery.ads.ledger.booking import AdEvent, book
from rookery.ads.ledger.store import set_state, writing
from rookery.ads.predict.calibration import CalibratedPredictor
from rookery.ads.predict.ftrl import PRIOR_CTR, FtrlPredictor
from rookery.ads.predict.learning import learn_from_ledger, learn_rates, stored_predictor
from tests.ads.conftest import LIFETIME_SECONDS, NOW, an_offer
from tests.support.selling import campaign

EXPIRED = NOW + LIFETIME_SECONDS
ONE, CLICKED, NOT_CLICKED = np.array([[1, 2]]), np.array([True]), np.array([False])


_offers = {}


@pytest.fixture
def offered(store):
    """Make an offer, and return its name."""
    _offers.clear()

    def make(name: str, at: int = NOW) -> str:
        ends = {"at_seconds": at, "expires_seconds": at + LIFETIME_SECONDS}
        _offers[name] = an_offer(store, len(_offers) + 1, **ends)
        return name

    return make


def add_view(store, name: str, at: int) -> None:
    book(store, [AdEvent("view", _offers[name], at)])


def add_click(store, name: str, at: int) -> None:
    book(store, [AdEvent("click", _offers[name], at)])


def _predicted(predictor: FtrlPredictor) -> float:
    return float(predictor.predict(ONE)[0])


def _learn(store, now_seconds: int) -> FtrlPredictor:
    return learn_from_ledger(store, FtrlPredictor(), now_seconds)


def test_a_view_is_learnt_when_its_offer_has_expired_and_not_before(store, take, offered):
    take(campaign())
    add_view(store, offered("seen"), NOW)
    assert _predicted(_learn(store, EXPIRED - 1)) == _predicted(FtrlPredictor())
    assert _predicted(_learn(store, EXPIRED)) < PRIOR_CTR * 0.999


def test_a_click_raises_and_an_offer_nobody_saw_teaches_nothing(store, take, offered):
    take(campaign())
    offered("not seen")
    assert _learn(store, EXPIRED).to_bytes() == b""
    add_view(store, offered("clicked", at=NOW + 1), NOW + 2)
    add_click(store, "clicked", NOW + 3)
    assert _predicted(_learn(store, EXPIRED + 1)) > PRIOR_CTR


def test_each_view_is_learnt_once_however_often_it_is_asked_for(store, take, offered):
    take(campaign())
    for n in range(6):
        add_view(store, offered(f"t{n}", at=NOW + n), NOW + n)
    add_click(store, "t3", NOW + 10)
    one_by_one = [_learn(store, EXPIRED + n) for n in (0, 0, 2, 4, 9)][-1]
    at_once = FtrlPredictor()
    for n in range(6):
        at_once.learn(ONE, np.array([n == 3]))
    assert one_by_one.to_bytes() == at_once.to_bytes()


def test_what_is_learnt_does_not_depend_on_when_it_is_asked_for(store, take, offered):
    take(campaign())
    for n in range(12):  # four views in each second
        add_view(store, offered(f"t{n}", at=NOW + n // 4), NOW + 3)
    add_click(store, "t5", NOW + 10)
    often = [_learn(store, EXPIRED + n) for n in range(3)][-1]
    with writing(store) as connection:
        set_state(connection, "learned_until", b"0")
        set_state(connection, "predictor", b"")
    assert _learn(store, EXPIRED + 5).to_bytes() == often.to_bytes()


def test_what_was_learned_is_stored_and_the_predictor_handed_in_stays_as_it_was(
    store, take, offered
):
    take(campaign())
    add_view(store, offered("seen"), NOW)
    fresh = FtrlPredictor()
    trained = learn_from_ledger(store, fresh, EXPIRED)
    assert fresh.to_bytes() == b""
    assert stored_predictor(store, fresh).to_bytes() == trained.to_bytes() != b""


def test_a_predictor_that_was_trained_elsewhere_learns_on_from_there(store, take, offered):
    take(campaign())
    add_view(store, offered("seen"), NOW)
    trained, expected = FtrlPredictor(), FtrlPredictor()
    for predictor in (trained, expected):
        predictor.learn(ONE + 1, CLICKED)
    expected.learn(ONE, NOT_CLICKED)
    assert learn_from_ledger(store, trained, EXPIRED).to_bytes() == expected.to_bytes()


def test_two_that_learn_at_the_same_time_count_each_view_once(store, take, offered):
    take(campaign())
    add_view(store, offered("seen"), NOW)

    class Overtaken(FtrlPredictor):
        """A predictor that another process overtakes in the middle of its training."""

        def learn(self, buckets, clicked):
            _learn(store, EXPIRED)
            super().learn(buckets, clicked)

    expected = FtrlPredictor()
    expected.learn(ONE, NOT_CLICKED)
    assert learn_from_ledger(store, Overtaken(), EXPIRED).to_bytes() == expected.to_bytes()
    assert stored_predictor(store, FtrlPredictor()).to_bytes() == expected.to_bytes()


def test_what_a_home_learned_before_it_was_calibrated_is_gone_on_with(store, take, offered):
    take(campaign())
    add_view(store, offered("seen"), NOW)
    before = _learn(store, EXPIRED)
    calibrated = stored_predictor(store, CalibratedPredictor(FtrlPredictor()))
    assert calibrated.predict(ONE) == before.predict(ONE)
    add_view(store, offered("later", at=NOW + 9), NOW + 9)
    learned = learn_from_ledger(store, calibrated, EXPIRED + 9)
    assert learned.predict(ONE) == _again(before).predict(ONE)
    assert stored_predictor(store, calibrated).to_bytes() == learned.to_bytes()


def _again(predictor: FtrlPredictor) -> FtrlPredictor:
    predictor.learn(ONE, NOT_CLICKED)
    return predictor


def test_rates_count_what_expired_and_conversions_when_they_come(store, take, offered):
    take(campaign())
    for name in "abc":
        add_view(store, offered(name), NOW)
    add_click(store, "a", NOW), add_click(store, "b", NOW)
    assert learn_rates(store, EXPIRED - 1).of(np.array([1])).tolist() == [[0, 0, 0]]
    assert learn_rates(store, EXPIRED).of(np.array([1, 7])).tolist() == [[3, 2, 0], [0, 0, 0]]
    book(store, [AdEvent("conversion", _offers["a"], EXPIRED + 60)])
    again = [learn_rates(store, EXPIRED + n).of(np.array([1])).tolist() for n in (30, 60, 90)]
    assert again == [[[3, 2, 0]], [[3, 2, 1]], [[3, 2, 1]]]
