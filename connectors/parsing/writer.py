"""Canonical text, written from left to right by someone who must know every offset."""

from __future__ import annotations

__all__ = ["TextWriter"]


class TextWriter:
    r"""Collects words and lines; white space between them is owed and paid only before text.

    So the text never starts or ends in blank lines, and an offset it gives is where that text
    stands: nothing has to be searched for afterwards.

    >>> writer = TextWriter()
    >>> writer.words("  Hello ")
    >>> writer.words("world")
    >>> writer.line("Next", gap=2)
    13
    >>> writer.text
    'Hello world\n\nNext'
    """

    def __init__(self) -> None:
        self._pieces: list[str] = []
        self._length = 0
        self._newlines = 0
        self._space = False
        self._prefix = ""

    @property
    def text(self) -> str:
        """All that was written."""
        return "".join(self._pieces)

    @property
    def end(self) -> int:
        """Where what was written ends; white space that is owed comes after it."""
        return self._length

    def gap(self, newlines: int) -> None:
        """Put at least so many newlines before the next text."""
        self._newlines = max(self._newlines, newlines)
        self._space = False

    def line_break(self) -> None:
        """End the line; a second break leaves one blank line, a third changes nothing."""
        self.gap(min(self._newlines + 1, 2))

    def start_item(self, prefix: str) -> None:
        """Put `prefix` before the next text, on a line of its own."""
        self.gap(1)
        self._prefix = prefix

    def end_item(self) -> None:
        """End an item; one without text leaves no prefix behind."""
        self.gap(1)
        self._prefix = ""

    def words(self, text: str) -> None:
        """Write running text, its white space (no-break spaces too) collapsed."""
        words = text.split()
        self._space = self._space or text[:1].isspace()
        if words:
            self._open()
            self._write(" ".join(words))
            self._space = text[-1].isspace()

    def line(self, text: str, *, gap: int = 1) -> int:
        """Write `text` as it is, on lines of its own, and return its offset."""
        self.gap(gap)
        self._open()
        start = self._length
        self._write(text)
        self.gap(gap)
        return start

    def _open(self) -> None:
        if self._pieces:
            self._write("\n" * self._newlines or " " * self._space)
        self._write(self._prefix)
        self._newlines, self._space, self._prefix = 0, False, ""

    def _write(self, text: str) -> None:
        if text:
            self._pieces.append(text)
            self._length += len(text)
