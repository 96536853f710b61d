"""Shards: tokens, offsets, and the mask of what was forgotten."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rookery.core.context import Context
from rookery.core.errors import UsageError
from rookery.core.lineage import trace
from rookery.corpus.erase import learns_from
from rookery.corpus.shards import open_shards, write_shards
from rookery.posts.restrictions import Restrictions


@dataclass(frozen=True)
class Bytes:
    """A tokenizer whose tokens are the bytes of the text."""

    digest: str = "bytes"
    vocabulary: int = 257
    end_of_document: int = 256
    special: Mapping[str, int] = field(default_factory=lambda: {"<|language:en|>": 255})

    def encode(self, texts):
        return [list(text.encode()) for text in texts]


def test_each_document_is_found_at_its_offsets_and_ends_with_the_end_token(
    home, corpus_of, a_document
):
    corpus = corpus_of([a_document("a", "rook"), a_document("b", ""), a_document("c", "ж")])
    shards = open_shards(write_shards(home, corpus, Bytes(), Context()), "train")
    pieces = [
        shards.tokens[a:b].tolist()
        for a, b in zip(shards.offsets, shards.offsets[1:], strict=False)
    ]
    assert pieces == [[*b"rook", 256], [256], [*"ж".encode(), 256]]
    assert (shards.documents, shards.vocabulary, shards.end_of_document) == (3, 257, 256)


@pytest.mark.parametrize(("vocabulary", "kind"), [(65_536, np.uint16), (65_537, np.uint32)])
def test_tokens_take_the_smallest_type_that_holds_the_vocabulary(
    home, corpus_of, a_document, vocabulary, kind
):
    encoder = Bytes(vocabulary=vocabulary, end_of_document=vocabulary - 1)
    shards = open_shards(
        write_shards(home, corpus_of([a_document("a")]), encoder, Context()), "train"
    )
    assert shards.tokens.dtype == kind
    assert shards.tokens[-1] == vocabulary - 1


def test_an_empty_split_opens_as_no_documents(home, corpus_of, a_document):
    shards = open_shards(
        write_shards(home, corpus_of([a_document("a")]), Bytes(), Context()), "validation"
    )
    assert shards.documents == 0
    assert shards.masked(Restrictions({"a": "forgotten"})).tolist() == []


@given(st.sets(st.sampled_from("abcdefg")), st.sets(st.sampled_from(["ada", "bo", "cy"])))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30)
def test_a_document_is_masked_exactly_when_one_of_its_posts_or_authors_is_forgotten(
    home, corpus_of, a_document, posts, authors
):
    documents = [
        a_document("a", posts="abc", authors=["ada", "bo", "ada"]),
        a_document("d", authors=["cy"]),
        a_document("e", posts="efg", authors=["bo"] * 3),
    ]
    shards = open_shards(write_shards(home, corpus_of(documents), Bytes(), Context()), "train")
    expected = [bool(posts & set(d.post_ids) or authors & set(d.author_ids)) for d in documents]
    restrictions = Restrictions(
        dict.fromkeys(posts, "forgotten"), dict.fromkeys(authors, "suspended")
    )
    assert shards.masked(restrictions).tolist() == expected


def test_another_tokenizer_gives_another_artifact_and_the_same_one_the_same(
    home, corpus_of, a_document
):
    corpus = corpus_of([a_document("a")])
    first = write_shards(home, corpus, Bytes(), Context())
    assert write_shards(home, corpus, Bytes(), Context()).key == first.key
    assert write_shards(home, corpus, Bytes(digest="other"), Context()).key != first.key


def test_shards_are_named_among_what_holds_a_post(home, corpus_of, a_document):
    shards = write_shards(home, corpus_of([a_document("a"), a_document("b")]), Bytes(), Context())
    found = trace(home, "b", learns_from)
    assert (shards.digest, "holds") in [(t.artifact.digest, t.how) for t in found]
    assert list(trace(home, "absent", learns_from)) == []


@pytest.mark.parametrize(
    ("restrictions", "masked"),
    [
        (Restrictions(edited={"a": 1}), True),
        (Restrictions(edited={"a": 0}), False),
        (Restrictions(consent={"training": {"ada": False}}), True),
        (Restrictions(consent={"training": {"ada": True}, "ads": {"ada": False}}), False),
    ],
)
def test_a_document_is_masked_when_a_post_was_edited_since_or_its_author_refuses_training(
    home, corpus_of, a_document, restrictions, masked
):
    """The corpus was made from version 0 of the lake, so an edit of version 0 is in it."""
    corpus = corpus_of([a_document("a", authors=["ada"])])
    assert open_shards(write_shards(home, corpus, Bytes(), Context()), "train").masked(
        restrictions
    ).tolist() == [masked]


def test_control_tokens_stand_before_their_document_and_the_same_words_in_a_text_are_text(
    home, corpus_of, a_document
):
    said = replace(a_document("a", "rook"), controls=("<|language:en|>",))
    corpus = corpus_of([said, a_document("b", "<|language:en|>")])
    shards = open_shards(write_shards(home, corpus, Bytes(), Context()), "train")
    pieces = [
        shards.tokens[a:b].tolist()
        for a, b in zip(shards.offsets, shards.offsets[1:], strict=False)
    ]
    assert pieces == [[255, *b"rook", 256], [*b"<|language:en|>", 256]]


def test_a_tokenizer_that_lacks_a_control_token_is_refused(home, corpus_of, a_document):
    corpus = corpus_of([replace(a_document("a", "rook"), controls=("<|time:2016|>",))])
    with pytest.raises(UsageError, match=r"no token <\|time:2016\|>"):
        write_shards(home, corpus, Bytes(), Context())
