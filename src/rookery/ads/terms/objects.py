"""What is sold, as objects: advertiser, funding, campaign, group, ad and its versions.

    Advertiser ──► Campaign ──► Group ──► Ad ──► AdVersion
        └► Funding ─┘           targeting, bid    text and address, reviewed

A campaign says how much may be spent, when, and what is paid for. A group says beside what its ads
may stand, and what that is worth. An ad is shown in its newest approved version. Times are seconds
since 1970 in UTC, money is integer micros, and a home keeps one currency.

Plain values that check nothing: files and requests are read and checked elsewhere in this room, and
what is stored in `ledger/store.py`. Not here: whether a group fits a request (`select/`), and what
it pays (`price/`).
"""

from dataclasses import dataclass
from typing import Literal, get_args

Payment = Literal["views", "click", "conversion"]
"""What is paid for: a thousand views, a click, or a conversion."""
VIEWS_AT_ONCE = 1000
"""Are paid for together."""
Rule = Literal["second_price", "vcg"]
"""How places are priced (`price/places.py`)."""
Strategy = Literal["highest", "automatic", "target"]
"""How a group bids: its highest price, less while ahead of its budget; as high as its budget
allows, up to that price; or so that the mean cost of what is paid for is near a target.
"""
Match = Literal["word", "phrase", "exact"]
"""How a keyword is found in a text: all its words, whatever their order; these words one after the
other; or as the whole text.
"""
Review = Literal["unreviewed", "approved", "rejected"]
Level = Literal["ad", "group", "campaign", "advertiser"]
Device = Literal["desktop", "phone", "tablet"]

PAYMENTS, STRATEGIES, MATCHES = get_args(Payment), get_args(Strategy), get_args(Match)
LEVELS, DEVICES = get_args(Level), get_args(Device)


@dataclass(frozen=True)
class Advertiser:
    """Somebody who pays. name: shown with every ad."""

    id: str
    name: str


@dataclass(frozen=True)
class Funding:
    """Money that several campaigns of an advertiser share, beside their own budgets."""

    id: str
    advertiser: str
    budget_micros: int


@dataclass(frozen=True, kw_only=True)
class Campaign:
    """How much may be spent, when, and for what.

    funding: id of money that it shares, "" for none. zone: an IANA time zone, in which its days
    begin. start_seconds, end_seconds: None where it has no end on that side; the end is not in it.
    caps: of views, for one viewer.
    """

    id: str
    advertiser: str
    budget_micros: int
    daily_budget_micros: int | None = None
    funding: str = ""
    zone: str = "UTC"
    start_seconds: int | None = None
    end_seconds: int | None = None
    pays_for: Payment = "click"
    caps: "tuple[Cap, ...]" = ()
    paused: bool = True


@dataclass(frozen=True)
class Cap:
    """At most `views` of a level for one viewer within so many seconds."""

    level: Level
    views: int
    window_seconds: int


@dataclass(frozen=True)
class Keyword:
    """A word or phrase that a text may have, in any script."""

    text: str
    match: Match = "phrase"


@dataclass(frozen=True)
class Targeting:
    """Beside what, when and to whom the ads of a group may be shown; what is empty excludes nobody.

    keywords: one of them is enough. excluded: none of them may be there. meaning: texts near which
    in meaning a text is as good as one with a keyword. languages: two or three letters. hours: of
    the week in the campaign's zone, 0 is Monday 0:00 to 1:00. countries: ISO 3166. devices: as the
    request tells; a request that does not tell is let pass.
    """

    keywords: tuple[Keyword, ...] = ()
    excluded: tuple[Keyword, ...] = ()
    meaning: tuple[str, ...] = ()
    languages: tuple[str, ...] = ()
    hours: tuple[int, ...] = ()
    countries: tuple[str, ...] = ()
    devices: tuple[Device, ...] = ()


@dataclass(frozen=True)
class GroupBid:
    """What a group bids for one of what its campaign pays for (a thousand views count as one).

    micros: the highest price, or the target.
    """

    micros: int
    strategy: Strategy = "highest"


@dataclass(frozen=True)
class Group:
    """Ads of a campaign that share targeting and bid."""

    id: str
    campaign: str
    bid: GroupBid
    targeting: Targeting = Targeting()
    paused: bool = True


@dataclass(frozen=True)
class AdVersion:
    """The text and address of an ad, which never change; review: whether it may be shown.

    number: from 1 on. reason: why it was rejected.
    """

    ad: str
    number: int
    title: str
    body: str
    url: str
    review: Review = "unreviewed"
    reason: str = ""


@dataclass(frozen=True)
class Ad:
    """An ad of a group."""

    id: str
    group: str
    paused: bool = True


@dataclass(frozen=True)
class AdBook:
    """All that a home sells: what a file names, or what is stored."""

    currency: str
    advertisers: tuple[Advertiser, ...] = ()
    fundings: tuple[Funding, ...] = ()
    campaigns: tuple[Campaign, ...] = ()
    groups: tuple[Group, ...] = ()
    ads: tuple[Ad, ...] = ()
    versions: tuple[AdVersion, ...] = ()


@dataclass(frozen=True)
class KnownVersion:
    """A version of an ad under the number by which tokens and events name it."""

    key: int
    version: AdVersion


@dataclass(frozen=True)
class Listing:
    """A group with all that it takes to sell it, as an ad server reads it.

    campaign_key: the number by which tokens and events name the campaign. versions: the newest
    approved one of each of its ads that is not paused; none if nothing can be shown. is_reviewed:
    whether any version of its ads was approved.
    """

    key: int
    group: Group
    campaign_key: int
    campaign: Campaign
    advertiser: Advertiser
    versions: tuple[KnownVersion, ...] = ()
    is_reviewed: bool = True
