"""Where bundles are: a file, a folder of them, an address of the web."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Protocol

from connectors.attack.bundle import Bundle, read_bundle
from connectors.base import Access
from connectors.net.address import parse_address, without_user
from connectors.net.client import Client, RequestFailed, Response
from connectors.walk import Found, walk
from rag.errors import DocumentError, SourceError, UsageError

__all__ = ["BundleAddress", "BundleFiles", "Part", "Place", "ask", "read_answer"]

_PASSING = frozenset({0, 408, 425, 429})


@dataclass(frozen=True, slots=True)
class Part:
    """One file or answer: where it was read, and what is in it or why that is not known."""

    where: str
    bundle: Bundle | None = field(default=None, repr=False)
    problem: DocumentError | None = None


class Place(Protocol):
    """Where objects come from."""

    @property
    def name(self) -> str:
        """What it is known by: an absolute path, or an address without its login."""

    def parts(self) -> Iterator[Part]:
        """All that is there, in a stable order.

        Raises:
            UsageError: it is not there, or too large.
            SourceError: it cannot be read now.
        """


class BundleFiles:
    """A file of JSON, or all below a folder, hidden ones aside.

    Args:
        path: the file or folder.
        most_bytes: how long they may be together.
    """

    def __init__(self, path: str, most_bytes: int) -> None:
        self._given, self._most = path, most_bytes
        self._root = os.path.abspath(os.path.expanduser(path))

    @property
    def name(self) -> str:
        """The absolute path."""
        return self._root.encode("utf-8", "backslashreplace").decode()

    def parts(self) -> Iterator[Part]:
        """The files, by name; one that is no bundle is a problem of its own."""
        if not os.path.exists(self._root):
            raise UsageError(f"no such file or folder: {self._given}", hint="check the path")
        if not os.path.isdir(self._root) and not os.path.isfile(self._root):
            raise UsageError(f"neither a file nor a folder: {self._given}")
        try:
            found = self._found()
        except OSError as error:
            raise UsageError(f"cannot read {error.filename}: {error.strerror}") from error
        if not found:
            raise UsageError(f"{self._given}: no .json files", hint="check the path")
        room = self._most - sum(each.stat.st_size for each in found if each.stat)
        if room < 0:
            raise UsageError(
                f"{self._given}: over {self._most >> 20:,} MB of JSON",
                hint="name a folder with less in it",
            )
        for each in found:
            yield self._part(each)

    def _found(self) -> list[Found]:
        if os.path.isdir(self._root):
            return sorted(walk(self._root, _is_wanted), key=lambda each: each.name)
        return [Found("", os.stat(self._root))]

    def _part(self, found: Found) -> Part:
        where = os.path.join(self._given, found.name) if found.name else self._given
        where = where.encode("utf-8", "backslashreplace").decode()  # names that are not UTF-8
        if found.problem is not None:
            return Part(where, problem=found.problem)
        try:
            with open(os.path.join(self._root, found.name).rstrip("/"), "rb") as file:
                # It may grow while it is read.
                data = file.read(self._most + 1)
            return Part(where, read_bundle(data[: self._most]))
        except OSError as error:
            return Part(where, problem=DocumentError(f"cannot be read: {error.strerror}"))
        except DocumentError as error:
            return Part(where, problem=error)


class BundleAddress:
    """A bundle on a web server.

    Args:
        address: its http or https address; a login in it is sent, and shown nowhere.
        access: how the server is asked.

    Raises:
        UsageError: the address is malformed.
    """

    def __init__(self, address: str, access: Access) -> None:
        self._address = str(parse_address(address))
        self.name = str(without_user(parse_address(address)).copy_with(fragment=None))
        self._access = access

    def parts(self) -> Iterator[Part]:
        """The one bundle."""
        with Client(self._access) as client:
            answer = ask(client, self._address, {"Accept": "application/json, */*;q=0.5"})
        yield Part(self.name, read_answer(answer, self.name))


def ask(
    client: Client,
    address: str,
    headers: dict[str, str],
    params: dict[str, str] | None = None,
    most_bytes: int | None = None,
) -> Response:
    """What a server answers, its refusals told apart from failures that may pass.

    Raises:
        UsageError: it refuses, or may not be asked.
        SourceError: it does not answer now.
    """
    try:
        return client.get(address, headers=headers, params=params, most_bytes=most_bytes)
    except RequestFailed as error:
        if 400 <= error.status < 500 and error.status not in _PASSING:
            hint = error.hint or "check the address, and the login if it needs one"
            raise UsageError(error.message, hint=hint) from None
        raise SourceError(error.message, hint=error.hint) from None
    except DocumentError as error:
        raise UsageError(error.message, hint=error.hint) from None


def read_answer(answer: Response, where: str, *, enveloped: bool = False) -> Bundle:
    """The objects that a server sent.

    Raises:
        SourceError: it sent something else.
    """
    try:
        return read_bundle(answer.content, enveloped=enveloped)
    except DocumentError as error:
        raise SourceError(f"{where}: {error.message}") from error


def _is_wanted(name: str, folder: bool) -> bool:
    base = os.path.basename(name)
    return not base.startswith(".") and (folder or base.lower().endswith(".json"))
