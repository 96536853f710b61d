"""HTML of posts as plain text, as a person would read it aloud from the page.

Paragraphs and line breaks stay; links keep their address, mentions and hashtags their name, small
pictures (emoji) their word. The descriptions of other pictures are returned apart, for `alt_text`.
What others wrote (a quoted post, the preview of a page) is left out where the caller names its
class: the text belongs to its author, and is deleted when their post is.
"""

import re
from dataclasses import dataclass
from html.parser import HTMLParser

Attributes = dict[str, str]

_PARAGRAPHS = {
    "p", "blockquote", "h1", "h2", "h3", "h4", "h5", "h6", "pre", "table", "ul", "ol", "hr",
    "aside",
}  # fmt: skip
_LINES = {
    "div", "section", "article", "details", "summary", "tr", "dt", "dd", "figure", "figcaption",
}  # fmt: skip
_NEVER_CLOSED = {
    "img", "br", "hr", "input", "wbr", "source", "link", "meta", "area", "col", "embed", "track",
    "base",
}  # fmt: skip
_UNSEEN = {"script", "style", "svg", "template", "head"}
_DECLARATION = re.compile(r"<[!?][^>]{0,5000}>")
_NO_TAG = re.compile(r"""<(?!/?[a-zA-Z](?:[^<>"']|"[^"]{0,5000}"|'[^']{0,5000}')*+>)""")
"""A `<` that does not begin a complete tag, and so is a character.

Left in, it makes the parser of Python's library fail or take a time quadratic in the text (found
with 60 KB of `<a `: 30 seconds).
"""
_BULLET = "\n- "
_SCHEME = re.compile(r"^https?://(www\.)?")
_SPACE = re.compile(r"[ \t\n\r\f]+")


@dataclass(frozen=True)
class Plain:
    """A text, the descriptions of its pictures, and the attributes of each element left out."""

    text: str
    pictures: tuple[str, ...] = ()
    left_out: tuple[Attributes, ...] = ()


def to_plain_text(html: str, leave_out: frozenset[str] = frozenset()) -> Plain:
    """Return HTML as plain text, without the elements that have a class in `leave_out`.

    Broken HTML is read as far as possible.

    >>> to_plain_text('<p>See <a href="https://example.com/a">this</a></p><p>and<br>rest</p>').text
    'See this (https://example.com/a)\\n\\nand\\nrest'
    """
    reader = _Reader(leave_out)
    reader.feed(_NO_TAG.sub("&lt;", _DECLARATION.sub("", html)))
    reader.close()
    return Plain(reader.text(), tuple(reader.pictures), tuple(reader.left_out))


class _Reader(HTMLParser):
    """A parser that gathers the parts of the text.

    White space stays as it is between `pre` tags; elsewhere it becomes one space.
    """

    def __init__(self, leave_out: frozenset[str]):
        super().__init__(convert_charrefs=True)
        self.pictures: list[str] = []
        self.left_out: list[Attributes] = []
        self._leave_out = leave_out
        self._parts: list[str] = []
        # the open link: the index of its label's first part, and its address
        self._link: tuple[int, str] | None = None
        # the tag that is being left out, and how many tags of that name are open
        self._leaving: str | None = None
        self._depth = 0
        self._verbatim = 0  # the number of open `pre` tags

    def text(self) -> str:
        """Return the text so far, without white space at the ends of lines and of the whole."""
        self._end_link()
        lines = (line.rstrip() for line in "".join(self._parts).split("\n"))
        return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = {name: value or "" for name, value in attrs}
        if self._leaving:
            self._depth += tag == self._leaving
        elif tag in _UNSEEN:
            self._leaving, self._depth = tag, 1
        elif self._leave_out & set(attributes.get("class", "").split()):
            self.left_out.append(attributes)
            if tag not in _NEVER_CLOSED:
                self._leaving, self._depth = tag, 1
        else:
            self._begin(tag, attributes)

    def handle_endtag(self, tag: str) -> None:
        if self._leaving:
            self._depth -= tag == self._leaving
            self._leaving = self._leaving if self._depth else None
        elif tag == "a":
            self._end_link()
        elif tag in _PARAGRAPHS | _LINES:
            self._verbatim -= tag == "pre" and self._verbatim > 0
            self._break(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in _NEVER_CLOSED:
            self.handle_endtag(tag)

    def handle_data(self, data: str) -> None:
        if self._leaving:
            return
        if not self._verbatim:
            data = _SPACE.sub(" ", data)
            data = data.lstrip(" ") if self._ends_in_space() else data
        if data:
            self._parts.append(data)

    def _begin(self, tag: str, attributes: Attributes) -> None:
        match tag:
            case "br":
                self._parts.append("\n")
            case "img":
                self._picture(attributes)
            case "a":
                self._end_link()  # links do not nest
                self._link = len(self._parts), attributes.get("href", "").strip()
            case "li":
                self._parts.append(_BULLET)
            case "td" | "th" if not self._ends_in_space():
                self._parts.append(" ")
            case _ if tag in _PARAGRAPHS | _LINES:
                self._break(tag)
                self._verbatim += tag == "pre"

    def _break(self, tag: str) -> None:
        """Begin or end a block: an empty line beside paragraphs, a line break beside the rest."""
        if not self._parts or self._parts[-1] == _BULLET:  # an item begins on the line of its dash
            return
        if tag in _PARAGRAPHS or not self._parts[-1].endswith("\n"):
            self._parts.append("\n\n" if tag in _PARAGRAPHS else "\n")

    def _ends_in_space(self) -> bool:
        return not self._parts or self._parts[-1].endswith((" ", "\n"))

    def _picture(self, attributes: Attributes) -> None:
        description = _SPACE.sub(" ", attributes.get("alt", "")).strip()
        is_emoji = "emoji" in attributes.get("class", "").split()
        if description:
            (self._parts if is_emoji else self.pictures).append(description)

    def _end_link(self) -> None:
        if self._link:
            start, address = self._link
            label = "".join(self._parts[start:])
            self._parts[start:] = [_link(label, address)] if label else []
            self._link = None


def _link(label: str, address: str) -> str:
    """Return a link's label with its address.

    The address is left out if the label shows it already, or names a person or a hashtag, and if it
    leads to a place on the same site.
    """
    shown = label.strip()
    if not shown or shown[0] in "@#" or not address.lower().startswith(("http://", "https://")):
        return label
    if _bare(shown) == _bare(address):
        return label
    if shown.endswith("…") and _bare(shown[:-1]) in _bare(address):
        return label.replace(shown, address)
    return label.replace(shown, f"{shown} ({address})")


def _bare(address: str) -> str:
    return _SCHEME.sub("", address).rstrip("/")
