"""Steps that a benchmark runs as programs of their own because no verb of Rookery does them alone.

    python steps.py corpus HOME TOKENIZER        the corpus and its token shards
    python steps.py tokenizer HOME VOCABULARY    the tokenizer of the newest corpus

Each prints one JSON document.
"""

import json
import sys
import time
from pathlib import Path

from rookery.core.context import Context
from rookery.core.home import open_home


def corpus(home: Path, tokenizer: str) -> dict[str, float]:
    """Build a corpus and its shards with a given tokenizer; return counts and seconds."""
    from rookery.corpus.build import build_corpus
    from rookery.corpus.shards import write_shards
    from rookery.model.tokenizer import read_tokenizer

    opened, context, started = open_home(home), Context(), time.monotonic()
    made = build_corpus(opened, context)
    built = time.monotonic()
    shards = write_shards(opened, made, read_tokenizer(Path(tokenizer)), context)
    numbers = shards.manifest.metrics
    return {
        "build_seconds": built - started,
        "shards_seconds": time.monotonic() - built,
        "documents": numbers["documents_train"] + numbers["documents_validation"],
        "tokens": numbers["tokens_train"] + numbers["tokens_validation"],
    }


def tokenizer(home: Path, vocabulary: str) -> dict[str, str]:
    """Train a tokenizer on the newest corpus, and return the path of its `tokenizer.json`."""
    from rookery.model.tokenizer import FILE, train_tokenizer

    opened = open_home(home)
    made = train_tokenizer(
        opened, opened.need("corpus", "rookery corpus build"), Context(), int(vocabulary)
    )
    return {"path": str(made.file(FILE))}


if __name__ == "__main__":
    name, home, *words = sys.argv[1:]
    print(json.dumps({"corpus": corpus, "tokenizer": tokenizer}[name](Path(home), *words)))
