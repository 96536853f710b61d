"""The data card: a description of a corpus for people who are given it.

It is written beside the corpus from the facts of the report alone (report.py), in the shape of a
Hugging Face dataset card: a YAML head, then Markdown. It answers those questions of Datasheets for
Datasets (Gebru et al. 2021) that facts can answer, and guesses nothing that a person should add
(who paid, for what purpose). It holds no post and no name, so that no deletion touches it.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jinja2

from rookery.corpus import dedup, quality, spam

FILE = "card.md"
SIZES = (
    (1_000, "n<1K"),
    (10_000, "1K<n<10K"),
    (100_000, "10K<n<100K"),
    (1_000_000, "100K<n<1M"),
    (10_000_000, "1M<n<10M"),
)
LARGEST_SIZE = "n>10M"

RULES = {
    quality.TOO_SHORT: "Fewer than 12 bytes of words (after BERTweet, Nguyen et al. 2020, which "
    "wants ten words; posts are shorter).",
    quality.BROKEN_ENCODING: "More than one character in twenty is U+FFFD: what was written was "
    "lost on the way here.",
    quality.MOSTLY_LINKS: "Less than a fifth of it is left when links and mentions are taken away.",
    quality.MOSTLY_HASHTAGS: "Less than a fifth of what is no link is left without its hashtags "
    "(after Gopher's symbol-to-word ratio).",
    quality.MOSTLY_SYMBOLS: "Less than half of what is no link is words and their spaces (after "
    "Gopher, Rae et al. 2021, table A1).",
    quality.REPEATED_CHARACTERS: "One letter or digit stands more than twelve times in a row.",
    quality.REPEATED_WORDS: "Eight words or more, of which fewer than two in five differ (after "
    "Gopher's repetition rules, table A1).",
    spam.FASTER_THAN_HUMAN: "The author wrote more than 480 posts that day (after DFRLab's "
    "#BotSpot, 2017).",
    spam.CLOCKWORK: "The author mostly waits the same number of minutes (after Chu et al. 2010).",
    dedup.EXACT_DUPLICATE: "An earlier post has the same words.",
    dedup.TEMPLATE_FLOOD: "The author's fourth post, or a later one, that differs in numbers and "
    "hashtags only.",
    dedup.NEAR_DUPLICATE: "An earlier post shares four in five runs of five characters (after "
    "Broder 1997).",
}
"""What each rule drops, with its source, in the order in which the rules are asked."""


def write(folder: Path, facts: Mapping[str, Any]) -> None:
    """Write the card of a corpus into its folder."""
    (folder / FILE).write_text(card(facts))


def card(facts: Mapping[str, Any]) -> str:
    """Return the card in Markdown.

    facts: those of `report.describe`, with the settings, the policy and the lake's name.
    """
    environment = jinja2.Environment(
        trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined
    )
    environment.filters |= {
        "n": "{:,}".format,
        "yaml": lambda value: json.dumps(value, ensure_ascii=False),
    }
    template = environment.from_string(Path(__file__).with_name("card.md.jinja").read_text())
    documents = sum(split["documents"] for split in facts["splits"].values())
    size = next((name for limit, name in SIZES if documents < limit), LARGEST_SIZE)
    languages = sorted(language for language in facts["languages"] if language != "unknown")
    return template.render(facts=facts, rules=RULES, size=size, languages=languages)
