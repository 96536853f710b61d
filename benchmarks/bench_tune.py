"""Measure what tuning gives: an adopted model on posts, and the default model in a chat.

    python benchmarks/bench_tune.py HOME --data tweets.parquet --base FOLDER

HOME is made of the first tweets where it does not exist yet: ingest, corpus, and a model of the
default scale. FOLDER holds an open model in the layout of Hugging Face; without it that part is
left out. All tuning is done by the command, and judged on held-out posts that no phase has learned.

Posts: bits per byte on later English posts, before and after a tuning on at most 10,000 tokens.
Chat: 2,000 made-up conversations, in which half of a post is said and the other half is the reply.
Judged on 100 others: the loss of the replies, and how many replies end by themselves within 64
tokens, drawn as the server draws them.
"""

import argparse
import json
import resource
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from process import IRA_MAP, new_home, progress, rookery
from record import table, write_result

from rookery.core.artifact import Artifact, find_artifacts
from rookery.core.home import Home, open_home
from rookery.core.protocols import GenerationOptions, Message
from rookery.corpus.document import read_documents
from rookery.model.checkpoint import load_network
from rookery.model.evaluation.bits import text_bits
from rookery.model.generate import load_generator
from rookery.model.phases import find_checkpoint
from rookery.model.tokenizer import load_tokenizer
from rookery.model.tuning.template import ChatTemplate, load_template

TWEETS, POSTS, TOKENS = 300_000, 1_000, 10_000
CONVERSATIONS, JUDGED, REPLY_TOKENS = 2_000, 100, 64
BAR_LESS_BITS, BAR_LESS_NATS, BAR_ENDED = 0.2, 1.0, 95


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("home", type=Path)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--base", type=Path, help="A folder of Hugging Face.")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    home, own = made_home(arguments.home, arguments.data)
    parts = [chat_part(home, own)]
    if arguments.base:
        parts.insert(0, posts_part(home, own, arguments.base))
    text = "\n\n".join(parts)
    print(write_result("tune", "What tuning gives", ["torch", "transformers"], text).read_text())


def made_home(folder: Path, data: Path) -> tuple[Home, Artifact]:
    """Return the home and its own model of the default scale, made where they are not there."""
    if not folder.exists():
        progress("making a home")
        new_home(folder)
        rookery(folder, "posts", "ingest", data, "--map", IRA_MAP, "--limit", TWEETS)
        rookery(folder, "corpus", "build")
    home = open_home(folder)
    for made in find_artifacts(home.artifacts, "checkpoint"):
        if "lora_rank" in made.manifest.config:  # of an earlier run: all is measured anew
            shutil.rmtree(made.path)
    progress("training the default model, or finding it")
    return home, find_checkpoint(home, rookery(folder, "model", "train").output["key"])


def english(home: Home, split: str) -> Iterator[str]:
    for batch in read_documents(home.newest("corpus"), split, ["text", "language"]):
        for text, language in zip(
            *(batch[n].to_pylist() for n in ("text", "language")), strict=True
        ):
            if language == "en" and len(text.split()) > 8:
                yield text


