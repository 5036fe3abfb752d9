"""Source code: the text as it stands; classes and functions become sections."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import NamedTuple

from connectors.parsing.base import Block, Parsed, nest
from connectors.parsing.code_languages import Language
from connectors.parsing.text import decode

__all__ = ["PARSER_VERSION", "parse"]

PARSER_VERSION = "code-1"

_LONGEST_TEXT = 1_000_000  # characters; longer files were written by programs
_LONGEST_HEADER = 1_000  # characters from a definition's name to its body,
_DEEPEST_HEADER = 16  # and brackets that are open between them
_MOST = 20_000  # definitions
_MOST_ABOVE = 100  # lines above one that belong to it
_STRING = "\x01"  # stands for each character of a string
_NEWLINE = re.compile(r"[^\n]")
_LINE = re.compile(r"[^\n]+")
_BLANKS = re.compile(r"[ \t]*")
_BRACE = re.compile(r"[{}]")
_VALUES = ("const ", "let ", "var ")
_ARROW = re.compile(r"=>|\bfunction\b")

_CALL = re.compile(r"^[ \t]{0,100}(?P<head>[^\n(){};=\x01]{1,300})\(", re.MULTILINE)
_NAME = re.compile(
    r"(?:^|(?<=[\s*&>\]]))"
    r"(?P<title>(?:\w+(?:<[^<>]{0,100}>)?::)*[~\w$#][\w$]*)[ \t]*$"
)
_TYPES = re.compile(r"[\w\s<>\[\],.:*&?@~$]*")
_NOT_NAMES = frozenset(
    """if else for foreach while do switch case catch return throw new delete await yield typeof
    sizeof using lock fixed synchronized try when with super this function assert static_assert
    constexpr require import print defined elif goto in of""".split()
)
_HOLDS_FUNCTIONS = re.compile(r"class|struct|union|namespace|interface|enum|record|trait")
# Where a header ends: at its body, its statement's end, or a line that starts something else.
_STOP = re.compile(
    r"[(){}\[\];]|\n[ \t]*(?![\s(){}\[:\x01]|->|=>|"
    r"(?:where|throws|extends|implements|with|const|noexcept|override)\b)"
)
_BEGIN = re.compile(r"\bBEGIN\b(?![ \t]*;|[ \t]+TRAN)", re.IGNORECASE)
_END = re.compile(r"^[ \t]*END\b[^\n;]*;?", re.IGNORECASE | re.MULTILINE)


class _Definition(NamedTuple):
    """Where the line of a definition starts, where its name ends, and its title."""

    start: int
    named: int
    title: str


def parse(data: bytes, language: Language) -> Parsed:
    """The text exactly as it stands; a definition, with what is said above it, is a section.

    What is found is what is written as people write it, a definition a line; a syntax error does
    no harm. Files of over a million characters have no sections. `meta` has the language.

    Raises:
        DocumentError: the bytes are not text.
    """
    text = decode(data)
    blocks: list[Block] = []
    if language.defined and language.skipped and len(text) <= _LONGEST_TEXT:
        masked = language.skipped.sub(_mask, text)
        found = list(_definitions(masked, language))
        floor = 0
        for each, end in _ENDS[language.ends](masked, found, language):
            start = _with_above(text, each.start, floor, language)
            blocks.append(Block(start, end, each.title))
            floor = each.named
    sections = nest([], len(text), blocks)
    return Parsed(text, sections=sections, meta={"language": language.name})


def _mask(found: re.Match[str]) -> str:
    """Blanks for a comment; a string is one thing, line ends and all."""
    if found["comment"] is not None:
        return _NEWLINE.sub(" ", found[0])
    return _STRING * len(found[0])


def _definitions(masked: str, language: Language) -> Iterator[_Definition]:
    assert language.defined is not None
    for found in islice(language.defined.finditer(masked), _MOST):
        title = " ".join(found["title"].split())
        yield _Definition(found.start(), found.end("title"), title)


def _with_above(text: str, start: int, floor: int, language: Language) -> int:
    """Where the comments and decorators right above a definition begin, not before `floor`."""
    at, depth = start, 0
    for _ in range(_MOST_ABOVE if language.above else 0):
        above = text.rfind("\n", 0, max(at - 1, 0)) + 1
        line = text[above:at].strip()
        depth += sum(map(line.count, ")]")) - sum(map(line.count, "(["))
        belongs = line.startswith(language.above)
        if not floor <= above < at or (depth <= 0 and not belongs):
            break
        at = above
        if belongs:
            start, depth = at, 0
    return start


def _by_braces(
    masked: str, found: Sequence[_Definition], language: Language
) -> Iterator[tuple[_Definition, int]]:
    """Definitions that have a body, to the brace that closes it."""
    known = {each.start: each for each in found}
    called = _calls(masked) if language.bare else ()
    named = {each.start: each for each in called} | known
    closed, around = _braces(masked, sorted(named))
    types = set[int | None]([None])  # where functions may be defined without a keyword
    for start in sorted(named):
        body = _body(masked, named[start])
        # What looks like a function in a function is a call, or a macro that makes a loop.
        if body is None or not (start in known or around[start] in types):
            continue
        if _HOLDS_FUNCTIONS.match(named[start].title):
            types.add(body)
        yield named[start], closed.get(body, len(masked))


def _calls(masked: str) -> Iterator[_Definition]:
    """Lines that may be the first of a function: "int main(", "Stack<T>::push("."""
    for line in islice(_CALL.finditer(masked), _MOST):
        name = _NAME.search(line["head"])
        types = line["head"][: name.start()] if name else ""
        words = {name["title"], types.split()[0] if types.strip() else ""} if name else _NOT_NAMES
        if name and not words & _NOT_NAMES and _TYPES.fullmatch(types):
            yield _Definition(line.start(), line.end() - 1, name["title"])


def _braces(masked: str, starts: Sequence[int]) -> tuple[dict[int, int], dict[int, int | None]]:
    """Where each brace is closed, and which is the innermost that is open at each of `starts`."""
    closed, around = dict[int, int](), dict[int, int | None]()
    still, waiting = list[int](), iter([*starts, len(masked)])
    start = next(waiting)
    for brace in _BRACE.finditer(masked):
        while start < brace.start():
            around[start] = still[-1] if still else None
            start = next(waiting)
        if brace[0] == "{":
            still.append(brace.start())
        elif still:
            closed[still.pop()] = brace.end()
    return closed, around | {each: still[-1] if still else None for each in (start, *waiting)}


def _body(masked: str, definition: _Definition) -> int | None:
    """Where the brace is that opens the body; None if there is none."""
    at, depth = definition.named, 0
    indent = _indent(masked, definition.start)
    for stop in _STOP.finditer(masked, at, at + _LONGEST_HEADER):
        letter = stop[0][0]
        depth += (letter in "([") - (letter in ")]")
        if not 0 <= depth <= _DEEPEST_HEADER:
            return None
        if letter == "{" and not depth:
            is_value = definition.title.startswith(_VALUES)
            return stop.start() if not is_value or _ARROW.search(masked, at, stop.start()) else None
        if not depth and (letter in "};" or (letter == "\n" and len(stop[0]) - 1 <= indent)):
            return None
    return None


def _by_indent(
    masked: str, found: Sequence[_Definition], language: Language
) -> Iterator[tuple[_Definition, int]]:
    """Definitions to the next line that is indented no deeper, in the order of their ends."""
    starts = {each.start: each for each in found}
    around: list[tuple[int, _Definition]] = []
    ended: list[tuple[_Definition, int]] = []
    last, depth = 0, 0
    # Where braces hold bodies, what stands between them is lines of their own.
    opening, shutting = ("([", ")]") if "}" in language.closing else ("([{", ")]}")
    for line in _LINE.finditer(masked):
        words = line[0].lstrip()
        if not words:
            continue
        here, end = starts.get(line.start()), line.start() + len(line[0].rstrip())
        if here or depth <= 0:
            depth, indent = 0, _indent(masked, line.start())
            closes = words.startswith(language.closing) if language.closing else False
            while around and around[-1][0] >= indent:
                is_closed = closes and around[-1][0] == indent
                ended.append((around.pop()[1], end if is_closed else last))
            if here:
                around.append((indent, here))
        depth += sum(map(line[0].count, opening)) - sum(map(line[0].count, shutting))
        last = end
    ended += ((each, last) for _, each in around)
    yield from sorted(ended)


def _by_statement(
    masked: str, found: Sequence[_Definition], language: Language
) -> Iterator[tuple[_Definition, int]]:
    """Definitions to the semicolon that ends them, or to the last END where they have a BEGIN."""
    nexts = [*(each.start for each in found[1:]), len(masked)]
    for each, limit in zip(found, nexts, strict=False):
        end = masked.find(";", each.named, limit) + 1 or limit
        if _BEGIN.search(masked, each.named, end):
            end = max(
                (last.end() for last in _END.finditer(masked, each.named, limit)), default=end
            )
        yield each, each.start + len(masked[each.start : end].rstrip())


def _indent(masked: str, start: int) -> int:
    """How far the line at `start` is indented; a tab counts as one."""
    line = _BLANKS.match(masked, start)
    return len(line[0]) if line else 0


_ENDS = {"braces": _by_braces, "indent": _by_indent, "statement": _by_statement}
