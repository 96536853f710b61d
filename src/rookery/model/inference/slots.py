"""Slots: many texts in one batch, which they join and leave between two passes of the network.

A slot is a row of the cache. It keeps what it holds after its text has left, and a text that begins
with the same tokens reads only the others: those of a slot that it takes over, or a copy of another
slot's. Prompts that begin alike and come together are so read once. Texts of any length share a
pass: those that write their next token one, those that still read their prompt another.

Not here: threads and waiting (`engine.py`), how a token is chosen (`text.py`).
"""

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from rookery.model.inference.cache import MOST_FILLING_TOKENS, Cache
from rookery.model.inference.text import Text
from rookery.model.network import Network

MOST_SLOTS = 16
MOST_CACHE_BYTES = 1 << 30
READ_TOKENS = MOST_FILLING_TOKENS
"""How many tokens of prompts are read in one pass: texts that are being written wait for it."""
LEAST_COMMON_TOKENS = 8
"""Fewer tokens are read again rather than copied or waited for."""

# A few rows times a large output matrix: part by part is up to 1.8 times as fast (32,000 × 448,
# float32), since a part that was packed for the product is still in the processor's cache.
FEW_ROWS, LARGE_HEAD, HEAD_PART_TOKENS = range(3, 16), 1 << 21, 256


class Slot:
    """A row of the cache: the tokens that it holds, and the text that uses it, if one does.

    used_at: the step in which a text last joined or left it.
    """

    def __init__(self, row: int):
        self.row = row
        self.held: list[int] = []
        self.text: Text | None = None
        self.used_at = 0

    @property
    def window(self) -> list[int]:
        """Return the tokens that the network has to see for the text."""
        assert self.text is not None
        return self.text.window

    def unread(self) -> list[int]:
        """Return the tokens that the network still has to read before the next one is chosen."""
        return self.window[len(self.held) :]


