"""Lists and fetches the objects of a bucket."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

from pathspec import GitIgnoreSpec

from connectors.base import Access, SourceRef
from connectors.options import read_options
from connectors.parsing.formats import FORMATS, parse
from connectors.s3.client import S3Options, make_client
from connectors.s3.errors import reading
from connectors.s3.objects import content_of, facts_of
from rag.errors import DocumentError, SourceError, UsageError
from rag.types import Document

__all__ = ["S3Connector", "open_s3"]

_Entry = Mapping[str, Any]  # an object as a listing has it

_MOST_KEYS = 5_000_000
_ARCHIVES = frozenset({"GLACIER", "DEEP_ARCHIVE"})
_AMAZON = re.compile(r"(^|\.)amazonaws\.com$")


def open_s3(place: str, options: Mapping[str, str], access: Access) -> S3Connector:
    """The connector for "s3://bucket/prefix#endpoint=...", or "s3:bucket/prefix".

    Raises:
        UsageError: there is no bucket in it, or an option is wrong.
        ExtraMissing: boto3 is not installed.
    """
    return S3Connector(place, read_options(S3Options, options, "s3"), access)


class S3Connector:
    """Lists and reads the objects below a prefix, the newest version of each.

    A prefix is a folder: "docs" holds "docs/a.md", and is not "docs2/a.md"; it may also be one
    object's key. It is taken as written: no percent-encoding, no wildcards. Hidden objects and
    folders (".git/"), folder markers ("docs/") and other formats are passed over.

    Credentials come from where boto3 looks for them, never from the source. The guard that keeps
    other connectors from private addresses does not stand here: only the endpoint is asked, which
    the user wrote or Amazon's; botocore follows no redirect to another host, at most it asks the
    same endpoint for another region.

    Args:
        place: "bucket/prefix", with "//" before it or not.
        options: how it is reached.
        access: time-outs, and the largest object.
        attempts: how often a request that fails in passing is made.
    """

    def __init__(
        self, place: str, options: S3Options, access: Access, *, attempts: int = 4
    ) -> None:
        self._bucket, _, self._prefix = place.removeprefix("//").partition("/")
        if not self._bucket:
            raise UsageError("no bucket in an s3: source", hint="write s3://bucket/prefix")
        if "@" in self._bucket:  # no bucket's name has one, and a login is not shown
            raise UsageError(
                "an s3: source with a login in it",
                hint="set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or name a profile",
            )
        self._folder = self._prefix
        if self._prefix and not self._prefix.endswith("/"):
            self._folder += "/"
        self._shown = f"s3://{self._bucket}/{self._prefix}"
        self._access = access
        self._ignore = _patterns(options.ignore)
        self._client = make_client(options, access, attempts)
        self._host = urlsplit(self._client.meta.endpoint_url).netloc

    @property
    def namespace(self) -> str:
        """The server; all of Amazon's are one, as no two of its buckets share a name."""
        return f"s3:{'aws' if _AMAZON.search(self._host) else self._host}"

    def list(self) -> Iterable[SourceRef]:
        """Every object of a known format, in the server's order.

        Raises:
            UsageError: there is no such bucket or prefix, or no right to list it.
            SourceError: the server does not answer, or not to the end.
        """
        seen = 0
        refs: list[SourceRef] = []
        for entry, name in self._entries():
            seen += 1
            if seen > _MOST_KEYS:
                raise SourceError(
                    f"{self._shown}: over {_MOST_KEYS:,} objects", hint="name a longer prefix"
                )
            alone = entry["Key"] == self._prefix != self._folder
            if alone and _suffix(name) not in FORMATS:
                raise UsageError(
                    f"{self._shown}: unknown format {_suffix(name) or '(no suffix)'}",
                    hint=f"known are {', '.join(FORMATS)}",
                )
            if alone or (_fits(name) and not self._ignore.match_file(name)):
                refs.append(self._ref(entry, name))
        if self._prefix and not seen:
            raise UsageError(f"nothing at {self._shown}", hint="check the prefix")
        return refs

    def covers(self, key: str) -> bool:
        """Whether "bucket/key" lies below the prefix; what `ignore` excludes does."""
        bucket, _, below = key.partition("/")
        if bucket != self._bucket:
            return False
        if below == self._prefix:
            return _suffix(below) in FORMATS
        return below.startswith(self._folder) and _fits(below.removeprefix(self._folder))

    def fetch(self, ref: SourceRef) -> Document:
        """Read and parse one object, as it was when it was listed.

        Raises:
            DocumentError: it cannot be read, has changed since or is gone.
        """
        if ref.problem is not None:
            raise ref.problem
        bucket, _, key = ref.key.partition("/")
        etag = ref.fingerprint.partition(" ")[0]
        asked = {"Bucket": bucket, "Key": key, **({"IfMatch": f'"{etag}"'} if etag else {})}
        with reading(ref.source, self._host, DocumentError, key=True):
            answer = self._client.get_object(**asked)
            data = content_of(answer, self._access)
        parsed = parse(data, _suffix(key))
        said = replace(parsed, meta={**parsed.meta, **facts_of(answer)})
        return said.as_document(ref, self.namespace)

    def _entries(self) -> Iterator[tuple[_Entry, str]]:
        """Every object at or below the prefix, and its name there."""
        where = {"Bucket": self._bucket, "OptionalObjectAttributes": ["RestoreStatus"]}
        with reading(self._shown, self._host, SourceError):
            if self._prefix != self._folder:
                # Sorted by key: an object of this very name is the first that begins with it.
                first = self._client.list_objects_v2(**where, Prefix=self._prefix, MaxKeys=1)
                for entry in self._contents(first, cut=True):
                    if entry["Key"] == self._prefix:
                        yield entry, posixpath.basename(self._prefix)
            pages = self._client.get_paginator("list_objects_v2")
            for page in pages.paginate(**where, Prefix=self._folder):
                for entry in self._contents(page):
                    if entry["Key"].startswith(self._folder):
                        yield entry, entry["Key"].removeprefix(self._folder)

    def _contents(
        self, page: Mapping[str, Any], *, cut: bool = False
    ) -> Sequence[Mapping[str, Any]]:
        """What is on one page.

        Raises:
            SourceError: it is no listing, or does not say how to go on: what it lacks would look
                deleted.
        """
        more = page.get("IsTruncated")
        if more is None or (more and not cut and not page.get("NextContinuationToken")):
            raise SourceError(
                f"{self._shown}: {self._host} does not answer as S3 does",
                hint="check the endpoint; it has to know ListObjectsV2",
            )
        contents: Sequence[_Entry] = page.get("Contents", [])
        return contents

    def _ref(self, entry: _Entry, name: str) -> SourceRef:
        key, problem = entry["Key"], None
        restored = entry.get("RestoreStatus", {}).get("RestoreExpiryDate")
        if entry.get("StorageClass") in _ARCHIVES and not restored:
            problem = DocumentError(
                f"archived in {entry['StorageClass']}", hint="restore it, or add it to ignore"
            )
        # The date too: new metadata of the same content has the same ETag.
        marks = (
            entry.get("ETag", "").strip('"'),
            str(entry.get("Size", "")),
            entry["LastModified"].isoformat() if "LastModified" in entry else "",
            FORMATS[_suffix(key)].version,
        )
        where = f"{self._bucket}/{key}"
        return SourceRef(where, f"s3://{where}", name, " ".join(marks), problem)


def _patterns(lines: tuple[str, ...]) -> GitIgnoreSpec:
    try:
        return GitIgnoreSpec.from_lines(lines)
    except (ValueError, re.error) as error:
        raise UsageError(
            f"option ignore of s3: {error}", hint="patterns are written as in a .gitignore file"
        ) from error


def _fits(name: str) -> bool:
    """Whether an object of this name below the prefix is neither hidden nor of another format."""
    return _suffix(name) in FORMATS and not any(part[:1] == "." for part in name.split("/"))


def _suffix(name: str) -> str:
    return posixpath.splitext(name)[1].lower()
