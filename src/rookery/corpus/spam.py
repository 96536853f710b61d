"""Spam: rules that look at all posts of an author, and know machines by their timing.

Every rule is a pure function of fixed-size columns over posts sorted by time, and returns true for
the posts that it drops. The rules are set to miss spam rather than to hit a person: each names its
source and asks for more evidence than that source does. What they drop on real posts was read by
eye (LOG.md). Not here: rules that look at one post (`quality.py`), and copies and floods of one
template (`dedup.py`).
"""

import numpy as np

FASTER_THAN_HUMAN = "faster_than_human"
CLOCKWORK = "clockwork"

MOST_POSTS_A_DAY = 480  # one every two minutes of a day of sixteen hours
CLOCKWORK_INTERVALS, CLOCKWORK_SHARE = 100, 0.5

MINUTE_MICROSECONDS = 60_000_000


def faster_than_human(author: np.ndarray, created: np.ndarray) -> np.ndarray:
    """Return bool (posts,): true for the posts of a day (UTC) on which their author wrote over 480.

    The Digital Forensic Research Lab calls 72 a day suspicious and 144 highly so ("#BotSpot: twelve
    ways to spot a bot", 2017), the Oxford Internet Institute 50. `author`: integers; `created`:
    microseconds.
    """
    day = created // (24 * 60 * MINUTE_MICROSECONDS)
    order = np.lexsort((day, author))
    starts = _starts(author[order], day[order])
    count = np.diff(starts, append=len(order))
    return _scattered(order, np.repeat(count > MOST_POSTS_A_DAY, count))


def clockwork(author: np.ndarray, created: np.ndarray) -> np.ndarray:
    """Return bool (posts,): true for all posts of authors who mostly wait the same time.

    The author has at least 100 waits of two minutes or more between two posts, and half of them or
    more are of one length in whole minutes. Programs are recognised by their timing: Chu et al.
    2010 ("Who is tweeting on Twitter", entropy of the waits), Zhang and Paxson 2011 (minute of the
    hour).
    """
    order = np.lexsort((created, author))
    who, wait = author[order][1:], np.diff(created[order]) // MINUTE_MICROSECONDS
    counted = (who == author[order][:-1]) & (wait >= 2)
    who, wait = who[counted], wait[counted]
    sort = np.lexsort((wait, who))
    who, wait = who[sort], wait[sort]
    starts = _starts(who, wait)
    equal, of_author = np.diff(starts, append=len(who)), who[starts]
    firsts = _starts(of_author)
    total = np.add.reduceat(equal, firsts) if len(firsts) else equal
    most = np.maximum.reduceat(equal, firsts) if len(firsts) else equal
    machines = of_author[firsts][(total >= CLOCKWORK_INTERVALS) & (most >= CLOCKWORK_SHARE * total)]
    return np.isin(author, machines)


def _starts(*columns: np.ndarray) -> np.ndarray:
    """Return the places at which a new group starts in sorted columns."""
    new = np.zeros(len(columns[0]), dtype=bool)
    new[:1] = True
    for column in columns:
        new[1:] |= column[1:] != column[:-1]
    return np.flatnonzero(new)


def _scattered(order: np.ndarray, hit: np.ndarray) -> np.ndarray:
    """Return what was found in another order in the posts' own order."""
    result = np.zeros(len(order), dtype=bool)
    result[order] = hit
    return result