class Slots:
    """The rows of one network's cache; used by one thread."""

    def __init__(self, network: Network, writable: np.ndarray, count: int | None = None):
        """Make room for `count` texts at once; as many as memory suggests without it.

        writable: the tokens that may be written.
        """
        dtype, shape = network.model.embed_tokens.weight.dtype, network.shape
        row_bytes = 2 * shape.layers * shape.kv_heads * shape.head_size * dtype.itemsize
        fitting = MOST_CACHE_BYTES // (row_bytes * shape.context_tokens)
        count = count or max(1, min(MOST_SLOTS, fitting))
        self._network, self._cache = network, Cache(shape, count, dtype)
        self._slots = [Slot(row) for row in range(count)]
        self._steps = 0
        self._bias = torch.full((shape.vocabulary,), -torch.inf)
        self._bias[torch.from_numpy(writable)] = 0.0

    @property
    def free(self) -> int:
        """Return how many more texts may join."""
        return sum(slot.text is None for slot in self._slots)

    def texts(self) -> list[Text]:
        """Return the texts that are being written."""
        return [slot.text for slot in self._slots if slot.text is not None]

    def join(self, text: Text) -> None:
        """Give a text the free slot that holds most of it, else the one unused for longest."""
        free = [slot for slot in self._slots if slot.text is None]
        best = max(free, key=lambda slot: common(slot.held, text.window))
        shared = common(best.held, text.window)
        if shared < LEAST_COMMON_TOKENS or 2 * shared < len(best.held):
            best = min(free, key=lambda slot: slot.used_at)
        best.text, best.used_at = text, self._steps
        best.held = best.held[: common(best.held, text.window[:-1])]

    def leave(self, text: Text) -> None:
        """Free the slot of a text; what it holds stays until another text needs the slot."""
        slot = next(slot for slot in self._slots if slot.text is text)
        slot.text, slot.used_at = None, self._steps

    def clear(self) -> None:
        """Free all slots and forget what they hold."""
        for slot in self._slots:
            slot.text, slot.held = None, []

    def step(self) -> list[tuple[Text, np.ndarray]]:
        """Let each text come one token further, or read more of its prompt.

        Returns the texts that have read all of theirs, each with the logits (V,) of its next token;
        they have to take it before the next step.
        """
        self._steps += 1
        active = [slot for slot in self._slots if slot.text is not None]
        for slot in active:
            if len(slot.held) != len(slot.window) - 1:
                self._keep_common(slot)
        writing = [slot for slot in active if len(slot.held) == len(slot.window) - 1]
        others = [slot for slot in active if slot not in writing]
        reading = _read_together(sorted(others, key=lambda slot: slot.used_at))
        return [*self._pass(reading, READ_TOKENS), *self._pass(writing, 1)]

    def _keep_common(self, slot: Slot) -> None:
        """Let a slot hold as much of its text as any slot does, but the last token."""
        needed = slot.window[:-1]
        own = common(slot.held, needed)
        best = max(self._slots, key=lambda other: common(other.held, needed))
        shared = common(best.held, needed)
        if shared >= own + LEAST_COMMON_TOKENS:
            self._cache.copy(best.row, slot.row, own, shared)
            own = shared
        slot.held = needed[:own]

    def _pass(self, slots: Sequence[Slot], most_tokens: int) -> list[tuple[Text, np.ndarray]]:
        """Read the next tokens of some slots, and return what `step` returns for them."""
        if not slots:
            return []
        parts = [slot.window[len(slot.held) : len(slot.held) + most_tokens] for slot in slots]
        rows, lengths = [slot.row for slot in slots], [len(slot.held) for slot in slots]
        hidden_BTD = self._network(_filled(parts), cache=self._cache.select(rows, lengths))
        done = []
        for place, (slot, part) in enumerate(zip(slots, parts, strict=True)):
            slot.held += part
            if len(slot.held) == len(slot.window):
                done.append((place, len(part) - 1, slot.text))
        if not done:
            return []
        places, last, texts = zip(*done, strict=True)
        logits = self._logits(hidden_BTD[list(places), list(last)])
        return list(zip(texts, logits, strict=True))

    def _logits(self, hidden_BD: Tensor) -> np.ndarray:
        """Return the logits (B, V), float32, in which what may not be written has -∞."""
        head_VD = self._network.head_VD
        if len(hidden_BD) in FEW_ROWS and head_VD.numel() >= LARGE_HEAD:
            parts = [F.linear(hidden_BD, part) for part in head_VD.split(HEAD_PART_TOKENS)]
            return torch.cat(parts, dim=1).float().add_(self._bias).numpy()
        return self._network.logits(hidden_BD).float().add_(self._bias).numpy()


def common(some: Sequence[int], others: Sequence[int]) -> int:
    """Return how many tokens two lists begin with in common."""
    most = min(len(some), len(others))
    if some[:most] == others[:most]:
        return most
    return next(n for n in range(most) if some[n] != others[n])


def _read_together(slots: Sequence[Slot]) -> list[Slot]:
    """Return the slots whose prompts are read in one pass: the first, and those of like lengths.

    One whose beginning another is about to read waits, and copies it in the next step.
    """
    chosen: list[Slot] = []
    for slot in slots:
        tokens = min(READ_TOKENS, max(len(other.unread()) for other in [slot, *chosen]))
        least = min(len(other.unread()) for other in [slot, *chosen])
        if chosen and (tokens * (len(chosen) + 1) > READ_TOKENS or 2 * least < tokens):
            continue
        reusable = max((common(slot.window, other.window) for other in chosen), default=0)
        if reusable < len(slot.held) + LEAST_COMMON_TOKENS:
            chosen.append(slot)
    return chosen


def _filled(parts: Sequence[Sequence[int]]) -> Tensor:
    """Return rows of tokens (B, T), each filled up to the longest one."""
    longest = max(map(len, parts))
    return torch.tensor([[*part, *[0] * (longest - len(part))] for part in parts])
