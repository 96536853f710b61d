"""Learning from the ledger: each view counts once, when its outcome is known."""

import numpy as np

from rookery.ads.ledger.events import add_click, add_view
from rookery.ads.ledger.store import set_state, writing
from rookery.ads.predict.calibration import CalibratedPredictor
from rookery.ads.predict.ftrl import PRIOR_CTR, FtrlPredictor
from rookery.ads.predict.learning import learn_from_ledger, stored_predictor
from tests.ads.conftest import LIFETIME_SECONDS, NOW

EXPIRED = NOW + LIFETIME_SECONDS
ONE, CLICKED, NOT_CLICKED = np.array([[1, 2]]), np.array([True]), np.array([False])


def _predicted(predictor: FtrlPredictor) -> float:
    return float(predictor.predict(ONE)[0])


def _learn(engine, now_seconds: int) -> FtrlPredictor:
    return learn_from_ledger(engine, FtrlPredictor(), now_seconds)


def test_a_view_is_learnt_when_its_offer_has_expired_and_not_before(
    engine, take, a_campaign, offered
):
    take(a_campaign())
    add_view(engine, offered("seen"), NOW)
    assert _predicted(_learn(engine, EXPIRED - 1)) == _predicted(FtrlPredictor())
    assert _predicted(_learn(engine, EXPIRED)) < PRIOR_CTR * 0.999


def test_a_click_raises_and_an_offer_nobody_saw_teaches_nothing(engine, take, a_campaign, offered):
    take(a_campaign())
    offered("not seen")
    assert _learn(engine, EXPIRED).to_bytes() == b""
    add_view(engine, offered("clicked", at=NOW + 1), NOW + 2)
    add_click(engine, "clicked", NOW + 3)
    assert _predicted(_learn(engine, EXPIRED + 1)) > PRIOR_CTR


def test_each_view_is_learnt_once_however_often_it_is_asked_for(engine, take, a_campaign, offered):
    take(a_campaign())
    for n in range(6):
        add_view(engine, offered(f"t{n}", at=NOW + n), NOW + n)
    add_click(engine, "t3", NOW + 10)
    one_by_one = [_learn(engine, EXPIRED + n) for n in (0, 0, 2, 4, 9)][-1]
    at_once = FtrlPredictor()
    for n in range(6):
        at_once.learn(ONE, np.array([n == 3]))
    assert one_by_one.to_bytes() == at_once.to_bytes()


def test_what_is_learnt_does_not_depend_on_when_it_is_asked_for(engine, take, a_campaign, offered):
    take(a_campaign())
    for n in range(12):  # four views in each second
        add_view(engine, offered(f"t{n}", at=NOW + n // 4), NOW + 3)
    add_click(engine, "t5", NOW + 10)
    often = [_learn(engine, EXPIRED + n) for n in range(3)][-1]
    with writing(engine) as connection:
        set_state(connection, "learned_until", b"0")
        set_state(connection, "predictor", b"")
    assert _learn(engine, EXPIRED + 5).to_bytes() == often.to_bytes()


def test_what_was_learned_is_stored_and_the_predictor_handed_in_stays_as_it_was(
    engine, take, a_campaign, offered
):
    take(a_campaign())
    add_view(engine, offered("seen"), NOW)
    fresh = FtrlPredictor()
    trained = learn_from_ledger(engine, fresh, EXPIRED)
    assert fresh.to_bytes() == b""
    assert stored_predictor(engine, fresh).to_bytes() == trained.to_bytes() != b""


def test_a_predictor_that_was_trained_elsewhere_learns_on_from_there(
    engine, take, a_campaign, offered
):
    take(a_campaign())
    add_view(engine, offered("seen"), NOW)
    trained, expected = FtrlPredictor(), FtrlPredictor()
    for predictor in (trained, expected):
        predictor.learn(ONE + 1, CLICKED)
    expected.learn(ONE, NOT_CLICKED)
    assert learn_from_ledger(engine, trained, EXPIRED).to_bytes() == expected.to_bytes()


def test_two_that_learn_at_the_same_time_count_each_view_once(engine, take, a_campaign, offered):
    take(a_campaign())
    add_view(engine, offered("seen"), NOW)

    class Overtaken(FtrlPredictor):
        """A predictor that another process overtakes in the middle of its training."""

        def learn(self, buckets, clicked):
            _learn(engine, EXPIRED)
            super().learn(buckets, clicked)

    expected = FtrlPredictor()
    expected.learn(ONE, NOT_CLICKED)
    assert learn_from_ledger(engine, Overtaken(), EXPIRED).to_bytes() == expected.to_bytes()
    assert stored_predictor(engine, FtrlPredictor()).to_bytes() == expected.to_bytes()


def test_what_a_home_learned_before_it_was_calibrated_is_gone_on_with(
    engine, take, a_campaign, offered
):
    take(a_campaign())
    add_view(engine, offered("seen"), NOW)
    before = _learn(engine, EXPIRED)
    calibrated = stored_predictor(engine, CalibratedPredictor(FtrlPredictor()))
    assert calibrated.predict(ONE) == before.predict(ONE)
    add_view(engine, offered("later", at=NOW + 9), NOW + 9)
    learned = learn_from_ledger(engine, calibrated, EXPIRED + 9)
    assert learned.predict(ONE) == _again(before).predict(ONE)
    assert stored_predictor(engine, calibrated).to_bytes() == learned.to_bytes()


def _again(predictor: FtrlPredictor) -> FtrlPredictor:
    predictor.learn(ONE, NOT_CLICKED)
    return predictor
