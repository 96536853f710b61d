"""Measure the writers of answers that are models, on collections with relevance judgements.

    python benchmarks/bench_writers.py HOME COLLECTION COLLECTION [--adopted FOLDER]

The newest checkpoint of HOME writes as it was trained, and after `rookery model tune chat` on
conversations that nobody judged: two to four words of a random post as the question, sentences of
posts about them as data, and as the reply what the writer that quotes makes of these. The tuned
model writes in this process, and behind a server of Rookery's own, a process that is reached over a
socket. FOLDER holds an open model that can chat, in the layout of Hugging Face; since it is slow,
it is asked every eighth topic. As in bench_answers.py, each of two collections is indexed as a
home's posts, its own topics should be answered and those of the other refused.
"""

import argparse
import json
import random
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import torch
from bench_answers import indexed
from process import ROOKERY, new_home, progress, rookery
from record import table, write_result

from rookery.core.artifact import Artifact
from rookery.core.home import open_home
from rookery.model.generate import load_generator
from rookery.search.answers.answer import ask, gathered
from rookery.search.answers.evidence import Evidence, Passage, judged
from rookery.search.answers.generation import (
    MOST_PASSAGES,
    EndpointWriter,
    GeneratorWriter,
    messages_for,
)
from rookery.search.answers.question import topic_of
from rookery.search.answers.writers import EXTRACTION, AnswerWriter, Sentence
from rookery.search.index import SearchIndex
from rookery.search.judged import JudgedCollection, read_judged

CONVERSATIONS, EPOCHS = 750, 3  # conversations of each collection
SECONDS = 20.0  # the default of `[answers] seconds`
EVERY = 8
HEADINGS = [
    "collection", "writer", "own answered", "in its own sentences", "cited posts relevant",
    "cited there relevant", "other's refused", "sentences cited and dropped", "quoted: nothing "
    "cited", "quoted: all dropped", "quoted: failed or late", "seconds an answer",
]  # fmt: skip


