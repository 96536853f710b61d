"""The tokenizer: text survives it, two libraries agree on ids, no text becomes a special token."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer as HfTokenizer

from rookery.core.errors import DataError, UsageError
from rookery.model.tokenizer import SPECIAL_TOKENS, Tokenizer, read_tokenizer, train_bpe

TEXTS = [
    "The rooks came back to the elm trees this morning, hundreds of them!",
    "rooks aren't crows; a rook's beak is grey. #birds @ada https://example.org/rooks?page=12",
    "Сегодня утром грачи вернулись на вязы, их сотни. Привет, грачи!",
    "आज सुबह कौवे लौट आए। नमस्ते दुनिया",
    "ミヤマガラスが戻ってきた。おはよう世界",
    "aaaa aaaaaaa hahaha hahahaha !!! !!!!! ababab abababa ........ ))))) 😂😂😂😂 👩‍👩‍👧",
    "line one\nline two\n\n\nline five   with   blanks  \t and tabs",
] * 20
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
