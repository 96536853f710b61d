"""The gate: which posts may be used for one use, and the reason against each of the others.

Rules are asked in a fixed order and the first that applies is the reason: what the live log hides;
then the author's visibility, which no policy overrules; then the author's consent, given on the
post or once for all posts; then, if consent is undefined, the policy in `rookery.toml`.
"""

from collections.abc import Iterable
from typing import TypeAlias

import pyarrow as pa
import pyarrow.compute as pc

from rookery.core.arrays import is_among, looked_up
from rookery.core.home import Policy
from rookery.posts.post import CONSENT_FIELD, Use
from rookery.posts.restrictions import FORGOTTEN, Restrictions

NOT_PUBLIC = "not_public"
VISIBILITY_UNKNOWN = "visibility_unknown"
AUTHOR_OPTED_OUT = "author_opted_out"
NO_OPT_IN = "no_opt_in"

GATE_COLUMNS = ("id", "author", "visibility", *CONSENT_FIELD.values())
Posts: TypeAlias = pa.RecordBatch | pa.Table  # with at least `GATE_COLUMNS`


def gate(posts: Posts, use: Use, policy: Policy, restrictions: Restrictions) -> pa.Array:
    """Return the reason against each post, as strings; null for a post that may be used."""
    return gates(posts, (use,), policy, restrictions)[use]


def gates(
    posts: Posts, uses: Iterable[Use], policy: Policy, restrictions: Restrictions
) -> dict[Use, pa.Array]:
    """Return for several uses what `gate` returns for one; the live log is asked once."""
    hidden = _hidden(posts, restrictions)
    return {use: pc.coalesce(hidden, _refused(posts, use, policy, restrictions)) for use in uses}


def _refused(posts: Posts, use: Use, policy: Policy, restrictions: Restrictions) -> pa.Array:
    """Return the reason against each post that its author or its visibility gives."""
    consent = posts[CONSENT_FIELD[use]]
    refusing = is_among(posts["author"], restrictions.authors_by_consent(use, False))
    refused = pc.or_(pc.fill_null(pc.invert(consent), False), refusing)
    rules = [
        # before NOT_PUBLIC, which is true of an unknown visibility too
        (VISIBILITY_UNKNOWN, pc.equal(posts["visibility"], "unknown")),
        (NOT_PUBLIC, pc.not_equal(posts["visibility"], "public")),
        (AUTHOR_OPTED_OUT, refused),  # one no, on the post or of the author, outweighs any yes
    ]
    if policy == "opt-in":
        consenting = is_among(posts["author"], restrictions.authors_by_consent(use, True))
        rules.append((NO_OPT_IN, pc.invert(pc.or_(pc.fill_null(consent, False), consenting))))
    reasons = pa.nulls(posts.num_rows, pa.string())
    for reason, applies in reversed(rules):  # each rule overwrites those that come after it
        reasons = pc.if_else(applies, reason, reasons)
    return reasons


def _hidden(posts: Posts, restrictions: Restrictions) -> pa.Array:
    """Return why the log hides each post: a forgotten author, else the post, else the author."""
    by_id = looked_up(posts["id"], restrictions.posts)
    by_author = looked_up(posts["author"], restrictions.authors)
    is_forgotten = pc.fill_null(pc.equal(by_author, FORGOTTEN), False)
    return pc.if_else(is_forgotten, by_author, pc.coalesce(by_id, by_author))
