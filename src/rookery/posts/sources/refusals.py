"""The consent fields with which a source records that an author refuses uses of a post.

Only a mapped table can grant a use on the post itself (`tabular.py`). The other sources record
refusals on the post alone, and what an author allows goes to the live log. What follows from
consent is decided in `rights.py`.
"""

from collections.abc import Collection
from typing import TypedDict


class Refusals(TypedDict, total=False):
    """The fields of a post that refuse a use; a use without a field is not refused."""

    consent_search: bool
    consent_answers: bool
    consent_ads: bool
    consent_training: bool


def refusals(uses: Collection[str]) -> Refusals:
    """Return the fields that refuse these uses."""
    fields: Refusals = {}
    if "search" in uses:
        fields["consent_search"] = False
    if "answers" in uses:
        fields["consent_answers"] = False
    if "ads" in uses:
        fields["consent_ads"] = False
    if "training" in uses:
        fields["consent_training"] = False
    return fields
