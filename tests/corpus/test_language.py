"""Languages are guessed only where the text is long enough and the guess sure."""

import pyarrow as pa

from rookery.corpus.language import guess


def test_longer_texts_get_their_language_and_short_ones_stay_unknown():
    texts = [
        "the rooks came back to the elm behind the church this morning",
        "сегодня утром грачи вернулись на старый вяз за церковью",
        "heute morgen sind die krähen auf die alte ulme hinter der kirche zurückgekehrt",
        "rooks again",
    ]
    assert guess(pa.array(texts)).to_pylist() == ["en", "ru", "de", None]


def test_nothing_to_guess_is_no_work():
    assert guess(pa.array([], pa.string())).to_pylist() == []
