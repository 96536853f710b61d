"""Simulated logs of choices, of which the truth is known: for tests and benchmarks."""

from dataclasses import dataclass

import numpy as np

from rookery.ads.predict.offpolicy import ChoiceLog, Policy


@dataclass(frozen=True)
class World:
    """The true rates of clicks (positions, items), who logs, and the policy to judge."""

    rates: np.ndarray
    logging: np.ndarray
    judged: Policy

    @property
    def truth(self) -> float:
        """Return the clicks a view of the policy to judge; each position is as frequent."""
        return float((self.judged.chances * self.rates).sum(axis=1).mean())

    def log(self, views: int, random: np.random.Generator) -> ChoiceLog:
        """Return a log as the logging policy would have made it."""
        return self._drawn(self.logging, views, random)

    def judged_log(self, views: int, random: np.random.Generator) -> ChoiceLog:
        """Return a log as the policy to judge would have made it."""
        return self._drawn(self.judged.chances, views, random)

    def _drawn(self, chances: np.ndarray, views: int, random: np.random.Generator) -> ChoiceLog:
        positions = random.integers(len(chances), size=views)
        above = random.random(views)[:, None] >= np.cumsum(chances, axis=1)[positions]
        items = np.minimum(above.sum(axis=1), chances.shape[1] - 1)
        clicked = random.random(views) < self.rates[positions, items]
        return ChoiceLog(items, positions, clicked, chances[positions, items])


def a_world(random: np.random.Generator, ctr: float, positions: int = 3, items: int = 20) -> World:
    """Return a world whose ads differ: logged half uniformly, judged towards the better ones."""
    liked = random.gamma(4.0, 0.25, size=items) * ctr
    rates = np.minimum(1.0, np.linspace(1.2, 0.8, positions)[:, None] * liked)
    logging = 0.5 / items + 0.5 * random.dirichlet(np.ones(items), size=positions)
    judged = rates * random.gamma(2.0, 0.5, size=rates.shape)
    judged /= judged.sum(axis=1, keepdims=True)
    return World(rates, logging, Policy(np.arange(items), np.arange(positions), judged))
