"""A connector of your own: every mail of an mbox archive becomes a document.

    python examples/connector.py

Put into a package whose pyproject.toml says

    [project.entry-points."spanrag.connectors"]
    mbox = "your_package.mail:open_mbox"

it reads such sources wherever spanrag runs: rag ingest mbox:archive.mbox#most=500
"""

from __future__ import annotations

import mailbox
import tempfile
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from email.header import decode_header, make_header
from email.message import Message
from pathlib import Path

from connectors.base import Access, Connector, SourceRef
from connectors.options import read_options
from rag.errors import DocumentError, SourceError, UsageError
from rag.ids import digest
from rag.types import Document


@dataclass(frozen=True)
class MboxOptions:
    """What may stand behind the "#": its name, type and default are checked for you."""

    most: int = 10_000


def open_mbox(place: str, options: Mapping[str, str], access: Access) -> Connector:
    """What the entry point names; `access` matters to who asks servers."""
    return MboxConnector(place, read_options(MboxOptions, options, "mbox"))


class MboxConnector:
    """Lists and reads the mails of one archive. A mail's Message-ID is its key."""

    def __init__(self, path: str, options: MboxOptions) -> None:
        self._path = path
        self._most = options.most

    @property
    def namespace(self) -> str:
        """Keys need be unique in it only: in this archive."""
        return f"mbox:{Path(self._path).absolute()}"

    def list(self) -> list[SourceRef]:
        """All mails, or an error: what a listing lacks counts as deleted."""
        if not Path(self._path).is_file():
            raise UsageError(f"no such archive: {self._path}", hint="check the path")
        mails = self._mails()
        if len(mails) > self._most:
            raise SourceError(f"{self._path}: over {self._most} mails", hint="raise most=")
        return [
            SourceRef(
                key,
                source=f"{self._path}/{key}",  # what a citation shows
                name=_words(mail, "Subject"),
                fingerprint=digest(mail.as_string()),  # changes whenever the mail may have
            )
            for key, mail in mails.items()
        ]

    def covers(self, key: str) -> bool:
        """The whole namespace is listed, so a key that is not there is a deleted mail."""
        return True

    def fetch(self, ref: SourceRef) -> Document:
        """One mail. Its text is what citations point into, so it is taken as it stands."""
        mail = self._mails().get(ref.key)
        if mail is None:
            raise DocumentError("gone from the archive", hint="run this again")
        payload = mail.get_payload(decode=True)
        if not isinstance(payload, bytes):
            raise DocumentError("a mail of several parts", hint="this example reads plain ones")
        return Document(
            self.namespace,
            ref.key,
            ref.source,
            ref.name,
            text=payload.decode("utf-8", "replace"),
            title=_words(mail, "Subject"),
            meta={"from": _words(mail, "From")},  # to filter by
            fingerprint=ref.fingerprint,
        )

    def _mails(self) -> dict[str, Message]:
        with closing(mailbox.mbox(self._path, create=False)) as box:
            return {_words(mail, "Message-ID"): mail for mail in box}


def _words(mail: Message, header: str) -> str:
    return str(make_header(decode_header(mail.get(header, ""))))


def main() -> None:
    """List and read an archive of two mails, as `rag ingest` would."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "archive.mbox"
        path.write_text(
            "From ana\nMessage-ID: <1@example.org>\nFrom: ana@example.org\n"
            "Subject: Lunch\n\nNoodles at noon?\n\n"
            "From bo\nMessage-ID: <2@example.org>\nFrom: bo@example.org\n"
            "Subject: Re: Lunch\n\nMake it one.\n\n"
        )
        connector = open_mbox(str(path), {"most": "100"}, Access())
        for ref in connector.list():
            mail = connector.fetch(ref)
            print(f"{ref.key} {mail.title}: from {mail.meta['from']}: {mail.text!r}")


if __name__ == "__main__":
    main()
