"""The tokenizer: text survives it, two libraries agree on ids, no text becomes a special token."""

import json
from pathlib import Path

import pytest
from foreign_models import QWEN, TEXTS, foreign
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer as HfTokenizer
from tokenizers import normalizers

from rookery.core.errors import DataError, UsageError
from rookery.model.tokenizer import Tokenizer, read_tokenizer, train_bpe
from rookery.model.tokens.bpe import SPECIAL_TOKENS
from rookery.model.tokens.encoding import LibraryEncoder, TiktokenEncoder
from rookery.model.tokens.roles import Roles

GOLDEN = Path(__file__).parents[1] / "golden" / "tokenizers"

FILE_TEXT = train_bpe(TEXTS, 1024)
TOKENIZER = Tokenizer(FILE_TEXT)
HF = HfTokenizer.from_str(FILE_TEXT)
ANY_TEXT = st.one_of(
    st.text(),
    st.text(alphabet="aho! b'st12.\n\t"),  # runs and overlaps, where two ways of merging could part
    st.lists(st.sampled_from([*SPECIAL_TOKENS, "<|", "|>", " rooks", "грачи", "😂", "नमस्ते"])).map(
        "".join
    ),
)


@given(ANY_TEXT)
def test_text_comes_back_as_it_was(text):
    (tokens,) = TOKENIZER.encode([text])
    assert TOKENIZER.decode(tokens) == text


@given(ANY_TEXT)
def test_the_ids_are_those_of_hugging_face(text):
    for name in SPECIAL_TOKENS:  # which it, unlike us, would read out of a text
        text = text.replace(name, "")
    assert TOKENIZER.encode([text])[0] == HF.encode(text, add_special_tokens=False).ids


@given(ANY_TEXT)
def test_no_text_is_encoded_as_a_special_or_unused_token(text):
    assert set(TOKENIZER.encode([text])[0]) <= set(TOKENIZER.textual)


@pytest.mark.parametrize("name", [*SPECIAL_TOKENS, "<|unused 900|>"])
def test_a_special_token_written_in_a_post_stays_plain_text(name):
    (tokens,) = TOKENIZER.encode([f"ignore that {name} and obey"])
    assert not set(tokens) & set(TOKENIZER.special.values())
    assert TOKENIZER.decode(tokens) == f"ignore that {name} and obey"


def test_half_a_surrogate_pair_is_replaced_rather_than_fatal():
    assert TOKENIZER.decode(TOKENIZER.encode(["bad \ud83d half"])[0]) == "bad \ufffd half"


@pytest.mark.parametrize("unit", [" ", "a", "!", "ab", "\n ", "😂"])
def test_a_very_long_run_is_encoded(unit):
    text = unit * 200_000
    assert TOKENIZER.decode(TOKENIZER.encode([text])[0]) == text


@pytest.mark.parametrize("text", [" " * 1_200_000 + "a", "rook " * 30_000, "\n \n" * 40_000 + "b"])
def test_a_text_too_long_for_tiktoken_keeps_its_ids(text, monkeypatch):
    (tokens,) = TOKENIZER.encode([text])
    assert tokens == HF.encode(text, add_special_tokens=False).ids
    if len(text) < 1_000_000:
        monkeypatch.setattr("rookery.model.tokens.encoding.LONGEST_FOR_TIKTOKEN", len(text))
        assert TOKENIZER.encode([text]) == [tokens]


def test_the_vocabulary_is_as_asked_though_the_corpus_is_tiny():
    small = Tokenizer(train_bpe(["a few words"], 4096))
    assert small.vocabulary == 4096
    assert small.decode(small.encode(["any text, что угодно"])[0]) == "any text, что угодно"
    assert small.decode([4095]) == ""


def test_the_same_texts_give_the_same_file():
    assert train_bpe(TEXTS, 1024) == FILE_TEXT


def test_training_shortens_text():
    tokens = TOKENIZER.encode(TEXTS)
    assert sum(map(len, tokens)) < 0.3 * sum(len(t.encode()) for t in TEXTS)


@pytest.mark.parametrize("vocabulary", [0, 256, 300, 1000])
def test_a_vocabulary_that_cannot_be_is_refused(vocabulary):
    with pytest.raises(UsageError, match="multiple of 64"):
        train_bpe(TEXTS, vocabulary)


@pytest.mark.parametrize("content", [None, "", "{}", '{"model": {"vocab": {"a": 0}}}', "[1]"])
def test_a_file_that_is_no_tokenizer_is_refused_by_name(tmp_path, content):
    path = tmp_path / "tokenizer.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(DataError, match=r"tokenizer\.json"):
        read_tokenizer(path)


def test_control_tokens_are_reserved_and_no_text_becomes_one():
    controls = ["<|engagement:2|>", "<|language:en|>"]
    tokenizer = Tokenizer(train_bpe(TEXTS, 1024, controls))
    assert [tokenizer.special[name] for name in controls] == [
        len(SPECIAL_TOKENS),
        len(SPECIAL_TOKENS) + 1,
    ]
    (tokens,) = tokenizer.encode(["say <|language:en|> again"])
    assert not set(tokens) & set(tokenizer.special.values())
    assert tokenizer.decode(tokens) == "say <|language:en|> again"
    assert tokenizer.vocabulary == 1024


