"""The sieve: which posts are still in, and for each that is not, the one reason that came first."""

import numpy as np
import pyarrow as pa


class Sieve:
    """Rows 0 to n - 1, all in at first. `dropped` holds the rows of each reason, in the order of
    the steps.
    """

    def __init__(self, rows: int):
        self.alive = np.ones(rows, dtype=bool)
        self.dropped: dict[str, np.ndarray] = {}

    @property
    def rows(self) -> np.ndarray:
        """The rows still in, ascending."""
        return np.flatnonzero(self.alive)

    @property
    def mask(self) -> pa.Array:
        """The same as a mask for Arrow."""
        return pa.array(self.alive)

    def drop(self, reason: str, rows: np.ndarray) -> None:
        """Drop rows, given by place; those dropped before keep their reason."""
        new = rows[self.alive[rows]]
        self.alive[new] = False
        self.dropped[reason] = np.sort(np.concatenate([self.dropped.get(reason, new[:0]), new]))
