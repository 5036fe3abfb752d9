"""The options behind sources of STIX and of reports."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from rag.errors import UsageError

__all__ = ["ReportOptions", "StixOptions", "TaxiiOptions"]


@dataclass(frozen=True, slots=True)
class StixOptions:
    """What of a place is listed.

    Args:
        types: of STIX ("attack-pattern", "malware"); none: all.
        deprecated: whether what was revoked or deprecated is listed too.

    Raises:
        UsageError: a type cannot be one.
    """

    types: tuple[str, ...] = ()
    deprecated: Literal["skip", "keep"] = "skip"

    def __post_init__(self) -> None:
        for kind in self.types:
            if not kind.replace("-", "").isalnum() or not kind.islower():
                raise UsageError(
                    f"no type of STIX: {kind!r}",
                    hint="write types=attack-pattern,malware,intrusion-set",
                )


@dataclass(frozen=True, slots=True)
class TaxiiOptions(StixOptions):
    """What of a collection is listed, and who asks.

    Args:
        types: as for bundles.
        deprecated: as for bundles.
        login: the environment variable TAXII_LOGIN_<LOGIN> holds "user:password", or what the
            server wants in its Authorization header ("Bearer ..."). It is sent to no other host.
    """

    login: str = ""

    def __post_init__(self) -> None:
        # By name: a dataclass with slots is another class than the one super() was compiled for.
        StixOptions.__post_init__(self)
        if self.login and not (self.login.isascii() and self.login.replace("_", "a").isalnum()):
            # Not repeated: whoever wrote the login itself here wrote a secret.
            raise UsageError(
                "the option login of taxii: is no name",
                hint="login=acme means the environment variable TAXII_LOGIN_ACME",
            )


@dataclass(frozen=True, slots=True)
class ReportOptions:
    """Which files below a folder are reports.

    Args:
        ignore: patterns as in a .gitignore, of files that are passed over.
    """

    ignore: tuple[str, ...] = ()
