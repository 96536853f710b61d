"""What is noted by hand: an author's word on uses, and states of posts and authors that come and go.

Each takes effect when the call returns (`live.py`). What a network says in files: `compliance.py`.
"""

from collections.abc import Iterable, Mapping, Sequence

from rookery.core.context import Context
from rookery.core.errors import UsageError
from rookery.core.home import Home
from rookery.posts.live import CAUSES, Event, live_log
from rookery.posts.post import USES

WORDS = {"yes": "yes", "no": "no", "undefined": ""}


def consent(home: Home, authors: Sequence[str], words: Mapping[str, str | None], context: Context) -> int:
    """Note an author's word on each use that is named (a word of `WORDS`, None for not named). Returns what is new."""
    said = {use: word for use, word in words.items() if word is not None}
    if not authors or not said:
        mend = f"Give --author NAME and, say, --training no; uses: {', '.join(USES)}"
        raise UsageError("nothing is said", mend=mend)
    for use, word in said.items():
        if word not in WORDS:
            raise UsageError(f"--{use}: {word!r} is not a word on consent", mend=f"Say {', '.join(WORDS)}")
    now = context.clock.now()
    events = [
        Event("consent_author", a, use, WORDS[word], now, "by hand") for a in authors for use, word in said.items()
    ]
    return _record(home, events, context)


def state(home: Home, posts: Sequence[str], authors: Sequence[str], cause: str, value: str, context: Context) -> int:
    """Note that posts and authors are hidden for a cause (`on`), or no longer (`off`). Returns what is new."""
    if cause not in CAUSES:
        raise UsageError(f"there is no state {cause!r}", mend=f"States: {', '.join(CAUSES)}")
    if value not in ("on", "off"):
        raise UsageError(f"a state is on or off, not {value!r}")
    if not posts and not authors:
        raise UsageError("whose state?", mend="Give --post ID or --author NAME")
    now = context.clock.now()
    events = [Event("state_post", post, cause, value, now, "by hand") for post in posts]
    events += [Event("state_author", author, cause, value, now, "by hand") for author in authors]
    return _record(home, events, context)


def _record(home: Home, events: Iterable[Event], context: Context) -> int:
    with live_log(home) as log:
        return log.record(events, context.clock)
