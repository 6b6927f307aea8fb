"""Where things can go: countries, states, their tax rates and how far away they are.

Rates are plausible and fixed, in hundredths of a percent, so that a price can be checked by hand;
they are not tax advice. Zone 1 is near the warehouses in Washington, zone 4 over the sea or a
border.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

COUNTRIES = {
    "US": "United States",
    "CA": "Canada",
    "JP": "Japan",
    "GB": "United Kingdom",
    "KW": "Kuwait",
}
COUNTRY_CODES = {
    **{name.casefold(): code for code, name in COUNTRIES.items()},
    **{code.casefold(): code for code in COUNTRIES},
    "usa": "US",
    "u.s.": "US",
    "united states of america": "US",
    "uk": "GB",
    "great britain": "GB",
}
# Code, name, tax rate in 1/100 %, zone, whether shipping is taxed.
_STATES = """
AL,Alabama,924,3,1      AK,Alaska,0,4,0          AZ,Arizona,840,2,0       AR,Arkansas,947,3,1
CA,California,882,2,0   CO,Colorado,777,2,0      CT,Connecticut,635,3,1   DE,Delaware,0,3,0
DC,District of Columbia,600,3,1                  FL,Florida,702,3,1       GA,Georgia,735,3,1
HI,Hawaii,444,4,1       ID,Idaho,602,1,0         IL,Illinois,885,3,1      IN,Indiana,700,3,1
IA,Iowa,694,3,0         KS,Kansas,868,3,1        KY,Kentucky,600,3,1      LA,Louisiana,955,3,0
ME,Maine,550,3,0        MD,Maryland,600,3,0      MA,Massachusetts,625,3,0 MI,Michigan,600,3,1
MN,Minnesota,749,3,1    MS,Mississippi,707,3,1   MO,Missouri,830,3,0      MT,Montana,0,2,0
NE,Nebraska,694,3,1     NV,Nevada,823,2,0        NH,New Hampshire,0,3,0   NJ,New Jersey,660,3,1
NM,New Mexico,772,2,1   NY,New York,852,3,1      NC,North Carolina,698,3,1
ND,North Dakota,696,3,1 OH,Ohio,722,3,1          OK,Oklahoma,895,3,0      OR,Oregon,0,1,0
PA,Pennsylvania,634,3,1 RI,Rhode Island,700,3,1  SC,South Carolina,744,3,1
SD,South Dakota,640,3,1 TN,Tennessee,955,3,1     TX,Texas,820,3,1         UT,Utah,719,2,0
VT,Vermont,624,3,1      VA,Virginia,575,3,0      WA,Washington,1010,1,0   WV,West Virginia,657,3,1
WI,Wisconsin,543,3,1    WY,Wyoming,536,2,1
"""
# Countries whose states are not told apart: tax rate, zone, whether shipping is taxed.
_ABROAD = {"CA": (500, 4, True), "JP": (1000, 1, True), "GB": (2000, 1, True), "KW": (0, 1, False)}


@dataclass(frozen=True, slots=True)
class Region:
    """A place that prices depend on."""

    country: str
    state: str
    tax_rate: int
    zone: int
    taxes_shipping: bool


def _read_states() -> dict[str, Region]:
    known: dict[str, Region] = {}
    for row in re.findall(r"([A-Z]{2}),([A-Za-z ]+?),(\d+),(\d),(\d)", _STATES):
        code, name, rate, zone, taxes_shipping = row
        region = Region("US", code, int(rate), int(zone), taxes_shipping == "1")
        known[code.casefold()] = known[name.casefold()] = region
    return known


STATES = _read_states()


def country_code(text: str) -> str | None:
    """Return the ISO code of a country given by code or name, or None.

    Examples
    --------
    >>> country_code("United States"), country_code("us"), country_code("Atlantis")
    ('US', 'US', None)
    """
    return COUNTRY_CODES.get(text.strip().casefold())


def find_region(country: str, state: str) -> Region | None:
    """Return the region of an address, by codes or names, or None where there is none.

    Examples
    --------
    >>> find_region("United States", "washington").tax_rate
    1010
    >>> find_region("US", "Narnia") is None
    True
    """
    code = country_code(country)
    if code == "US":
        return STATES.get(state.strip().casefold())
    if code is None:
        return None
    rate, zone, taxes_shipping = _ABROAD[code]
    return Region(code, state.strip(), rate, zone, taxes_shipping)
