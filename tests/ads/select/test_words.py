"""Words: the keywords that a text has are those that a plain search finds, in any script."""

from hypothesis import given
from hypothesis import strategies as st

from rookery.ads.select.words import Keywords, words_of
from rookery.ads.terms.objects import MATCHES, Keyword


def found(text: str, *keywords: Keyword) -> list[str]:
    known = Keywords()
    names = {known.number(keyword): keyword.text for keyword in keywords}
    return [names[number] for number in known.found_in(words_of(text))]


def test_words_are_alike_in_any_case_and_encoding_and_characters_where_there_are_no_spaces():
    assert words_of("Ｔea, TEA! ﬁsh") == ["tea", "tea", "fish"]
    assert words_of("日本茶 and tea") == ["日", "本", "茶", "and", "tea"]
    assert words_of("Чай?") == ["чай"]


def test_each_match_kind_finds_what_it_says():
    phrase, word, exact = (Keyword("old harbour", match) for match in ("phrase", "word", "exact"))
    assert found("the old harbour", phrase) == ["old harbour"]
    assert found("a harbour, old as time", phrase) == []
    assert found("a harbour, old as time", word) == ["old harbour"]
    assert found("Old Harbour!", exact) == ["old harbour"]
    assert found("the old harbour", exact) == []
    assert found("golden harbours", phrase, word, exact) == []


def test_keywords_that_match_alike_are_one():
    known = Keywords()
    alike = [Keyword("Tea"), Keyword("tea", "word"), Keyword(" TEA ")]
    assert len({known.number(one) for one in alike}) == 1
    assert known.number(Keyword("tea", "exact")) == 1
    assert (known.number(Keyword("b a", "word")), known.number(Keyword("a b", "word"))) == (2, 2)


def test_a_keyword_without_words_is_found_nowhere():
    assert found("anything !", Keyword("!"), Keyword("?", "exact"), Keyword("…", "word")) == []
    assert found("", Keyword("!", "exact")) == []


_WORDS = st.lists(st.sampled_from("abcd"), min_size=1, max_size=6).map(" ".join)


@given(
    text=st.lists(st.sampled_from("abcd"), max_size=9).map(" ".join),
    keywords=st.lists(st.builds(Keyword, _WORDS, st.sampled_from(MATCHES)), max_size=8),
)
def test_what_is_found_is_what_a_plain_search_finds(text, keywords):
    def has(keyword: Keyword) -> bool:
        if keyword.match == "exact":
            return text == keyword.text
        if keyword.match == "word":
            return set(keyword.text.split()) <= set(text.split())
        return f" {keyword.text} " in f" {text} "

    known = Keywords()
    numbers = [known.number(keyword) for keyword in keywords]
    present = set(known.found_in(words_of(text)))
    assert {n for n, keyword in zip(numbers, keywords, strict=True) if has(keyword)} == present
