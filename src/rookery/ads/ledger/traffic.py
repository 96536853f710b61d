"""Traffic: which requests are no person's, so that no view and no click of theirs counts.

Browsers fetch links before anybody clicks them, robots follow all links, and scripts say who they
are or say nothing. What a request tells of itself is judged here, as plain values. It is no proof:
whoever looks like a browser, keeps its cookie and reports the view is taken for a person.
"""

from dataclasses import dataclass

from rookery.core.verdict import KEEP, Drop, Verdict

PREFETCH, HEAD_REQUEST, ROBOT = "prefetch", "head_request", "robot"
OTHER_VIEWER = "other_viewer"
"""The visitor has not the name of the viewer to whom the offer was made."""


@dataclass(frozen=True)
class Visitor:
    """The sender of a view or a click, as the request describes it.

    viewer: the name in its cookie, empty if it has none. purpose: of its header `Sec-Purpose`, or
    of an older one with the same meaning.
    """

    viewer: str
    user_agent: str
    method: str = "GET"
    purpose: str = ""


def judge(visitor: Visitor) -> Verdict:
    """Return whether a visitor may be a person, or the reason why not.

    >>> judge(Visitor("ada", "Mozilla/5.0 (compatible; Googlebot/2.1)"))
    Drop(reason='robot')
    """
    purposes = visitor.purpose.lower()
    if any(word in purposes for word in ("prefetch", "prerender", "preview")):
        return Drop(PREFETCH)
    if visitor.method == "HEAD":
        return Drop(HEAD_REQUEST)
    return Drop(ROBOT) if _is_robot(visitor.user_agent) else KEEP


def _is_robot(user_agent: str) -> bool:
    from crawleruseragents import is_crawler  # compiles hundreds of patterns

    # without case it misses some robots of its own list: it lowers patterns such as \S too
    in_any_case = is_crawler(user_agent) or is_crawler(user_agent, case_sensitive=False)
    return not user_agent.strip() or in_any_case