@dataclass
class Recorded:
    """A writer, and what it did: of each call its sentences, None where it failed, and seconds."""

    writer: AnswerWriter
    written: list[int | None] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)

    @property
    def name(self) -> str:
        return self.writer.name

    def write(self, question: str, evidence: Evidence) -> list[Sentence]:
        """Let the writer write, and keep the figures."""
        began = time.monotonic()
        self.written.append(None)
        try:
            found = list(self.writer.write(question, evidence))
        finally:
            self.seconds.append(time.monotonic() - began)
        self.written[-1] = len(found)
        return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("home", type=Path)
    parser.add_argument("collections", type=Path, nargs=2)
    parser.add_argument("--adopted", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    names = [folder.name for folder in arguments.collections]
    judgments = [read_judged(folder, "test") for folder in arguments.collections]
    with tempfile.TemporaryDirectory(prefix="rookery-writers-") as scratch:
        folder = Path(scratch)
        indexes = [
            indexed(folder / name, {i: post.text for i, post in own.posts.items()})
            for name, own in zip(names, judgments, strict=True)
        ]
        trained = with_checkpoint(
            folder / "trained", open_home(arguments.home).newest("checkpoint")
        )
        tuned = with_checkpoint(folder / "tuned", newest(trained))
        progress("tuning")
        file = folder / "conversations.jsonl"
        count = write_conversations(file, indexes, judgments)
        told = rookery(tuned, "model", "tune", "chat", file, "--full", "--epochs", EPOCHS)
        writers = [("extract", EXTRACTION, 1)]
        writers += [("model, as trained", own_writer(trained), 1)]
        writers += [("model, tuned", own_writer(tuned), 1)]
        if arguments.adopted:
            adopted = new_home(folder / "adopted")
            rookery(adopted, "model", "adopt", arguments.adopted, "--context", 2048)
            writers.append((f"model, adopted, 1 topic in {EVERY}", own_writer(adopted), EVERY))
        with served(tuned) as (url, model):
            context_tokens = writers[2][1].generator.context_tokens
            endpoint = EndpointWriter(url, model, "", SECONDS, context_tokens=context_tokens)
            writers.insert(3, ("endpoint, tuned", endpoint, 1))
            parameters = newest(trained).manifest.metrics["parameters"]
            rows = [
                [names[n], *measured(indexes[n], judgments[n], judgments[1 - n], *writer)]
                for writer in writers
                for n in (0, 1)
            ]
    body = (
        f"The model has {parameters:,} parameters and a context of {context_tokens} tokens; it "
        f"was tuned on {count} conversations, seen {EPOCHS} times, in {told.cpu_seconds:.0f} CPU "
        "seconds. Shares of answers are of the topics that were answered.\n\n"
        + table(HEADINGS, rows)
    )
    title = "Answers in a model's own sentences"
    print(write_result("writers", title, ["torch", "tantivy", "httpx"], body).read_text())


def with_checkpoint(folder: Path, checkpoint: Artifact) -> Path:
    """Make a home that has one checkpoint and nothing else."""
    new_home(folder)
    kept = open_home(folder).artifacts / "checkpoint" / checkpoint.key
    shutil.copytree(checkpoint.path, kept)
    return folder


def newest(folder: Path) -> Artifact:
    return open_home(folder).newest("checkpoint")


def own_writer(folder: Path) -> GeneratorWriter:
    return GeneratorWriter(load_generator(newest(folder)), SECONDS)


@contextmanager
def served(folder: Path) -> Iterator[tuple[str, str]]:
    """Serve a home on a free port; yield the address of its API and the name of its model."""
    command = [*ROOKERY, "serve", "--home", str(folder), "--port", "0"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        where = urlsplit(process.stdout.readline().split()[1])
        yield f"http://{where.netloc}/v1", newest(folder).key
    finally:
        process.terminate()
        process.communicate()


def write_conversations(
    file: Path, indexes: Sequence[SearchIndex], judgments: Sequence[JudgedCollection]
) -> int:
    """Write conversations that end with quotations, and return how many there are."""
    lines = []
    for index, own in zip(indexes, judgments, strict=True):
        chance, texts = random.Random(0), [own.posts[i].text for i in sorted(own.posts)]
        made: list[str] = []
        while len(made) < CONVERSATIONS:
            words = [w for w in dict.fromkeys(chance.choice(texts).split()) if w.isalpha()]
            words = [w for w in words if len(w) > 3]
            if len(words) >= 4:
                made += conversation(index, " ".join(chance.sample(words, chance.randint(2, 4))))
        lines += made
    file.write_text("".join(f"{line}\n" for line in lines))
    return len(lines)


def conversation(index: SearchIndex, question: str) -> list[str]:
    """Return the conversation about a question as a line of JSON, none if no post is about it."""
    topic = topic_of(question)
    if not topic.terms:
        return []
    found = gathered(index, topic)
    about = judged(topic, found).passages[:MOST_PASSAGES]
    passages = [Passage(n, 0, p.text, p.terms, p.fit) for n, (_, p) in enumerate(about)]
    evidence = Evidence(tuple(hit for hit, _ in about), tuple(passages), found.idf)
    quoted = EXTRACTION.write(question, evidence)
    if not quoted:
        return []
    reply = "\n".join(f"{s.text} {''.join(f'[{n}]' for n in s.citations)}" for s in quoted)
    messages = [{"role": m.role, "content": m.content} for m in messages_for(question, passages)]
    return [json.dumps({"messages": [*messages, {"role": "assistant", "content": reply}]})]


def measured(
    index: SearchIndex,
    own: JudgedCollection,
    other: JudgedCollection,
    name: str,
    writer: AnswerWriter,
    every: int,
) -> list[str]:
    """Return the cells of a row."""
    recorded, by_model = Recorded(writer), writer is not EXTRACTION
    used = recorded if by_model else writer
    answered, cited, cited_own, dropped, failed, empty, quoted = 0, [], [], 0, 0, 0, 0
    topics = list(own.grades)[::every]
    for topic in topics:
        answer = ask(index, own.queries[topic], used)
        relevant = [own.grades[topic].get(source.id, 0) > 0 for source in answer.sources]
        answered += bool(answer.sentences)
        cited += relevant
        dropped += answer.unsupported
        if answer.writer == writer.name:
            cited_own += relevant
        elif answer.sentences:
            failed += recorded.written[-1] is None
            empty += recorded.written[-1] == 0
            quoted += 1
    written = sum(n or 0 for n in recorded.written)
    others = list(other.grades)[::every]
    refused = sum(not ask(index, other.queries[topic], used).sentences for topic in others)
    cells = [
        name,
        f"{answered / len(topics):.3f}",
        f"{(answered - quoted) / answered:.3f}" if by_model else "",
        f"{np.mean(cited):.3f}",
        f"{np.mean(cited_own):.3f}" if by_model and cited_own else "",
        f"{refused / len(others):.3f}",
        f"{dropped} of {written}" if by_model else "",
        *([str(n) for n in (empty, quoted - empty - failed, failed)] if by_model else [""] * 3),
        f"{np.mean(recorded.seconds):.2f}" if recorded.seconds else "",
    ]
    progress(" | ".join(cells))
    return cells


if __name__ == "__main__":
    main()
