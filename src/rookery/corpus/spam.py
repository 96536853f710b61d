"""Spam: rules that need an author's posts together, or a site's: machines that post, and link
farms.

Every rule is a pure function of fixed-size columns over posts sorted by time, and answers with true
where it says no. They are set to miss rather than to hit a person: each names its source and asks
for more than that source does. What they drop on real posts was read by eye (LOG.md). Rules that
need one post are in `quality.py`; copies and floods of one template in `dedup.py`.
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
"""Hosts that say nothing of where a link leads, so they are no domain here."""
_HOST = (
    r"(?i)(?:https?://|\bwww\.)(?:[^\s/@]*@)?(?:www\.)?(?P<host>[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?)"
)


def domains(text: pa.Array) -> np.ndarray:
    """uint64 (posts,): the hash of the host of each post's first link; 0 for no link or a shortened
    one.
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
    """bool (posts,): posts of a day (UTC) on which their author wrote more than 480.

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
    """bool (posts,): all posts of authors who mostly wait the same number of minutes between two
    posts.

    Of at least 100 waits of two minutes or more, half or more are of one length. Programs are told
    by their timing: Chu et al. 2010 ("Who is tweeting on Twitter", entropy of the waits), Zhang and
    Paxson 2011 (minute of the hour).
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
    """bool (posts,): posts with links of farms; `repeated` is true for posts dropped as a copy or a
    flood.

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
    again = np.add.reduceat(repeated[order].astype(np.int64), pairs) if len(pairs) else posts
    of_site, of_author = domain[order][pairs], author[order][pairs]
    farm = _is_farmed_site(of_site, posts, again) | _is_farming_author(
        author, of_author, posts, again
    )
    return _scattered(order, np.repeat(farm, posts), len(author))


def _is_farmed_site(site: np.ndarray, posts: np.ndarray, again: np.ndarray) -> np.ndarray:
    """For each pair of site and author, sorted by site: whether the site is a farm's."""
    starts = _starts(site)
    if not len(starts):
        return np.zeros(0, dtype=bool)
    authors, posts, again = (
        np.diff(starts, append=len(site)),
        np.add.reduceat(posts, starts),
        np.add.reduceat(again, starts),
    )
    return np.repeat(
        (authors >= FARM_AUTHORS) & (posts >= FARM_POSTS) & (again >= FARM_REPEATED * posts),
        authors,
    )


def _is_farming_author(
    author: np.ndarray, of_pair: np.ndarray, posts: np.ndarray, again: np.ndarray
) -> np.ndarray:
    """For each pair of site and author: whether the author farms that site."""
    names, counts = np.unique(author, return_counts=True)
    all_posts = counts[np.searchsorted(names, of_pair)]
    return (all_posts >= FARM_POSTS) & (posts >= FARM_SHARE * all_posts) & (again * 2 >= posts)


def _starts(*columns: np.ndarray) -> np.ndarray:
    """Where a new group starts in sorted columns."""
    new = np.zeros(len(columns[0]), dtype=bool)
    new[:1] = True
    for column in columns:
        new[1:] |= column[1:] != column[:-1]
    return np.flatnonzero(new)


def _scattered(order: np.ndarray, hit: np.ndarray, posts: int | None = None) -> np.ndarray:
    """What was found in another order, put back in the posts' own."""
    result = np.zeros(len(order) if posts is None else posts, dtype=bool)
    result[order] = hit
    return result
