"""The kinds of media in a post, as every source writes them into the field `media`.

The kinds stand in one order, with commas between. The tables here give the kind for each word of a
network.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Literal, get_args

from rookery.posts.sources.json_values import mappings, words

Kind = Literal["image", "video", "audio", "gif", "poll"]
KINDS: tuple[Kind, ...] = get_args(Kind)


def media_of(kinds: Iterable[Kind | None]) -> str | None:
    """Return kinds of media, each once, in the order of `KINDS`; "" if there is nothing.

    A kind that is not known is None; where no other is known either, the whole is None.
    """
    found = set(kinds)
    known = [kind for kind in KINDS if kind in found]
    return None if None in found and not known else ",".join(known)


def kind_of_type(media_type: str) -> Kind | None:
    """Return the kind of a MIME type."""
    if media_type == "image/gif":
        return "gif"
    return _OF_MAIN_TYPE.get(media_type.partition("/")[0])


_OF_MAIN_TYPE: Mapping[str, Kind] = {"image": "image", "video": "video", "audio": "audio"}

OF_X: Mapping[str, Kind] = {"photo": "image", "video": "video", "animated_gif": "gif"}
"""The kind for each type of media on X."""

OF_MASTODON: Mapping[str, Kind] = {
    "image": "image",
    "video": "video",
    "audio": "audio",
    "gifv": "gif",
}
"""The kind for each type of an attachment in Mastodon's REST API; `unknown` has none."""


def of_note(note: Mapping[str, Any]) -> str | None:
    """Return the kinds of media in a post of ActivityPub; None if it has no list of them."""
    is_poll = note.get("type") == "Question"
    if "attachment" not in note and not is_poll:
        return None
    attached = note.get("attachment")
    listed = mappings(attached if isinstance(attached, list) else [attached])
    kinds = [kind_of_type(words(item.get("mediaType"))) for item in listed if _is_medium(item)]
    return media_of([*kinds, "poll"] if is_poll else kinds)


def of_status(status: Mapping[str, Any]) -> str | None:
    """Return the kinds of media in a status of Mastodon's REST API; None if it lists none."""
    if "media_attachments" not in status and not status.get("poll"):
        return None
    listed = mappings(status.get("media_attachments"))
    kinds = [OF_MASTODON.get(words(item.get("type"))) for item in listed]
    return media_of([*kinds, "poll"] if status.get("poll") else kinds)


def _is_medium(attachment: Mapping[str, Any]) -> bool:
    """Return whether an attachment is a medium, and not the preview of a link."""
    return words(attachment.get("type")) in ("Document", "Image", "Video", "Audio")
