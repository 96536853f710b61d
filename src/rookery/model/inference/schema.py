"""Schema: which tokens a JSON schema allows next, by llguidance.

Free white space is not allowed: a model that may write blanks without end does. Not here: what the
options of a text are (`core/sampling.py`), and when a text ends (`text.py`).
"""

import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from rookery.core.errors import UsageError


class SchemaCompiler:
    """What makes a matcher of a schema for the texts of one tokenizer."""

    def __init__(self, tokenizer_json: str, end: int, vocabulary: int):
        """Read the text of a `tokenizer.json`; `end` is the token that ends a text."""
        from llguidance import LLTokenizer

        self._tokenizer = LLTokenizer(tokenizer_json, n_vocab=vocabulary, eos_token=end)
        self._end = end

    def matcher(self, schema: Mapping[str, Any]) -> "SchemaMatcher":
        """Return what follows the text of one answer.

        Raises `UsageError`, with the reason, for a schema that is wrong or that no text meets.
        """
        from llguidance import LLMatcher

        try:
            text = json.dumps(schema, allow_nan=False)
            grammar = LLMatcher.grammar_from_json_schema(
                text, overrides={"whitespace_flexible": False}
            )
        except (TypeError, ValueError) as error:
            raise UsageError(f"this is no JSON schema: {error}") from None
        matcher = LLMatcher(self._tokenizer, grammar, log_level=0)
        found = SchemaMatcher(matcher, self._tokenizer.vocab_size, self._end)
        if problem := matcher.get_error() or found.problem():
            reason = problem.partition("\n<state>")[0]
            raise UsageError(f"no text can follow this JSON schema: {reason}")
        return found


class SchemaMatcher:
    """One text that follows a schema, as far as it is written."""

    def __init__(self, matcher: Any, vocabulary: int, end: int):
        self._matcher, self._end = matcher, end
        self._bits = np.zeros((vocabulary + 31) // 32, dtype=np.int32)

    def allowed(self) -> np.ndarray:
        """Return which tokens may come next: bool, of at least the vocabulary's length."""
        self._matcher.unsafe_compute_mask_ptr(self._bits.ctypes.data, self._bits.nbytes)
        return np.unpackbits(self._bits.view(np.uint8), bitorder="little").view(bool)

    def problem(self) -> str:
        """Return why no token at all may come next; nothing if one may."""
        may = self.allowed()
        return self._matcher.get_error() or ("" if may.any() else "it has no value")

    def take(self, token: int) -> None:
        """Follow the text by one token."""
        self._matcher.consume_token(token)

    @property
    def is_complete(self) -> bool:
        """Return whether the text is whole, so that nothing may follow."""
        return self._matcher.is_stopped()
