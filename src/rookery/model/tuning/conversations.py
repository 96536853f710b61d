"""Conversations: what a model learns to answer from, as shards in which the replies are learned.

They come from a file, a JSON object with `messages` on each line, or from the threads of a corpus:
each way from a thread's first post to a last answer is one. Posts of one author in a row are one
message; the last is the assistant's, the one before it the user's, and so on. The posts of a thread
keep their rights: a forgotten one masks its conversations, and `erase` empties them, as in any
shards.

Not here: how messages become tokens (`template.py`), and how a step is taken (`training/`).
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import pyarrow.compute as pc

from rookery.core.artifact import Artifact
from rookery.core.context import Context
from rookery.core.digest import digest_bytes, digest_file, hash_ids
from rookery.core.errors import DataError, UsageError
from rookery.core.home import Home
from rookery.core.lineage import write_held_hashes
from rookery.core.locks import reading_posts
from rookery.core.protocols import Message
from rookery.core.stage import Stage, Workspace, run_stage
from rookery.core.verdict import Tally
from rookery.corpus.document import LAKE_VERSION, SPLITS, read_documents
from rookery.corpus.gather import THREAD_GAP
from rookery.corpus.shards import EncodedDocument, ShardConfig, write_encoded
from rookery.model.tuning.template import ChatTemplate
from rookery.posts.lake import Lake, open_lake

VERSION = 1
FEWEST = 100
HELD_BACK = 20  # of a file's conversations, every twentieth is for validation
ROLES = ("system", "user", "assistant")
ASSISTANT, USER = "assistant", "user"


@dataclass(frozen=True)
class Conversation:
    """Messages that end with a reply, and the posts that they are made of."""

    messages: tuple[Message, ...]
    post_ids: tuple[str, ...]
    author_ids: tuple[str, ...]


def shards_of_file(
    home: Home, path: Path, template: ChatTemplate, context_tokens: int, context: Context
) -> Artifact:
    """Return the shards of a file's conversations; every twentieth is held back.

    Raises `DataError` for a file that is none of conversations, or holds fewer than 100.
    """
    conversations = list(read_file(path))
    held = set(range(0, len(conversations), HELD_BACK))
    parts: dict[str, list[Conversation]] = {split: [] for split in SPLITS}
    for number, conversation in enumerate(conversations):
        parts[SPLITS[number in held]].append(conversation)
    made_of = {"file": digest_file(path)}
    return _shards(home, path, made_of, 0, lambda: parts, template, context_tokens, context)


def shards_of_threads(
    home: Home, corpus: Artifact, template: ChatTemplate, context_tokens: int, context: Context
) -> Artifact:
    """Return the shards of the conversations in a corpus' threads, split as the corpus is.

    Raises `DataError` if there are fewer than 100 to learn from.
    """
    lake, version = open_lake(home), corpus.manifest.metrics[LAKE_VERSION]

    def parts() -> dict[str, list[Conversation]]:
        return {split: list(of_threads(corpus, split, lake)) for split in SPLITS}

    with reading_posts(home):
        made_of, where = {"threads": corpus.digest}, corpus.path
        return _shards(home, where, made_of, version, parts, template, context_tokens, context)


def read_file(path: Path) -> Iterator[Conversation]:
    """Yield the conversations of a file of JSON lines; raise `DataError` for one that is none."""
    try:
        with open(path, encoding="utf-8") as file:
            for number, line in enumerate(file, 1):
                if line.strip():
                    yield _conversation(line, f"{path}, line {number}", number)
    except UnicodeDecodeError as error:
        raise DataError(f"not UTF-8: {error.reason}", where=path) from None
    except OSError as error:
        raise UsageError(f"it cannot be read: {error.strerror}", where=path) from None


def _conversation(line: str, where: str, number: int) -> Conversation:
    try:
        given = json.loads(line)["messages"]
        messages = tuple(_message(one) for one in given)
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"not a conversation: {error!r}",
            where=where,
            hint='Each line is {"messages": [{"role": "user", "content": "…"}, …]}',
        ) from None
    if not any(one.role == ASSISTANT for one in messages):
        raise DataError("a conversation without a reply of the assistant", where=where)
    return Conversation(messages, (f"conversation {number}",), ("",))


def _message(given: Mapping[str, Any]) -> Message:
    role, content = given["role"], given["content"]
    if role not in ROLES or not isinstance(content, str):
        raise ValueError(f"a message has a role of {', '.join(ROLES)} and a text as content")
    return Message(role, content)


def of_threads(corpus: Artifact, split: str, lake: Lake) -> Iterator[Conversation]:
    """Yield the conversations in the threads of a corpus' split."""
    columns = ["text", "post_ids", "author_ids"]
    for batch in read_documents(corpus, split, columns):
        threads = batch.filter(pc.greater(pc.list_value_length(batch["post_ids"]), 1)).to_pylist()
        ids = {post for thread in threads for post in thread["post_ids"]}
        answered = _answered(lake, ids) if ids else {}
        for thread in threads:
            yield from _of_thread(thread, answered)


