from __future__ import annotations

from collections.abc import Callable, Mapping
from io import BytesIO
from zipfile import ZIP_DEFLATED, ZipFile

import pytest


@pytest.fixture
def rezip() -> Callable[..., bytes]:
    """A zip archive of the given members, or another one with some of them changed."""

    def make(members: Mapping[str, bytes], base: bytes = b"") -> bytes:
        kept: dict[str, bytes] = {}
        if base:
            with ZipFile(BytesIO(base)) as archive:
                kept = {name: archive.read(name) for name in archive.namelist()}
        buffer = BytesIO()
        with ZipFile(buffer, "w", ZIP_DEFLATED) as archive:
            for name, content in {**kept, **members}.items():
                archive.writestr(name, content)
        return buffer.getvalue()

    return make
