"""The items of SEC forms: their order, and the word by which each is known."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["FORMS", "Form", "Item", "form_of"]


@dataclass(frozen=True, slots=True)
class Item:
    """One item of a form: `words` is a pattern of how its title begins, in lower-case letters."""

    part: str
    number: str
    words: str
    rank: int


@dataclass(frozen=True, slots=True)
class Form:
    """The items of one form by number; a number stands once in each part."""

    items: Mapping[str, tuple[Item, ...]]
    has_parts: bool = True

    def named(self, number: str, title: str) -> list[Item]:
        """The items that may be meant by this number and title ("1A", "Risk Factors")."""
        # Letters alone: texts taken from PDFs have blanks inside of words ("Busines s.").
        letters = "".join(filter(str.isalnum, title.lower()))
        found = self.items.get(number.upper(), ())
        return [item for item in found if re.match(item.words, letters)]


# What any item may say instead of its title.
_VACANT = "reserved|removed|intentionally|notapplicable|omitted|none"

_ANNUAL = """
I   1    business|description of business
I   1A   risk factors
I   1B   unresolved
I   1C   cyber
I   2    propert|description of propert
I   3    legal
I   4    mine|submission|executive officers
II  5    market
II  6    selected|consolidated selected
II  7    management|item omitted
II  7A   quantitative|qualitative
II  8    (?:consolidated )?financial stat|consolidated
II  9    changes|disagreements
II  9A   (?:disclosure )?controls|evaluation
II  9B   other info
II  9C   disclosure
III 10   directors|executive officers
III 11   executive comp
III 12   (?:security|stock|share)(?:ownership|holdings)|beneficial
III 13   certain
III 14   principal acc|controls
IV  15   exhibit|financial stat|principal acc
IV  16   (?:form 10k )?summary|exhibit
"""

_QUARTERLY = """
I   1    (?:unaudited |interim |condensed |consolidated |the )*(?:interim )?financial (?:stat|info)\
|(?:unaudited |condensed |consolidated )+
I   2    management
I   3    quantitative|qualitative
I   4    (?:disclosure )?controls|evaluation
II  1    legal
II  1A   risk factors
II  2    unregistered|issuer|changes in sec|recent sales|repurchases|purchases|share rep
II  3    default
II  4    mine|submission
II  5    other info
II  6    exhibit
"""

_CURRENT = """
-  1.01  entry
-  1.02  termination
-  1.03  bankruptcy
-  1.04  mine
-  1.05  material cyber
-  2.01  completion
-  2.02  results
-  2.03  creation
-  2.04  triggering
-  2.05  costs
-  2.06  material imp
-  3.01  notice
-  3.02  unregistered
-  3.03  material mod
-  4.01  changes
-  4.02  nonreliance
-  5.01  changes
-  5.02  departure|election|appointment|compensat|resignation|retirement
-  5.03  amendment
-  5.04  temporary
-  5.05  amendment|waiver
-  5.06  change in
-  5.07  submission
-  5.08  shareholder|stockholder
-  6.01  abs
-  6.02  change
-  6.03  change
-  6.04  failure
-  6.05  securities
-  7.01  regulation|reg
-  8.01  other
-  9.01  (?:consolidated )?financial|exhibit
-  1     changes? in control
-  2     acquisition
-  3     bankruptcy
-  4     changes? in
-  5     other
-  6     resignation
-  7     (?:consolidated )?financial|exhibit
-  8     change in
-  9     regulation|sales
-  10    amendment
-  11    temporary
-  12    results
"""


def _form(table: str, *, has_parts: bool = True) -> Form:
    items: dict[str, list[Item]] = {}
    for rank, line in enumerate(table.strip().splitlines()):
        part, number, words = line.split(None, 2)
        words = f"(?:{words.replace(' ', '')}|{_VACANT})"
        item = Item(part.strip("-"), number, words, rank)
        items.setdefault(number, []).append(item)
    return Form({number: tuple(found) for number, found in items.items()}, has_parts)


FORMS: Mapping[str, Form] = {
    "10-K": _form(_ANNUAL),
    "10-Q": _form(_QUARTERLY),
    "8-K": _form(_CURRENT, has_parts=False),
}

_NAME = re.compile(r"(10-?K|10-?Q|8-?K)(?:T|405|12B|12G3|15D5)?(?:/A)?", re.IGNORECASE)


def form_of(name: str) -> Form | None:
    """The form that "10-K", "10-K/A", "10-KT" or "10-K405" names; None for one without items.

    >>> form_of("10-K/A") is FORMS["10-K"]
    True
    """
    found = _NAME.fullmatch(name.strip())
    if not found:
        return None
    return FORMS[
        found[1].upper().replace("10K", "10-K").replace("10Q", "10-Q").replace("8K", "8-K")
    ]
