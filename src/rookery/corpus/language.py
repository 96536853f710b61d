"""Language: what the platform says; where it says nothing, a guess from the text, made offline.

A platform's tag comes from the author's settings or from a better detector than any that runs here.
py3langid carries its model inside; on a few words it guesses badly, so short texts stay unknown.
"""

from collections.abc import Callable

import pyarrow as pa
import pyarrow.compute as pc
from py3langid.langid import MODEL_FILE, LanguageIdentifier

MIN_CHARACTERS = 20
MIN_PROBABILITY = 0.5  # on 9,700 tagged posts: .974 right over all, .995 right over the 93% at or above this


def with_guesses(tags: pa.Array, keys: pa.Array, advance: Callable[[int], None] = lambda n: None) -> pa.Array:
    """The tags, with guesses in the place of nulls where the key is long enough and the guess is sure."""
    wanted = pc.and_(pc.is_null(tags), pc.greater_equal(pc.utf8_length(keys), MIN_CHARACTERS))
    texts = keys.filter(wanted)
    if not len(texts):
        return tags
    identifier = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
    guesses = []
    for text in texts.to_pylist():
        language, probability = identifier.classify(text)
        guesses.append(language if probability >= MIN_PROBABILITY else None)
        advance(1)
    return pc.replace_with_mask(tags, wanted, pa.array(guesses, tags.type))
