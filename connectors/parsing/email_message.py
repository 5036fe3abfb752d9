"""Mail: who wrote what to whom, and what was attached."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC
from email import message_from_bytes
from email.message import Message
from email.utils import getaddresses, parsedate_to_datetime
from pathlib import PurePosixPath
from typing import Any

from connectors.parsing import html
from connectors.parsing.base import Parsed
from connectors.parsing.text import decode
from rag.errors import DocumentError
from rag.spans import Span
from rag.types import Section

__all__ = ["PARSER_VERSION", "parse"]

PARSER_VERSION = f"mail-1/{html.PARSER_VERSION}"

_SHOWN = ("From", "To", "Cc", "Date", "Subject")
_MOST_ATTACHMENTS = 100
_MOST_BYTES = 64 * 2**20  # of all attachments that are read
_DEEPEST = 2  # mails in mails
_MOST_PARTS = 500
_LONGEST_HEADER, _LONGEST_BELOW = 10_000, 500  # characters, of the mail and of its parts
_LONGEST_FACT = 1_000  # characters
_GAP = "\n\n"


def parse(data: bytes) -> Parsed:
    """Headers, body, attachments; each attachment of a known format is a section of its own.

    The plain body is read where there is one, otherwise the HTML. A mail that is attached is read
    like an attachment, two deep. The title is the subject; `meta` has `from`, `to`, `date` (ISO,
    UTC), `message_id`, `attachments` and `unread`, those whose text could not be had.

    Raises:
        DocumentError: it is no mail, or says nothing.
    """
    # Read as the library always did: the newer policy parses each header by a grammar, and takes
    # minutes for those of a hostile mail.
    message = message_from_bytes(data)
    if not message.keys():
        raise DocumentError("not a mail: it has no headers")
    _shorten(message)
    written = _Written()
    _write(written, message, 0)
    text = written.text
    return Parsed(
        text,
        title=_header(message, "Subject"),
        sections=tuple(sorted(written.sections, key=lambda each: (each.span.start, each.level))),
        meta=_facts(message, written),
    )


def _shorten(message: Message) -> None:
    """Take off what costs more than it says: endless headers, endless parts."""
    stack, seen = [message], 0
    while stack:
        part = stack.pop()
        longest = _LONGEST_HEADER if part is message else _LONGEST_BELOW
        for name in {name for name, value in part.raw_items() if len(str(value)) > longest}:
            del part[name]
        below = part.get_payload()
        if isinstance(below, list):
            del below[max(_MOST_PARTS - seen, 0) :]
            seen += len(below)
            stack += _messages(below)


@dataclass(slots=True)
class _Written:
    """What was written so far."""

    pieces: list[str] = field(default_factory=list)
    sections: list[Section] = field(default_factory=list)
    attached: list[str] = field(default_factory=list)
    unread: list[str] = field(default_factory=list)
    length: int = 0
    bytes_left: int = _MOST_BYTES

    @property
    def text(self) -> str:
        return _GAP.join(self.pieces)

    def add(self, parsed: Parsed, title: str = "") -> None:
        """A block, with its sections; below one of its own where it has a title."""
        if not parsed.text.strip():
            return
        text = f"{title}\n{parsed.text}" if title else parsed.text
        at = self.length + (len(_GAP) if self.pieces else 0)
        start = at + len(text) - len(parsed.text)
        if title:
            self.sections.append(Section(Span(at, at + len(text)), title, 1))
        below = 1 if title else 0
        self.sections += (
            replace(each, span=each.span.shift(start), level=each.level + below)
            for each in parsed.sections
        )
        self.pieces.append(text)
        self.length = at + len(text)


def _write(written: _Written, message: Message, depth: int) -> None:
    lines = [f"{name}: {value}" for name in _SHOWN if (value := _shown(message, name))]
    written.add(Parsed("\n".join(lines)))
    body = _body(message)
    if body is not None:
        with suppress(DocumentError):  # a body that is rubbish does not hide the rest
            written.add(_parsed_body(body))
    parts = list(_attachments(message, body))[:_MOST_ATTACHMENTS]
    if names := [_name(part) for part in parts]:
        written.attached += names
        written.add(Parsed(f"Attachments: {', '.join(names)}"))
    for part, name in zip(parts, names, strict=True):
        if not _write_attachment(written, part, name, depth):
            written.unread.append(name)


def _write_attachment(written: _Written, part: Message, name: str, depth: int) -> bool:
    """Whether its text could be had."""
    if part.get_content_type() == "message/rfc822":
        inner = part.get_payload()
        mails = _messages(inner) if isinstance(inner, list) else []
        if depth >= _DEEPEST or not mails:
            return False
        own = _Written(bytes_left=written.bytes_left)
        _write(own, mails[0], depth + 1)
        written.bytes_left = own.bytes_left
        sections = tuple(sorted(own.sections, key=lambda each: (each.span.start, each.level)))
        written.add(Parsed(own.text, sections=sections), title=name)
        return True
    from connectors.parsing.formats import FORMATS  # which knows this format, too

    known = FORMATS.get(PurePosixPath(name).suffix.lower())
    payload = _payload(part)
    written.bytes_left -= len(payload)
    if known is None or known.parse is parse or written.bytes_left < 0:
        return False
    try:
        parsed = known.read(payload)
    except DocumentError:
        return False
    written.add(parsed, title=name)
    return True


def _body(message: Message) -> Message | None:
    """The part that is read first: plain where there is one, otherwise HTML."""
    if not message.is_multipart():
        return message  # whatever it says it is, or was to have more parts
    found: dict[str, Message] = {}
    for part in _parts(message):
        disposition = str(part.get("content-disposition", "")).strip().lower()
        if not part.is_multipart() and not disposition.startswith("attachment"):
            found.setdefault(part.get_content_type(), part)
    # Not by `or`: a part without headers counts as false.
    return found["text/plain"] if "text/plain" in found else found.get("text/html")


def _parsed_body(body: Message) -> Parsed:
    charset = body.get_content_charset()
    text = decode(_payload(body), charset).replace("\r\n", "\n").strip()
    if body.get_content_type() == "text/html":
        return html.parse(text.encode("utf-8", "replace"))
    return Parsed(text)


def _attachments(message: Message, body: Message | None) -> Iterator[Message]:
    """Every part with a name or a mail in it, in order; what is inside an attached mail is its."""
    for part in _parts(message):
        is_mail = part.get_content_type() == "message/rfc822"
        if part is not body and (is_mail or (not part.is_multipart() and _filename(part))):
            yield part


def _parts(message: Message) -> Iterator[Message]:
    """What is below a mail, in order, without what is in mails that are attached."""
    stack: list[Message] = [message]
    while stack:
        part = stack.pop()
        if part is not message:
            yield part
        below = part.get_payload()
        is_mail = part.get_content_type() == "message/rfc822" and part is not message
        if isinstance(below, list) and not is_mail:
            stack += reversed(_messages(below))


def _messages(below: list[Any]) -> list[Message]:
    return [each for each in below if isinstance(each, Message)]


def _payload(part: Message) -> bytes:
    found = part.get_payload(decode=True)
    return found if isinstance(found, bytes) else b""


def _filename(part: Message) -> str:
    try:
        found = part.get_filename()
    except (AttributeError, IndexError, LookupError, TypeError, ValueError):
        return ""
    # A name, not a path: whatever a sender put before the last slash.
    return " ".join((found or "").replace("\\", "/").rsplit("/", 1)[-1].split())[:200]


def _name(part: Message) -> str:
    kind = "mail" if part.get_content_type() == "message/rfc822" else "attachment"
    return _filename(part) or kind


def _header(message: Message, name: str) -> str:
    """A header on one line; "" where it is missing."""
    value = str(message.get(name) or "")
    return " ".join(value.encode("utf-8", "replace").decode("utf-8").split())


def _shown(message: Message, name: str) -> str:
    return _date(message) if name == "Date" else _header(message, name)


def _date(message: Message) -> str:
    """When it was written, ISO in UTC; "" where nobody can say."""
    try:
        found = parsedate_to_datetime(_header(message, "Date"))
    except (IndexError, OverflowError, TypeError, ValueError):
        return ""
    aware = found if found.tzinfo else found.replace(tzinfo=UTC)
    with suppress(OverflowError):
        aware = aware.astimezone(UTC)
    return aware.isoformat().replace("+00:00", "Z")


def _facts(message: Message, written: _Written) -> dict[str, Any]:
    sender, to = _addresses(message, "From"), _addresses(message, "To")
    facts: dict[str, Any] = {
        "from": sender[0] if sender else "",
        "to": to,
        "date": _date(message),
        "message_id": _header(message, "Message-ID"),
        "attachments": written.attached,
        "unread": written.unread,
    }
    return {name: _short(value) for name, value in facts.items() if value}


def _addresses(message: Message, name: str) -> list[str]:
    with suppress(RecursionError):  # thousands of brackets
        return [address for _, address in getaddresses([_header(message, name)]) if address]
    return []


def _short(value: str | list[str]) -> str | list[str]:
    """As much of a fact as a store holds."""
    if isinstance(value, str):
        return value[:_LONGEST_FACT]
    kept: list[str] = []
    for each in value:
        if sum(map(len, kept)) + len(each) > _LONGEST_FACT:
            break
        kept.append(each)
    return kept
