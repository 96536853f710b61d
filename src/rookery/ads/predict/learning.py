"""Learning from the ledger: views whose outcome is known teach the click predictor.

A view's outcome is known when its offer has expired: until then a click may still come. Views are
learnt then, clicked or not, each once and in one order, so that the predictor follows from the
ledger alone and lies beside it in the same database. Processes that learn at the same time wait for
each other.
"""

import json

import numpy as np
from sqlalchemy import select
from sqlalchemy.engine import Connection, Engine

from rookery.ads.ledger.store import click, get_state, offer, set_state, view, writing
from rookery.ads.predict.ftrl import FtrlPredictor

_PREDICTOR, _UNTIL = "predictor", "learned_until"


def learn_from_ledger(engine: Engine, now_seconds: int) -> FtrlPredictor:
    """Learn all views whose offers have expired by now, keep the result, and return it."""
    with writing(engine) as connection:
        predictor = FtrlPredictor.from_bytes(get_state(connection, _PREDICTOR) or b"")
        until = int(get_state(connection, _UNTIL) or b"0")
        rows = _outcomes(connection, until, now_seconds)
        for features, clicked in rows:
            predictor.learn_buckets(
                np.array(json.loads(features), dtype=np.int64), clicked is not None
            )
        if rows:
            set_state(connection, _PREDICTOR, predictor.to_bytes())
            set_state(connection, _UNTIL, str(now_seconds).encode())
    return predictor


def _outcomes(connection: Connection, after_seconds: int, until_seconds: int) -> list:
    """Features of each viewed offer that expired in a span of time, and its click if it has one."""
    return connection.execute(
        select(offer.c.features, click.c.auction)
        .select_from(offer.join(view).outerjoin(click))
        .where(offer.c.expires > after_seconds, offer.c.expires <= until_seconds)
        .order_by(offer.c.expires, offer.c.auction)
    ).all()
