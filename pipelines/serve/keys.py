"""Keys: who is asking, and what they may do."""

from __future__ import annotations

import hashlib
import hmac
import re
from dataclasses import dataclass
from enum import IntEnum
from typing import Self

from pydantic import BaseModel, ConfigDict, RootModel, ValidationError

from rag.errors import ConfigError
from rag.store import Condition

__all__ = ["TENANT_FIELD", "Access", "Keys", "Role"]

TENANT_FIELD = "tenant"
"""The field of a document's metadata that says whose it is."""

_TENANT = re.compile(r"[a-z][a-z0-9_-]{0,63}")
_FEWEST = 16  # characters of a key: fewer can be guessed


class Role(IntEnum):
    """What a key is for; each may do what those before it may."""

    metrics = 0
    read = 1
    ingest = 2
    admin = 3


@dataclass(frozen=True, slots=True)
class Access:
    """Who is asking.

    Attributes:
        role: what they may do.
        tenant: whose documents they see; "" for everybody's.
        name: stands for the key in logs and counters, and does not give it away.
    """

    role: Role
    tenant: str = ""
    name: str = "local"

    @property
    def conditions(self) -> list[Condition]:
        """What every chunk they are shown must meet, whatever they ask for besides."""
        return [Condition(TENANT_FIELD, "=", (self.tenant,))] if self.tenant else []


class _Grant(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    role: str
    tenant: str = ""


class _Table(RootModel[dict[str, str | _Grant]]):
    """Key to role, or to role and tenant."""


class Keys:
    """The keys of the settings.

    Only digests are held, and all of them are compared, so that neither an answer nor its time
    tells how near a guess was.

    Args:
        granted: SHA-256 of each key, and what it grants. Without any, everybody may do everything.
    """

    def __init__(self, granted: dict[bytes, Access]) -> None:
        self._granted = granted

    def __bool__(self) -> bool:
        return bool(self._granted)

    @classmethod
    def read(cls, text: str) -> Self:
        """Those in a JSON table: `{"KEY": "read", "OTHER": {"role": "ingest", "tenant": "acme"}}`.

        Raises:
            ConfigError: it is no such table, or a key is too short. No message holds a key.
        """
        if not text.strip():
            return cls({})
        try:
            table = _Table.model_validate_json(text).root
        except ValidationError:
            raise _unreadable("it is no table of keys") from None
        granted: dict[bytes, Access] = {}
        for key, grant in table.items():
            role, tenant = (grant, "") if isinstance(grant, str) else (grant.role, grant.tenant)
            if role not in Role.__members__:
                raise _unreadable("there is no such role")
            if isinstance(grant, _Grant) and "tenant" in grant.model_fields_set:
                _require_name(tenant)
            if len(key) < _FEWEST or not key.isascii() or not key.isprintable():
                raise _unreadable(f"a key has fewer than {_FEWEST} characters, or odd ones")
            hashed = _digest(key)
            granted[hashed] = Access(Role[role], tenant, hashed.hex()[:8])
        return cls(granted)

    def find(self, key: str) -> Access | None:
        """What a key grants, or None."""
        if not self._granted:
            return Access(Role.admin)
        asked = _digest(key)
        found = None
        for known, access in self._granted.items():
            if hmac.compare_digest(known, asked):
                found = access
        return found


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode()).digest()


def _require_name(tenant: str) -> None:
    """Refuse names that a filter would read as a number or a truth value, and match others with."""
    if not _TENANT.fullmatch(tenant) or tenant in ("true", "false"):
        raise _unreadable("a tenant's name is small letters, digits, - and _, a letter first")


def _unreadable(why: str) -> ConfigError:
    return ConfigError(
        f"cannot read setting serve.api_keys: {why}",
        hint='write it as {"KEY": "read"}, or {"KEY": {"role": "ingest", "tenant": "acme"}}; roles '
        "are metrics, read, ingest and admin",
    )
