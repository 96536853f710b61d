"""Spam: rules that look at all posts of an author or a site: machines that post, and link farms.

Every rule is a pure function of fixed-size columns over posts sorted by time, and returns true for
the posts that it drops. The rules are set to miss spam rather than to hit a person: each names its
source and asks for more evidence than that source does. What they drop on real posts was read by
eye (LOG.md). Not here: rules that look at one post (`quality.py`), and copies and floods of one
template (`dedup.py`).
"""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from rookery.core.digest import hash_ids

FASTER_THAN_HUMAN = "faster_than_human"
CLOCKWORK = "clockwork"
LINK_FARM = "link_farm"

MOST_POSTS_A_DAY = 480  # one every two minutes of a day of sixteen hours
CLOCKWORK_INTERVALS, CLOCKWORK_SHARE = 100, 0.5
FARM_POSTS, FARM_SHARE = 50, 0.9
FARM_AUTHORS, FARM_REPEATED = 5, 0.8

MINUTE_MICROSECONDS = 60_000_000
NO_DOMAIN = np.uint64(0)
SHORTENERS = (
    "amzn.to bit.ly buff.ly cutt.ly dld.bz dlvr.it fb.me goo.gl ift.tt is.gd j.mp lnkd.in "
    "ow.ly rebrand.ly shar.es t.co tinyurl.com tmblr.co trib.al wp.me"
).split()
"""The hosts that do not show where a link leads; they count as no domain."""
_HOST = (
    r"(?i)(?:https?://|\bwww\.)(?:[^\s/@]*@)?(?:www\.)?(?P<host>[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?)"
)


def domains(text: pa.Array) -> np.ndarray:
    """Return the hash of the host of each post's first link, as uint64 (posts,).

    It is 0 for a post without a link or with a shortened one.
    """
    found = pc.struct_field(pc.extract_regex(text, _HOST), "host")
    hosts = pc.ascii_lower(found).dictionary_encode()
    names = hosts.dictionary.to_pylist()
    hashes = (
        np.where(np.isin(names, SHORTENERS), NO_DOMAIN, hash_ids(names)) if names else hash_ids([])
    )
    codes = pc.fill_null(hosts.indices, len(names)).to_numpy(zero_copy_only=False)
    return np.append(hashes, NO_DOMAIN)[codes]


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


def link_farms(author: np.ndarray, domain: np.ndarray, repeated: np.ndarray) -> np.ndarray:
    """Return bool (posts,): true for the posts with links of farms.

    A farm is a site that five authors or more link to in at least 50 posts, four in five of them
    repeated; or an author of at least 50 posts, nine in ten of them with a link to one site and
    half of those repeated. After Gao et al. 2010 ("Detecting and characterizing social spam
    campaigns": alike texts or one link, from five accounts or more). A newspaper that links to
    itself says something new each time, and passes.
    """
    linked = np.flatnonzero(domain != NO_DOMAIN)
    order = linked[np.lexsort((author[linked], domain[linked]))]
    pairs = _starts(domain[order], author[order])
    posts = np.diff(pairs, append=len(order))
    copies = np.add.reduceat(repeated[order].astype(np.int64), pairs) if len(pairs) else posts
    site, linking = domain[order][pairs], author[order][pairs]
    farm = _is_farmed_site(site, posts, copies) | _is_farming_author(author, linking, posts, copies)
    return _scattered(order, np.repeat(farm, posts), len(author))


def _is_farmed_site(site: np.ndarray, posts: np.ndarray, copies: np.ndarray) -> np.ndarray:
    """Return for each pair of site and author, sorted by site, whether the site is a farm."""
    starts = _starts(site)
    if not len(starts):
        return np.zeros(0, dtype=bool)
    authors = np.diff(starts, append=len(site))
    posts, copies = np.add.reduceat(posts, starts), np.add.reduceat(copies, starts)
    many = (authors >= FARM_AUTHORS) & (posts >= FARM_POSTS)
    return np.repeat(many & (copies >= FARM_REPEATED * posts), authors)


def _is_farming_author(
    author: np.ndarray, linking: np.ndarray, posts: np.ndarray, copies: np.ndarray
) -> np.ndarray:
    """Return for each pair of site and author whether the author farms that site."""
    names, counts = np.unique(author, return_counts=True)
    all_posts = counts[np.searchsorted(names, linking)]
    return (all_posts >= FARM_POSTS) & (posts >= FARM_SHARE * all_posts) & (copies * 2 >= posts)


def _starts(*columns: np.ndarray) -> np.ndarray:
    """Return the places at which a new group starts in sorted columns."""
    new = np.zeros(len(columns[0]), dtype=bool)
    new[:1] = True
    for column in columns:
        new[1:] |= column[1:] != column[:-1]
    return np.flatnonzero(new)


def _scattered(order: np.ndarray, hit: np.ndarray, posts: int | None = None) -> np.ndarray:
    """Return what was found in another order in the posts' own order."""
    result = np.zeros(len(order) if posts is None else posts, dtype=bool)
    result[order] = hit
    return result
