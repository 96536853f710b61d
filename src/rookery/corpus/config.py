"""What a corpus can be asked for: the settings of `rookery corpus build --set`.

Each field is part of the artifact's key, so another value makes another corpus. Not here: on how
many machines the work is done (`[corpus]` in `rookery.toml`), which changes no document.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from rookery.core.errors import UsageError
from rookery.corpus import mixture


@dataclass(frozen=True)
class CorpusConfig:
    """The settings of a corpus.

    validation_share: the share of the posts, the latest ones, that is held out for validation.
    validation_limit: the largest number of posts that is held out.
    seed: decides the order of the documents and every random choice.
    split: `time`, or `author` to hold out people as well (split.py).
    placeholders: mentions become @USER and links HTTPURL.
    controls: documents begin with control tokens (control.py).
    mixture: weights such as `language:en` (mixture.py).
    """

    validation_share: float = 0.05
    validation_limit: int = 20_000
    seed: int = 0
    split: Literal["time", "author"] = "time"
    placeholders: bool = False
    controls: bool = False
    mixture: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not 0 < self.validation_share < 1:
            raise UsageError(
                f"validation_share must lie between 0 and 1, not be {self.validation_share}"
            )
        if self.validation_limit < 1:
            raise UsageError(f"validation_limit must be at least 1, not {self.validation_limit}")
        mixture.check(self.mixture)