def command(home: Home, *words: object) -> tuple[Artifact, float]:
    """Run a verb that makes a checkpoint; return it and the CPU seconds of the command."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    made = rookery(home.path, "model", *words).output
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return find_checkpoint(home, made["key"]), seconds


def posts_part(home: Home, own: Artifact, folder: Path) -> str:
    texts = [text for _, text in zip(range(POSTS), english(home, "validation"), strict=False)]
    progress("adopting")
    base, _ = command(home, "adopt", folder, "--context", 256)
    progress("tuning on posts")
    tuned, seconds = command(home, "tune", "posts", "--tokens", TOKENS, "--model", base.key)
    models = {"own, default scale": own, "adopted": base, "adopted and tuned": tuned}
    bits = {}
    for name, checkpoint in models.items():
        progress(f"judging {name}")
        bits[name] = bits_per_byte(checkpoint, texts)
    less = bits["adopted"] - bits["adopted and tuned"]
    below_own = bits["adopted and tuned"] < bits["own, default scale"]
    rows = [
        [name, f"{models[name].manifest.metrics['parameters']:,}", f"{value:.3f}"]
        for name, value in bits.items()
    ]
    met = "met" if less >= BAR_LESS_BITS and below_own else "NOT met"
    seen = tuned.manifest.metrics["phases"][-1]["tokens"]
    return (
        f"Tuned on {seen:,} tokens in {seconds:.0f} CPU seconds, the adopted model needs "
        f"{less:.3f} bits per byte less on {len(texts):,} later English posts. Bar of "
        f"{BAR_LESS_BITS}, and less than the home's own: {met}.\n\n"
        + table(["model", "parameters", "bits per byte"], rows)
    )


def bits_per_byte(checkpoint: Artifact, texts: list[str]) -> float:
    network, tokenizer = load_network(checkpoint), load_tokenizer(checkpoint)
    bits = text_bits(network, tokenizer, texts).sum()
    return float(bits) / sum(len(text.encode()) for text in texts)


def halves(text: str) -> list[Message]:
    words = text.split()
    half = len(words) // 2
    return [
        Message("user", " ".join(words[:half])), Message("assistant", " ".join(words[half:]))
    ]  # fmt: skip


def chat_part(home: Home, own: Artifact) -> str:
    learned, judged = english(home, "train"), english(home, "validation")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "conversations.jsonl"
        with open(path, "w") as file:
            for _, text in zip(range(CONVERSATIONS), learned, strict=False):
                messages = [{"role": m.role, "content": m.content} for m in halves(text)]
                file.write(json.dumps({"messages": messages}) + "\n")
        chats = [halves(text) for _, text in zip(range(JUDGED), judged, strict=False)]
        rows, verdicts = [], {}
        before, _ = loss_and_ended(own, chats)
        rows.append(["before", f"{before:.3f}", str(loss_and_ended(own, chats)[1]), "", ""])
        for name, more in (("adapters", []), ("all weights", ["--full"])):
            progress(f"tuning in a chat, {name}")
            tuned, seconds = command(home, "tune", "chat", path, "--model", own.key, *more)
            loss, ended = loss_and_ended(tuned, chats)
            met = before - loss >= BAR_LESS_NATS and ended >= BAR_ENDED
            verdicts[name] = "met" if met else "NOT met"
            rows.append([name, f"{loss:.3f}", str(ended), f"{before - loss:.2f}", f"{seconds:.0f}"])
    said = ", ".join(f"{name}: {verdict}" for name, verdict in verdicts.items())
    return (
        "Before a tuning texts end as posts do, by the token that ends a document. "
        f"{CONVERSATIONS:,} conversations, each seen twice. Bars of {BAR_LESS_NATS} nat less and "
        f"{BAR_ENDED} of {JUDGED} replies that end by themselves: {said}.\n\n"
        + table(["tuned by", "reply loss, nats", "ended", "less", "CPU seconds"], rows)
    )


def loss_and_ended(checkpoint: Artifact, chats: list[list[Message]]) -> tuple[float, int]:
    """Return the mean loss of the replies' tokens, and how many replies end by themselves."""
    template = load_template(checkpoint)
    return reply_loss(checkpoint, template, chats), replies_that_end(checkpoint, chats)


@torch.no_grad()
def reply_loss(checkpoint: Artifact, template: ChatTemplate, chats: list[list[Message]]) -> float:
    network, nats, tokens = load_network(checkpoint), 0.0, 0
    for messages in chats:
        chat = template.encode(messages)
        ids = torch.tensor([chat.tokens])
        of_token = F.cross_entropy(
            network.logits(network(ids[:, :-1]))[0], ids[0, 1:], reduction="none"
        )
        counted = torch.from_numpy(np.asarray(chat.is_reply[1:]))
        nats += float(of_token[counted].sum())
        tokens += int(counted.sum())
    return nats / tokens


def replies_that_end(checkpoint: Artifact, chats: list[list[Message]]) -> int:
    generator: Any = load_generator(checkpoint)
    ended = 0
    for seed, messages in enumerate(chats):
        options = GenerationOptions(max_tokens=REPLY_TOKENS, seed=seed)
        *_, last = generator.generate(messages[:1], options)
        ended += last.finish_reason == "stop"
    return ended


if __name__ == "__main__":
    main()
