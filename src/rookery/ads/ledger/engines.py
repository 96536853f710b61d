"""Engines: the processes that serve from one store, each with a number of its own for a while.

An engine's number makes the numbers of its auctions different from those of others, and tells its
part of the money that all spend (`price/accounts.py`). It holds the number as long as it says now
and then that it lives; that of a process that was killed is free again `LIVES_SECONDS` later.
"""

from sqlalchemy import delete, select, update
from sqlalchemy.engine import Connection, Engine

from rookery.ads.ledger import schema
from rookery.ads.ledger.store import insert_once, writing
from rookery.ads.ledger.token import ENGINES
from rookery.core.errors import StorageError

LIVES_SECONDS = 60


def take_number(store: Engine, now_seconds: int) -> int:
    """Return a number that no other engine has, and hold it; raise `StorageError` without one."""
    with writing(store) as connection:
        connection.execute(delete(schema.engine).where(schema.engine.c.until <= now_seconds))
        taken = set(connection.execute(select(schema.engine.c.number)).scalars())
        for number in range(ENGINES):
            if number not in taken and insert_once(
                connection, schema.engine, number=number, until=now_seconds + LIVES_SECONDS
            ):
                return number
    raise StorageError(f"{ENGINES} engines serve from this store already")


def hold_number(store: Engine, number: int, now_seconds: int) -> None:
    """Say that an engine lives."""
    with writing(store) as connection:
        held = update(schema.engine).where(schema.engine.c.number == number)
        connection.execute(held.values(until=now_seconds + LIVES_SECONDS))


def give_back(store: Engine, number: int) -> None:
    """End the hold of an engine that stops."""
    with writing(store) as connection:
        connection.execute(delete(schema.engine).where(schema.engine.c.number == number))


def living(connection: Connection, now_seconds: float) -> list[int]:
    """Return the numbers of all engines that live, in order."""
    lives = select(schema.engine.c.number).where(schema.engine.c.until > now_seconds)
    return sorted(connection.execute(lives).scalars())
