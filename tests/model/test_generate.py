"""Generation: equal seeds give equal texts, in whole characters, in the context, up to a stop."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rookery.core.errors import UsageError
from rookery.core.protocols import GenerationOptions
from rookery.model.generate import control_ids, load_generator
from rookery.model.inference.writing import Pieces, writable
from rookery.model.tokenizer import Tokenizer, train_bpe

TOKENIZER = Tokenizer(train_bpe(["the rooks came back 🦜🦜"] * 5, 320))
GREEDY = GenerationOptions(max_tokens=20, temperature=0.0)


def written(generator, prompt, options):
    return "".join(p.text for p in generator.generate(prompt, options))


def pieces_of(text, max_tokens=1000, stop=()):
    return pieces_of_tokens(TOKENIZER.encode([text])[0], max_tokens, stop)


def pieces_of_tokens(tokens, max_tokens=1000, stop=()):
    pieces, made = Pieces(TOKENIZER, max_tokens, stop), []
    for token in tokens:
        piece = pieces.add(token)
        if piece is not None:
            made.append(piece)
            if piece.finish_reason is not None:
                return made
    return [*made, pieces.end("length")]


def test_equal_seeds_write_equal_texts_and_others_differ(checkpoint):
    generator = load_generator(checkpoint)
    options = [GenerationOptions(max_tokens=20, temperature=1.0, seed=seed) for seed in (1, 1, 2)]
    first, again, other = (written(generator, "the rooks", o) for o in options)
    assert first == again != other


def test_greedy_takes_the_likeliest_token_of_the_whole_text_each_time(checkpoint):
    """Compare the loop with a cache to the plain way: read the whole text again for every token."""
    import torch

    generator = load_generator(checkpoint)
    network, tokenizer = generator.network, generator.tokenizer
    allowed = writable(tokenizer)
    tokens = [tokenizer.end_of_document, *tokenizer.encode(["the rooks"])[0]]
    begin = len(tokens)
    for _ in range(8):
        logits = network.logits(network(torch.tensor([tokens]))[0, -1]).numpy()
        tokens.append(int(allowed[logits[allowed].argmax()]))
    expected = tokenizer.decode(tokens[begin:])
    got = written(generator, "the rooks", GenerationOptions(max_tokens=8, temperature=0.0))
    assert got == expected or expected.startswith(got)


@pytest.mark.parametrize("prompt", ["", "hello " * 200, "\ud83d", "🦜" * 40])
def test_any_prompt_is_continued_past_the_end_of_the_context(make_checkpoint, prompt):
    generator = load_generator(make_checkpoint(seed=3))
    options = GenerationOptions(
        max_tokens=3 * generator.context_tokens, temperature=1.5, top_k=0, seed=5
    )
    made = list(generator.generate(prompt, options))
    assert made[-1].finish_reason in ("stop", "length")
    assert all(p.finish_reason is None for p in made[:-1])
    if made[-1].finish_reason == "length":
        assert sum(p.tokens for p in made) == options.max_tokens


def test_special_and_unused_tokens_are_never_written(checkpoint):
    generator = load_generator(checkpoint)
    others = set(range(generator.tokenizer.vocabulary)) - set(
        writable(generator.tokenizer).tolist()
    )
    assert generator.tokenizer.special["<|im_start|>"] in others
    assert len(others) > 10  # the tiny corpus left tokens unused
    text = written(
        generator, "", GenerationOptions(max_tokens=200, temperature=5.0, top_k=0, seed=1)
    )
    assert "<|unused" not in text


def test_count_tokens_counts_what_encode_gives(checkpoint):
    generator = load_generator(checkpoint)
    assert generator.count_tokens("hello rooks") == len(
        generator.tokenizer.encode(["hello rooks"])[0]
    )


@given(st.text(), st.integers(1, 12))
def test_pieces_are_whole_characters_and_their_tokens_add_up(text, max_tokens):
    made = pieces_of(text, max_tokens)
    joined = "".join(p.text for p in made)
    assert text.startswith(joined)
    assert sum(p.tokens for p in made) == min(len(TOKENIZER.encode([text])[0]), max_tokens)


@given(
    st.text(alphabet="ab the", max_size=30),
    st.lists(st.text(alphabet="ab the", min_size=1, max_size=4), max_size=3),
)
def test_text_ends_before_the_first_stop_string(text, stop):
    made = pieces_of(text, stop=tuple(stop))
    first = min((text.find(s) for s in stop if s in text), default=None)
    joined = "".join(p.text for p in made)
    if first is None:
        assert joined == text
        assert made[-1].finish_reason == "length"
    else:
        assert not any(s in joined for s in stop)
        assert text.startswith(joined)
        assert made[-1].finish_reason == "stop"


def test_an_end_token_ends_the_text():
    tokens = [
        *TOKENIZER.encode(["the rooks"])[0],
        TOKENIZER.end_of_document,
        *TOKENIZER.encode([" more"])[0],
    ]
    made = pieces_of_tokens(tokens)
    assert "".join(p.text for p in made) == "the rooks"
    assert made[-1].finish_reason == "stop"


def test_nothing_is_written_for_no_tokens(checkpoint):
    (only,) = load_generator(checkpoint).generate("the", GenerationOptions(max_tokens=0))
    assert (only.text, only.tokens, only.finish_reason) == ("", 0, "length")


def test_controls_are_said_in_the_order_in_which_documents_have_them():
    tokenizer = Tokenizer(
        train_bpe(["rooks"], 320, ["<|engagement:3|>", "<|language:en|>", "<|time:2016|>"])
    )
    names = ["<|language:en|>", "<|time:2016|>", "<|engagement:3|>"]
    assert control_ids(tokenizer, ["engagement:3", "language:en", "time:2016"]) == tuple(
        map(tokenizer.special.get, names)
    )


def test_a_control_changes_what_is_written(make_checkpoint):
    checkpoint = make_checkpoint(seed=1, controls=["<|language:en|>", "<|language:ru|>"])
    plain, english, russian = (
        written(load_generator(checkpoint, controls), "rooks", GREEDY)
        for controls in ([], ["language:en"], ["language:ru"])
    )
    assert len({plain, english, russian}) == 3


def test_a_control_that_the_model_never_saw_is_refused(checkpoint):
    with pytest.raises(UsageError, match="language:xx"):
        load_generator(checkpoint, ["language:xx"])


def test_a_penalty_keeps_a_text_from_repeating_itself(checkpoint):
    generator = load_generator(checkpoint)
    plain, varied = (
        generator.tokenizer.encode(
            [written(generator, "the rooks", GenerationOptions(40, 0.0, repetition_penalty=r))]
        )[0]
        for r in (1.0, 2.0)
    )
    assert len(set(varied)) / len(varied) > len(set(plain)) / len(plain)
