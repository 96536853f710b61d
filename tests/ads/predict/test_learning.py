import numpy as np

from rookery.ads.ledger.events import add_click, add_view
from rookery.ads.predict.ftrl import PRIOR_CTR, FtrlPredictor
from rookery.ads.predict.learning import learn_from_ledger
from tests.ads.conftest import LIFETIME_SECONDS, NOW

EXPIRED = NOW + LIFETIME_SECONDS


def _predicted(predictor: FtrlPredictor) -> float:
    return predictor.predict_buckets(np.array([1, 2]))


def test_a_view_is_learnt_when_its_offer_has_expired_and_not_before(
    engine, take, a_campaign, offered
):
    take(a_campaign())
    add_view(engine, offered("seen"), NOW)
    assert _predicted(learn_from_ledger(engine, EXPIRED - 1)) == _predicted(FtrlPredictor())
    assert _predicted(learn_from_ledger(engine, EXPIRED)) < PRIOR_CTR * 0.999


def test_a_click_raises_and_an_offer_nobody_saw_teaches_nothing(engine, take, a_campaign, offered):
    take(a_campaign())
    offered("not seen")
    assert learn_from_ledger(engine, EXPIRED).to_bytes() == b""
    add_view(engine, offered("clicked", at=NOW + 1), NOW + 2)
    add_click(engine, "clicked", NOW + 3)
    assert _predicted(learn_from_ledger(engine, EXPIRED + 1)) > PRIOR_CTR


def test_each_view_is_learnt_once_however_often_it_is_asked_for(engine, take, a_campaign, offered):
    take(a_campaign())
    for n in range(6):
        add_view(engine, offered(f"t{n}", at=NOW + n), NOW + n)
    add_click(engine, "t3", NOW + 10)
    one_by_one = [learn_from_ledger(engine, EXPIRED + n) for n in (0, 0, 2, 4, 9)][-1]
    at_once = FtrlPredictor()
    for n in range(6):
        at_once.learn_buckets(np.array([1, 2]), n == 3)
    assert one_by_one.to_bytes() == at_once.to_bytes()
