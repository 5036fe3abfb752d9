"""Whether a name with dots is a domain, told without asking anybody."""

from __future__ import annotations

import re

__all__ = ["is_disarmed_domain", "is_domain", "is_likely_domain"]

_LABEL = re.compile(r"(?!-)[\w-]{1,63}(?<!-)")
_ENDING = re.compile(r"[^\W\d_]{2,24}|xn--[a-z0-9-]{2,59}", re.IGNORECASE)
# No list of all endings: most of the 1,500 are also words, and it would be out of date.
_COMMON = frozenset(
    """
    com net org info biz edu gov mil io co tv cc eu uk ca au nz de fr nl ch es pt pl cz sk hu ro
    bg gr tr ru su ua kz cn hk tw jp kr sg th vn ph pk ir il sa ae za ng ke br ar cl mx pe se dk fi
    ie lt lv ee onion top xyz site online club shop store icu pw ws tk ga cf gq website
    """.split()
)
# Endings of files, which are written "evil[.]exe" in the same reports.
_FILES = frozenset(
    """
    exe dll sys scr bat cmd vbs vbe js jse wsf hta lnk msi jar cpl ocx doc docx docm dot xls xlsx
    xlsm ppt pptx pptm pdf rtf txt log csv xml json html htm php asp aspx jsp cgi css png jpg jpeg
    gif bmp ico tmp dat bin cfg conf ini zip rar tar gz iso img vhd apk elf dmg pkg deb rpm ps1
    psm1
    """.split()
)
_PRODUCTS = frozenset({"asp.net", "ado.net", "vb.net", "ml.net", "paint.net"})


def is_domain(name: str) -> bool:
    """Whether it is written as a domain is: labels, and an ending of letters.

    >>> is_domain("evil.example"), is_domain("192.0.2.1"), is_domain("a..b")
    (True, False, False)
    """
    labels = name.split(".") if len(name) <= 253 else []
    return (
        len(labels) > 1
        and _ENDING.fullmatch(labels[-1]) is not None
        and all(map(_LABEL.fullmatch, labels))
    )


def is_disarmed_domain(name: str) -> bool:
    """Whether a name that somebody took care to disarm is a domain, and not a file.

    >>> is_disarmed_domain("cdn.evil.sbs"), is_disarmed_domain("update.exe")
    (True, False)
    """
    return is_domain(name) and name.rpartition(".")[2].lower() not in _FILES


def is_likely_domain(name: str) -> bool:
    """Whether a name in running text is a domain: its ending is common, and no word of English.

    >>> is_likely_domain("example.com"), is_likely_domain("System.IO"), is_likely_domain("up.In")
    (True, False, False)
    """
    rest, _, ending = name.rpartition(".")
    # ".NET" and a class of it have capitals where few domains do.
    as_usual = ending.islower() or name.isupper()
    return (
        as_usual
        and ending.lower() in _COMMON
        and name.lower() not in _PRODUCTS
        and len(rest) > 1
        and is_domain(name)
    )
