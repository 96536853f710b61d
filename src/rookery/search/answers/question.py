"""Questions: which texts ask something, and which of their words an answer has to be about.

Words of several languages that only ask, such as "who" or "qué", are listed here. A text without
them is a search. What posts say about the other words is looked for in `evidence.py`.
"""

import re

from rookery.search.engine.words import STOP_WORDS, exact_tokens, fold
from rookery.search.query import Query, words_query

QUESTION_WORDS = STOP_WORDS | frozenset(
    fold(
        "what who whom whose when where why how which do does did say says said think thinks "
        "thought know known people posts post about tell me you your i we us our my can could "
        "should would were has have had any some from happen happened happening happens "
        "was wer wo wann wie warum welche der die das den dem ein eine ist sind war hat über von "
        "zu und "
        "que qué quien quién donde dónde cuando cuándo como cómo cual cuál el la los las un una "
        "de del en es son por y "
        "qui quoi où quand comment pourquoi quel quelle le les des du est sont "
        "что кто где когда как почему какой какая какие о об в на и с по за это говорит говорят "
        "думают люди"
    ).split()
)
"""Words that only ask, in five languages; an answer has to be about a question's other words."""

LEAST_WORDS = 3
"""A question has at least so many words."""

# Folded, as `exact_tokens` gives them. A word that begins statements too ("come", "will") is not
# here; those of the second list ask only before a word of the third ("is the tram late").
_ASKING = frozenset(
    "what who whom whose when where why how which whats whos wheres hows "
    "was wer wo wann wie warum wieso weshalb welche welcher welches wieviel "
    "que quien quienes donde cuando como cual cuales cuanto cuantos quem onde quando qual quais "
    "qui quoi ou comment pourquoi quel quelle quels quelles combien "
    "chi cosa dove perche quale quali quanto wat waar wanneer hoe waarom welke "
    "что кто где когда как почему зачем какой какая какие какое сколько куда откуда".split()
)
_MAYBE_ASKING = frozenset(
    "is are was were do does did has have had can could should would will".split()
)
_ASKED_ABOUT = frozenset(
    "the a an there this that these those it he she they we you i my our your his her their "
    "any anyone anybody anything people everyone someone".split()
)
_QUESTION_MARK = re.compile(r"[?？؟⁇\u037e]\W*$")
# `from:ada`, `-late`, `OR` and brackets are a search; a tag or a mention may be asked about.
_OPERATOR = re.compile(r"(?:^|\s)(?:[-+]?\w+:\S|[-+]\w|[-+]?\()|\bOR\b")


def is_question(text: str) -> bool:
    """Return whether a text asks something, so that an answer is wanted beside the posts.

    It has three words or more, one of which does not merely ask; it begins with a word that asks or
    ends with a question mark; and it uses no operator of the query language.

    >>> [is_question(t) for t in ("Why is the tram late?", "night tram late", "why?", "from:ada ?")]
    [True, False, False, False]
    """
    words = list(exact_tokens(text))
    if len(words) < LEAST_WORDS or _OPERATOR.search(text):
        return False
    if all(word in QUESTION_WORDS for word in words):
        return False
    asks = words[0] in _ASKING or (words[0] in _MAYBE_ASKING and words[1] in _ASKED_ABOUT)
    return asks or _QUESTION_MARK.search(text) is not None


def topic_of(question: str) -> Query:
    """Return the words that an answer has to be about: all, if there are only question words."""
    words = list(exact_tokens(question))
    topic = [word for word in words if word not in QUESTION_WORDS]
    return words_query(" ".join(topic or words))
