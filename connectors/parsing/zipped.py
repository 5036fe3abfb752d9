"""Zip archives by strangers: every size is bounded while it is read, whatever the archive says."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from zipfile import ZIP_DEFLATED, ZIP_STORED, BadZipFile, ZipFile, ZipInfo

from rag.errors import DocumentError, first_line

__all__ = ["Zipped", "mistaken"]

_MOST_MEMBERS = 10_000
_MOST_DECLARED = 2 * 2**30  # bytes of all members together, as the directory says
_MOST_RATIO = 200  # prose and sheets pack 5 to 60 times; deflate can do 1,032
_SMALL = 16 * 2**20  # bytes up to which a member may pack as tight as it likes
_BLOCK = 1 << 16
_ENTRY = b"PK\x01\x02"  # begins each entry of the directory
_OLE = bytes.fromhex("d0cf11e0a1b11ae1")
_ENCRYPTED_OFFICE = "EncryptedPackage".encode("utf-16-le")
_METHODS = {ZIP_STORED, ZIP_DEFLATED}  # all that OPC and EPUB allow; others unpack unbounded
_KINDS = (
    (b"%pdf", "a PDF"),
    (b"{\\rtf", "RTF"),
    (b"<!doctype html", "HTML"),
    (b"<html", "HTML"),
    (b"<?xml", "XML"),
)


class Zipped:
    """The members of a zip archive, read into memory by name; nothing touches the file system.

    A member's name is only a key here: "../x" and "/etc/passwd" lead nowhere, and an archive in
    an archive is bytes. `zipfile`'s own `read` unpacks a member whole before it cuts it to the
    size that the directory declares, so libraries must not be handed a stranger's archive.

    Args:
        data: the archive.
        what: what it should be ("Word document"), for errors.
        most: bytes that may be read of it in all.
    """

    def __init__(self, data: bytes, what: str, *, most: int) -> None:
        self._what, self._most, self._left = what, most, most
        if not data.startswith(b"PK"):
            raise _no_zip(data, what)
        # `ZipFile` makes an object of each entry before anyone can count them.
        if data.count(_ENTRY) > _MOST_MEMBERS:
            raise DocumentError(f"too many files in {what}: over {_MOST_MEMBERS:,}")
        with self._damage():
            self._archive = ZipFile(BytesIO(data))
            self._members = {info.filename: info for info in self._archive.infolist()}
        for info in self._archive.infolist():
            self._check(info)
        if sum(info.file_size for info in self._archive.infolist()) > _MOST_DECLARED:
            raise DocumentError(f"{what} too large: unpacks to over {_MOST_DECLARED >> 30} GB")

    @property
    def names(self) -> list[str]:
        """The members' names, in the directory's order."""
        return list(self._members)

    def __contains__(self, name: object) -> bool:
        return name in self._members

    def head(self, name: str) -> bytes:
        """The first bytes of a member, up to 64 kB.

        Raises:
            DocumentError: it is damaged.
        """
        with self._damage(), self._archive.open(self._members[name]) as member:
            return member.read(_BLOCK)

    def read(self, name: str) -> bytes:
        """A member's bytes.

        Raises:
            DocumentError: it is damaged or not there, or with it too much was read.
        """
        info = self._members.get(name)
        if info is None:
            raise DocumentError(f"damaged {self._what}: no {name!r} in it")
        if info.file_size > max(_SMALL, _MOST_RATIO * info.compress_size):
            raise DocumentError(
                f"{self._what} unpacks too far: {name!r} grows over {_MOST_RATIO} times"
            )
        self._left -= info.file_size
        if self._left < 0:
            raise DocumentError(f"{self._what} too large: over {self._most >> 20} MB of text parts")
        # In blocks: one big read would unpack beyond the size declared, and cut only then.
        with self._damage(), self._archive.open(info) as member:
            return b"".join(iter(lambda: member.read(_BLOCK), b""))

    def _check(self, info: ZipInfo) -> None:
        if info.flag_bits & 0x1:
            raise _password(self._what)
        if info.compress_type not in _METHODS:
            raise DocumentError(
                f"damaged {self._what}: {info.filename!r} is packed in a way it may not be"
            )

    @contextmanager
    def _damage(self) -> Iterator[None]:
        try:
            yield
        except (
            BadZipFile, zlib.error, struct.error, EOFError, OSError, ValueError, RuntimeError
        ) as error:  # fmt: skip
            raise DocumentError(f"damaged {self._what}: {first_line(error)}") from error


def _no_zip(data: bytes, what: str) -> DocumentError:
    if data.startswith(_OLE):
        if _ENCRYPTED_OFFICE in data:
            return _password(what)
        return mistaken(what, "in the format of Office before 2007, or encrypted in its way")
    head = data[:1024].removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    kind = next((kind for mark, kind in _KINDS if head.startswith(mark)), "")
    if not kind:
        kind = "plain text" if _is_text(head) else "something else, or damaged"
    return mistaken(what, kind)


def mistaken(what: str, kind: str) -> DocumentError:
    """The error for a file that is `kind` and no `what`."""
    article = "an" if what[0] in "AEIOU" else "a"
    return DocumentError(f"not {article} {what}: it is {kind}", hint="check the file's suffix")


def _is_text(head: bytes) -> bool:
    return not any(byte < 9 or 13 < byte < 32 for byte in head)


def _password(what: str) -> DocumentError:
    return DocumentError(f"password-protected {what}", hint="save a copy without a password")
