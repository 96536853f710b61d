"""What is withheld: posts that lie in an index and that nothing may show that they do.

A post that was hidden after it was indexed is still in the files until the writer has removed it.
Were it only left out of the page, whoever guesses its words would still see it: in the scores of
other posts, which it shifts as the best match and as a post to learn further words from. So
retrieval does not find it and ranking does not count it, as if it had never been there. Which posts
these are is decided in `visible.py`.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np


@dataclass(frozen=True)
class Withheld:
    """The ordinals of an index that are withheld, at one moment."""

    ordinals: frozenset[int] = frozenset()

    @cached_property
    def sorted(self) -> np.ndarray:
        """Return the ordinals in rising order, int64."""
        return np.array(sorted(self.ordinals), dtype=np.int64)


NOTHING = Withheld()
