"""The gate: which posts may be used, for one use, and the reason for each that may not.

The author's visibility comes first and no policy overrules it; then the author's word on this use;
then, where the author said nothing, the policy that the platform names in `rookery.toml`.
"""

import pyarrow as pa
import pyarrow.compute as pc

from rookery.core.home import Policy
from rookery.posts.live import Forgotten
from rookery.posts.post import CONSENT_FIELD, Use

FORGOTTEN = "forgotten"
NOT_PUBLIC = "not_public"
VISIBILITY_UNKNOWN = "visibility_unknown"
AUTHOR_OPTED_OUT = "author_opted_out"
NO_OPT_IN = "no_opt_in"

GATE_COLUMNS = ("id", "author", "visibility", *CONSENT_FIELD.values())


def gate(batch: pa.RecordBatch | pa.Table, use: Use, policy: Policy, forgotten: Forgotten) -> pa.Array:
    """The reason against each post, as strings; null where the post may be used."""
    consent = batch[CONSENT_FIELD[use]]
    rules = [
        (FORGOTTEN, _is_forgotten(batch, forgotten)),
        (VISIBILITY_UNKNOWN, pc.equal(batch["visibility"], "unknown")),
        (NOT_PUBLIC, pc.not_equal(batch["visibility"], "public")),
        (AUTHOR_OPTED_OUT, pc.fill_null(pc.invert(consent), False)),
    ]
    if policy == "opt-in":
        rules.append((NO_OPT_IN, pc.is_null(consent)))
    reasons = pa.nulls(batch.num_rows, pa.string())
    for reason, applies in reversed(rules):
        reasons = pc.if_else(applies, reason, reasons)
    return reasons


def kept(batch, use: Use, policy: Policy, forgotten: Forgotten):
    """The posts of a batch (or table) that may be used."""
    return batch.filter(pc.is_null(gate(batch, use, policy, forgotten)))


def _is_forgotten(batch, forgotten: Forgotten):
    by_id = pc.is_in(batch["id"], forgotten.post_array)
    return pc.or_(by_id, pc.is_in(batch["author"], forgotten.author_array))
