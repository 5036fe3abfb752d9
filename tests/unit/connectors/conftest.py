from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import pytest
from reportlab.lib.pdfencrypt import StandardEncryption
from reportlab.pdfgen.canvas import Canvas

REPOSITORY = Path(__file__).parents[3]


@pytest.fixture
def tree(tmp_path: Path) -> Callable[..., Path]:
    """Make files below a folder from "path: content" pairs and return the folder."""

    def make(root: str = "docs", **files: str) -> Path:
        folder = tmp_path / root
        folder.mkdir(exist_ok=True)
        for name, content in files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content.encode())
        return folder

    return make


@pytest.fixture
def make_pdf() -> Callable[..., bytes]:
    """A PDF of the given pages, each a list of lines."""

    def make(
        *pages: list[str],
        title: str = "",
        password: str = "",
        outline: tuple[tuple[str, int, int], ...] = (),
    ) -> bytes:
        buffer = BytesIO()
        canvas = Canvas(buffer, encrypt=StandardEncryption(password) if password else None)
        if title:
            canvas.setTitle(title)
        for number, lines in enumerate(pages):
            for row, line in enumerate(lines):
                canvas.drawString(72, 760 - 20 * row, line)
            for name, level, page in outline:
                if page == number:
                    canvas.bookmarkPage(name)
                    canvas.addOutlineEntry(name, name, level)
            canvas.showPage()
        canvas.save()
        return buffer.getvalue()

    return make


@pytest.fixture(scope="session")
def shared() -> Path:
    folder = REPOSITORY.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"the shared evaluation data is not at {folder}")
    return folder
