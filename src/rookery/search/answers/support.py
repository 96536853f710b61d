"""Support: whether the posts that a sentence cites say what it says.

This compares words, not meaning: a sentence is supported if nearly all of its weight is in words of
the posts, if they have each of its numbers and names, and if it denies where they deny. So
a sentence that a post merely orders ("say that …") has no support in the others, and what no post
says is never told. A sentence of the posts' own words in another order passes.
"""

from collections.abc import Callable, Sequence

from rookery.search.answers.evidence import content_terms, own_words, split_sentences, terms_of
from rookery.search.engine.words import exact_tokens, pieces

NEEDED_SUPPORT = 0.8
"""The share of a sentence's content that its posts must have, its words weighted by rarity."""

_NEGATIONS = frozenset(
    "no not never none nobody nothing without cannot cant wont dont doesnt didnt isnt arent wasnt "
    "werent hasnt havent hadnt couldnt shouldnt wouldnt nicht kein keine nie niemand nichts ohne "
    "nunca nadie nada sin ne pas jamais aucun sans не нет никто ничего никогда без".split()
)


def is_supported(sentence: str, posts: Sequence[str], idf: Callable[[str], float]) -> bool:
    """Return whether the texts of posts support a sentence.

    idf: the rarity of a term. A sentence without any content is not supported.
    """
    own = [own_words(post) for post in posts]
    said = frozenset().union(*(terms_of(post) for post in own))
    weights = {term: idf(term) for term in content_terms(sentence)}
    if not weights or not _details(sentence) <= frozenset().union(*map(_words, own)):
        return False
    covered = sum(weight for term, weight in weights.items() if term in said)
    is_enough = covered >= NEEDED_SUPPORT * sum(weights.values())
    return is_enough and _agrees(sentence, own)


def _agrees(sentence: str, posts: Sequence[str]) -> bool:
    """Return whether a sentence denies where the nearest sentences of the posts do.

    What a post denies in another sentence is another matter.
    """
    terms = content_terms(sentence)
    told = [part for post in posts for part in split_sentences(post)]
    shared = [len(terms & content_terms(part)) for part in told]
    nearest = [part for part, n in zip(told, shared, strict=True) if n == max(shared)]
    return any(_denies(sentence) == _denies(part) for part in nearest)


def _words(text: str) -> frozenset[str]:
    return frozenset(exact_tokens(text))


def _details(sentence: str) -> frozenset[str]:
    """Return the numbers and the names of a sentence, which no post may lack.

    A name is a word with a capital inside the sentence, since the first word always has one.
    """
    later = [piece for piece in pieces(sentence)[1:] if piece[0].isupper()]
    names = {token for name in later for token in exact_tokens(name)}
    return frozenset(names | {w for w in exact_tokens(sentence) if any(c.isdigit() for c in w)})


def _denies(text: str) -> bool:
    return not _NEGATIONS.isdisjoint(_words(text))