def _answered(lake: Lake, ids: set[str]) -> dict[str, str]:
    """Return for each of some posts the post that it answers."""
    found: dict[str, str] = {}
    for batch in lake.batches(["id", "reply_to"]):
        rows = zip(batch["id"].to_pylist(), batch["reply_to"].to_pylist(), strict=True)
        found.update((post, to) for post, to in rows if to and post in ids)
    return found


def _of_thread(thread: Mapping[str, Any], answered: Mapping[str, str]) -> Iterator[Conversation]:
    posts = thread["post_ids"]
    texts = thread["text"].split(THREAD_GAP)
    if len(texts) != len(posts):  # an erased document has neither
        return
    of_post = dict(zip(posts, zip(thread["author_ids"], texts, strict=True), strict=True))
    parents = {answered.get(post) for post in posts}
    for leaf in (post for post in posts if post not in parents):
        way = _way_to(leaf, answered, of_post)
        turns = [
            (author, [of_post[post][1] for post in group], group)
            for author, group in (
                (author, list(group)) for author, group in groupby(way, lambda p: of_post[p][0])
            )
        ]
        turns = turns[len(turns) % 2 :]  # the first message is the user's, the last the assistant's
        if turns:
            yield _alternating(turns)


def _way_to(leaf: str, answered: Mapping[str, str], inside: Mapping[str, Any]) -> list[str]:
    """Return the posts from a document's first one to a leaf; each answers the one before."""
    way, post = [], leaf
    while post in inside and post not in way:
        way.append(post)
        post = answered.get(post, "")
    return way[::-1]


def _alternating(turns: Sequence[tuple[str, list[str], list[str]]]) -> Conversation:
    messages = tuple(
        Message(USER if number % 2 == 0 else ASSISTANT, "\n".join(texts))
        for number, (_, texts, _) in enumerate(turns)
    )
    posts = [(post, author) for author, _, group in turns for post in group]
    ids, authors = zip(*posts, strict=True)
    return Conversation(messages, ids, authors)


def _shards(
    home: Home,
    where: Path,
    made_of: Mapping[str, str],
    lake_version: int,
    parts: Callable[[], Mapping[str, Sequence[Conversation]]],
    template: ChatTemplate,
    context_tokens: int,
    context: Context,
) -> Artifact:
    tokenizer = template.tokenizer
    config = ShardConfig(tokenizer.vocabulary, tokenizer.end_of_document)
    inputs = {
        **made_of,
        "tokenizer": tokenizer.digest,
        "template": digest_bytes(f"{template.source} {context_tokens} {VERSION}".encode()),
    }
    stage = Stage("shards", VERSION, config, inputs)

    def make(workspace: Workspace) -> dict[str, int]:
        metrics: dict[str, int] = {LAKE_VERSION: lake_version}
        fitting: dict[str, list[EncodedDocument]] = {}
        for split, given in parts().items():
            documents = (encoded(one, template, context_tokens) for one in given)
            fitting[split] = [one for one in documents if one]
            if left_out := len(given) - len(fitting[split]):
                workspace.tally.dropped["longer_than_the_context"] += left_out
        workspace.tally.kept = sum(map(len, fitting.values()))
        _require(workspace.tally, where)
        for split, those in fitting.items():
            metrics |= write_encoded(workspace.path, split, those, tokenizer.vocabulary)
        posts = (post for of in fitting.values() for one in of for post in one.post_ids)
        write_held_hashes(workspace.path, hash_ids(posts))
        return metrics

    return run_stage(home, stage, make, context)


def _require(tally: Tally, where: Path) -> None:
    if tally.kept >= FEWEST:
        return
    too_long = tally.dropped.total()
    beside = f" ({too_long} are longer than the model's context)" if too_long else ""
    raise DataError(
        f"{tally.kept} conversations are too few to learn from{beside}; {FEWEST} are needed",
        where=where,
        hint="Give a file with more: a JSON object with messages on each line",
    )


def encoded(
    conversation: Conversation, template: ChatTemplate, context_tokens: int
) -> EncodedDocument | None:
    """Return a conversation's tokens, with as many of its last messages as fit into the context.

    None if not even the last question and its reply fit.
    """
    messages = list(conversation.messages)
    while messages:
        chat = template.encode(messages)
        tokens, learned = list(chat.tokens), chat.is_reply.tolist()
        # every document begins after an end of document, which no shard spells out
        if tokens[:1] == [template.tokenizer.end_of_document]:
            tokens, learned = tokens[1:], learned[1:]
        if len(tokens) <= context_tokens and any(learned):
            return EncodedDocument(tokens, learned, conversation.post_ids, conversation.author_ids)
        messages = _without_first_turn(messages)
    return None


def _without_first_turn(messages: Sequence[Message]) -> list[Message]:
    """Return the messages without the first question and what comes before the next one."""
    system = [one for one in messages if one.role == "system"]
    rest = [one for one in messages if one.role != "system"]
    after = next((n for n, one in enumerate(rest) if n and one.role == USER), len(rest))
    return [*system, *rest[after:]] if rest[after:] else []
