"""Countries: in which of them a post or an author is withheld, as the live log's notes tell it.

A note holds the codes as a source told them ("DE FR"). A withholding whose countries are not known
holds everywhere: where none are named, and where one of the codes is no country's, such as `XX`
(all countries) and `XY` (a complaint on copyright) at X.
"""

import re

_CODES = frozenset(
    """
AD AE AF AG AI AL AM AO AQ AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI BJ BL BM BN BO BQ BR BS
BT BV BW BY BZ CA CC CD CF CG CH CI CK CL CM CN CO CR CU CV CW CX CY CZ DE DJ DK DM DO DZ EC EE
EG EH ER ES ET FI FJ FK FM FO FR GA GB GD GE GF GG GH GI GL GM GN GP GQ GR GS GT GU GW GY HK HM
HN HR HT HU ID IE IL IM IN IO IQ IR IS IT JE JM JO JP KE KG KH KI KM KN KP KR KW KY KZ LA LB LC
LI LK LR LS LT LU LV LY MA MC MD ME MF MG MH MK ML MM MN MO MP MQ MR MS MT MU MV MW MX MY MZ NA
NC NE NF NG NI NL NO NP NR NU NZ OM PA PE PF PG PH PK PL PM PN PR PS PT PW PY QA RE RO RS RU RW
SA SB SC SD SE SG SH SI SJ SK SL SM SN SO SR SS ST SV SX SY SZ TC TD TF TG TH TJ TK TL TM TN TO
TR TT TV TW TZ UA UG UM US UY UZ VA VC VE VG VI VN VU WF WS XK YE YT ZA ZM ZW
""".split()
)
"""The codes of ISO 3166-1, and that of Kosovo in common use."""
_ALSO = {"UK": "GB", "EL": "GR"}


def country_code(text: str) -> str | None:
    """Return the code of a country as ISO 3166 has it, or None if it is no country's.

    >>> country_code("de"), country_code("UK"), country_code("XX")
    ('DE', 'GB', None)
    """
    code = text.strip().upper()
    code = _ALSO.get(code, code)
    return code if code in _CODES else None


def countries_of(cause: str, note: str) -> frozenset[str]:
    """Return the countries in which alone a state hides a post or an author; none for everywhere.

    Only what is withheld has countries.
    """
    return countries_in(note) if cause == "withheld" else frozenset()


def countries_in(note: str) -> frozenset[str]:
    """Return the countries of a withholding; none if it holds everywhere.

    >>> sorted(countries_in("DE, fr")), sorted(countries_in("DE XX")), sorted(countries_in(""))
    (['DE', 'FR'], [], [])
    """
    found = {country_code(code) for code in re.split(r"[\s,;]+", note.strip())}
    return frozenset() if None in found else frozenset(code for code in found if code)
