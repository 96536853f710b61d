"""Links that X shortened: `https://t.co/…` in a text becomes the address that its author gave.

X stores a text with its links shortened, and beside it, as entities, where each leads. A link is
found by its name and not by its position, since positions count characters in some files and
UTF-16 units in others, before or after HTML's entities are resolved. Links to the post's pictures
and to the post that it quotes are entities too, and become addresses of X. A link without an entity
(cut off, or of a file without entities) stays as it is.
"""

import re
from collections.abc import Iterator
from typing import Any

from rookery.posts.sources.json_values import mapping, mappings, words

_SHORTENED = re.compile(r"https?://(t\.co/[A-Za-z0-9]+)")
# An address with a blank or a control character in it would add words to the text.
_ADDRESS = re.compile(r"https?://[^\s\x00-\x1f\x7f-\x9f]{1,4000}")


def expanded(text: str, *entities: Any) -> str:
    """Return a text with the shortened links that some of its entities explain as full addresses.

    entities: values of the fields `entities` and `extended_entities`, or of a long text's own set;
    what is no such object is passed over.
    """
    if "://t.co/" not in text:
        return text
    address = dict(_addresses(entities))
    return _SHORTENED.sub(lambda link: address.get(link[1], link[0]), text)


def _addresses(entities: tuple[Any, ...]) -> Iterator[tuple[str, str]]:
    """Yield each shortened link, without its scheme, with its address."""
    for group in map(mapping, entities):
        for entity in mappings(group.get("media")) + mappings(group.get("urls")):
            short = _SHORTENED.fullmatch(words(entity.get("url") or entity.get("shortUrl")))
            address = words(entity.get("expanded_url") or entity.get("expandedUrl"))
            if short and _ADDRESS.fullmatch(address):
                yield short[1], address
