"""What is withheld: posts that lie in a segment and that nothing may show that they do.

A post that was hidden after its segment was written is still in the segment's files. Were it only
left out of the page, whoever guesses its words would still see it: in the scores of other posts,
which it shifts as the best match and as a post to learn further words from. So retrieval does not
find it and ranking does not count it, as if it had never been there. Which posts these are is
decided in `visible.py`.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property

import faiss
import numpy as np


@dataclass(frozen=True)
class Withheld:
    """The posts of a segment that are withheld, and what they would add to its counts.

    terms: how many terms they have. posts_with: for each term, how many of them have it.
    """

    ordinals: frozenset[int] = frozenset()
    terms: int = 0
    posts_with: Mapping[str, int] = field(default_factory=dict)

    def free(self, ordinals: Iterable[int]) -> list[int]:
        """Return those of some ordinals that are not withheld, in the same order."""
        return [n for n in ordinals if n not in self.ordinals]

    @cached_property
    def selector(self) -> faiss.IDSelector | None:
        """Return what keeps a search among vectors from finding them; None if there are none."""
        if not self.ordinals:
            return None
        hidden = np.array(sorted(self.ordinals), dtype=np.int64)
        return faiss.IDSelectorNot(faiss.IDSelectorBatch(hidden))


NOTHING = Withheld()