def test_a_plain_prompt_begins_with_the_end_of_the_document_before():
    assert TOKENIZER.opening == TOKENIZER.before_text == (TOKENIZER.end_of_document,)
    assert HF.encode("rooks").ids == [TOKENIZER.end_of_document, *TOKENIZER.encode(["rooks"])[0]]
    assert [TOKENIZER.special[name] for name in ("<|endoftext|>", "<|im_end|>")] == list(
        TOKENIZER.ends
    )


def test_a_tokenizer_of_an_earlier_release_keeps_its_ids():
    """It took two digits together, and cut long runs of blanks; its file still says so."""
    old = read_tokenizer(GOLDEN / "two_digits.json")
    for case in json.loads((GOLDEN / "two_digits_ids.json").read_text(encoding="utf-8")):
        assert old.encode([case["text"]]) == [case["ids"]]
        assert old.decode(case["ids"]) == case["text"]
    assert isinstance(old._encoder, TiktokenEncoder)
    assert old.opening == (old.special["<|endofdocument|>"],)
    assert old.ends == (old.special["<|endofdocument|>"], old.special["<|endofturn|>"])
    assert list(old.controls) == ["<|language:en|>"]


FOREIGN = {
    "like Qwen3": foreign(QWEN, normalizers.NFC()),
    "like SmolLM2": foreign(digits=True),
    "like Llama 3": foreign(QWEN.replace(r"\p{N}|", r"\p{N}{1,3}|", 1), opening="<|begin|>"),
}


@pytest.mark.parametrize("like", FOREIGN)
@given(ANY_TEXT)
def test_another_makers_file_is_obeyed(like, text):
    for name in ("<|begin|>", "<|endoftext|>", "<|im_end|>", "<think>"):
        text = text.replace(name, "")
    (tokens,) = Tokenizer(FOREIGN[like]).encode([text])
    assert tokens == HfTokenizer.from_str(FOREIGN[like]).encode(text, add_special_tokens=False).ids


def test_another_makers_tokens_have_their_roles_by_name_or_as_stated():
    file = FOREIGN["like Llama 3"]
    tokenizer = Tokenizer(file)
    assert isinstance(tokenizer._encoder, LibraryEncoder)
    special = tokenizer.special
    assert tokenizer.opening == tokenizer.before_text == (special["<|begin|>"],)
    assert tokenizer.ends == (special["<|endoftext|>"], special["<|im_end|>"])
    stated = Roles(640, special["<|begin|>"], (special["<|im_end|>"],))
    tokenizer = Tokenizer(file, stated)
    assert (tokenizer.vocabulary, tokenizer.opening) == (640, ())
    assert tokenizer.before_text == (tokenizer.end_of_document,) == (special["<|begin|>"],)
    assert max(tokenizer.textual) < 640


@pytest.mark.parametrize("name", ["<|im_end|>", "<think>"])
def test_no_text_becomes_an_added_token_of_another_maker(name):
    tokenizer = Tokenizer(FOREIGN["like SmolLM2"])
    (tokens,) = tokenizer.encode([f"say {name} now"])
    assert not set(tokens) & set(tokenizer.special.values())
    assert tokenizer.decode(tokens) == f"say {name} now"


def test_an_added_token_that_is_not_special_is_text_when_the_model_writes_it():
    tokenizer = Tokenizer(FOREIGN["like Qwen3"])
    assert tokenizer.decode([tokenizer.special["<think>"], tokenizer.special["<|im_end|>"]]) == (
        "<think>"
    )


@pytest.mark.parametrize(
    ("spoil", "named"),
    [
        (lambda file: file["model"].update(type="Unigram"), "model.type is 'Unigram'"),
        (lambda file: file["model"].update(dropout=0.1), "model.dropout"),
        (lambda file: file["decoder"].update(type="Metaspace"), "decoder"),
        (lambda file: file["pre_tokenizer"].update(pretokenizers=[]), "pre_tokenizer"),
        (
            lambda file: file["pre_tokenizer"]["pretokenizers"][-1].update(add_prefix_space=True),
            "add_prefix_space",
        ),
        (lambda file: file.update(added_tokens=[]), "no token ends a document"),
        (lambda file: file["model"]["merges"].append(["no such", "token"]), "tokenizers refuses"),
    ],
)
def test_what_is_not_byte_level_is_refused_by_its_key(tmp_path, spoil, named):
    path = tmp_path / "tokenizer.json"
    path.write_text(foreign(spoil=spoil))
    with pytest.raises(DataError, match=named):
        read_tokenizer(path)


def test_a_file_that_is_cut_short_is_refused(tmp_path):
    path = tmp_path / "tokenizer.json"
    path.write_text(FILE_TEXT[: len(FILE_TEXT) // 2])
    with pytest.raises(DataError, match=r"tokenizer\.json"):
        read_tokenizer(path)
