"""The gate: which posts may be used, for one use, and the reason for each that may not.

First what the live log says hides it. Then the author's visibility, which no policy overrules; then
the author's word on this use, said on the post or once for all: a no anywhere holds; then, where
the author said nothing, the policy that the platform names in `rookery.toml`.
"""

import pyarrow as pa
import pyarrow.compute as pc

from rookery.core.home import Policy
from rookery.posts.live import Restrictions
from rookery.posts.post import CONSENT_FIELD, Use

NOT_PUBLIC = "not_public"
VISIBILITY_UNKNOWN = "visibility_unknown"
AUTHOR_OPTED_OUT = "author_opted_out"
NO_OPT_IN = "no_opt_in"

GATE_COLUMNS = ("id", "author", "visibility", *CONSENT_FIELD.values())


def gate(
    batch: pa.RecordBatch | pa.Table, use: Use, policy: Policy, restrictions: Restrictions
) -> pa.Array:
    """The reason against each post, as strings; null where the post may be used."""
    consent = batch[CONSENT_FIELD[use]]
    says_no = pc.or_(
        pc.fill_null(pc.invert(consent), False),
        pc.is_in(batch["author"], restrictions.said(use, False)),
    )
    rules = [
        (VISIBILITY_UNKNOWN, pc.equal(batch["visibility"], "unknown")),
        (NOT_PUBLIC, pc.not_equal(batch["visibility"], "public")),
        (AUTHOR_OPTED_OUT, says_no),
    ]
    if policy == "opt-in":
        says_yes = pc.or_(
            pc.fill_null(consent, False), pc.is_in(batch["author"], restrictions.said(use, True))
        )
        rules.append((NO_OPT_IN, pc.invert(says_yes)))
    reasons = pa.nulls(batch.num_rows, pa.string())
    for reason, applies in reversed(rules):
        reasons = pc.if_else(applies, reason, reasons)
    return pc.coalesce(_hidden(batch, restrictions), reasons)


def kept(batch, use: Use, policy: Policy, restrictions: Restrictions):
    """The posts of a batch (or table) that may be used."""
    return batch.filter(pc.is_null(gate(batch, use, policy, restrictions)))


def _hidden(batch, restrictions: Restrictions):
    """Why the log hides each post: `forgotten` first, then what is said of the post, then of its
    author.
    """
    by_id = _reason(batch["id"], *restrictions.post_reasons)
    by_author = _reason(batch["author"], *restrictions.author_reasons)
    gone = pc.fill_null(pc.equal(by_author, "forgotten"), False)
    return pc.if_else(gone, by_author, pc.coalesce(by_id, by_author))


def _reason(names, hidden: pa.Array, reasons: pa.Array):
    return (
        pc.take(reasons, pc.index_in(names, hidden))
        if len(hidden)
        else pa.nulls(len(names), pa.string())
    )
