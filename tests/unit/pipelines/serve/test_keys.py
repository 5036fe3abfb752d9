from __future__ import annotations

import pytest

from pipelines.serve.keys import Access, Keys, Role
from rag.errors import ConfigError
from rag.store import Condition

READ, INGEST = "reader-key-of-24-letters", "ingest-key-of-24-letters"


def test_a_key_grants_its_role_and_its_tenant() -> None:
    keys = Keys.read(f'{{"{READ}": "read", "{INGEST}": {{"role": "ingest", "tenant": "acme"}}}}')
    reader, writer = keys.find(READ), keys.find(INGEST)
    assert reader is not None
    assert writer is not None
    assert (reader.role, reader.tenant, reader.conditions) == (Role.read, "", [])
    assert (writer.role, writer.tenant) == (Role.ingest, "acme")
    assert writer.conditions == [Condition("tenant", "=", ("acme",))]
    assert reader.name != writer.name
    assert READ not in repr((keys.__dict__, reader))


@pytest.mark.parametrize("guess", ["", READ[:-1], f"{READ} ", READ.upper(), "é" * 24, INGEST])
def test_no_other_key_grants_anything(guess: str) -> None:
    assert Keys.read(f'{{"{READ}": "admin"}}').find(guess) is None


def test_without_keys_everybody_may_do_everything() -> None:
    keys = Keys.read("")
    assert not keys
    assert keys.find("") == Access(Role.admin)
    assert Role.metrics < Role.read < Role.ingest < Role.admin


@pytest.mark.parametrize(
    "text",
    ["no json", "[]", '{"short": "read"}', f'{{"{READ}": "king"}}', f'{{"{READ}": 3}}',
     f'{{"{READ}": {{"role": "read", "tenant": ""}}}}', f'{{"{READ}": {{"tenant": "x"}}}}',
     f'{{"{READ}": {{"role": "read", "tenant": "007"}}}}',
     f'{{"{READ}": {{"role": "read", "tenant": "true"}}}}',
     f'{{"{READ}": {{"role": "read", "tenant": "a|b"}}}}',
     f'{{"{READ}": {{"role": "read", "other": "x"}}}}', '{"sixteen-chars-ü!": "read"}'],
)  # fmt: skip
def test_what_cannot_be_read_is_told_without_a_key(text: str) -> None:
    with pytest.raises(ConfigError, match=r"serve\.api_keys") as raised:
        Keys.read(text)
    assert READ not in str(raised.value)
    assert raised.value.__cause__ is None
