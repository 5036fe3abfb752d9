from __future__ import annotations

import struct
import tracemalloc
import zlib
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from zipfile import ZIP_BZIP2, ZIP_DEFLATED, ZipFile

import pytest

from connectors.parsing.zipped import Zipped
from rag.errors import DocumentError

Rezip = Callable[..., bytes]
MB = 2**20


def lying(name: str, content: bytes, says: int) -> bytes:
    """An archive whose one member is longer than its headers say, checksum and all."""
    buffer = BytesIO()
    with ZipFile(buffer, "w", ZIP_DEFLATED) as archive:
        archive.writestr(name, content)
    data = bytearray(buffer.getvalue())
    checksum = zlib.crc32(content[:says])
    directory = data.index(b"PK\x01\x02")
    struct.pack_into("<I", data, 14, checksum)
    struct.pack_into("<I", data, 22, says)
    struct.pack_into("<I", data, directory + 16, checksum)
    struct.pack_into("<I", data, directory + 24, says)
    return bytes(data)


def test_members_are_read_by_name(rezip: Rezip) -> None:
    archive = Zipped(rezip({"a.xml": b"one", "b/c.xml": b"two"}), "thing", most=MB)
    assert archive.names == ["a.xml", "b/c.xml"]
    assert archive.read("b/c.xml") == b"two"
    assert archive.head("a.xml") == b"one"
    assert "a.xml" in archive
    assert "c.xml" not in archive
    with pytest.raises(DocumentError, match=r"^damaged thing: no 'c.xml' in it$"):
        archive.read("c.xml")


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"%PDF-1.7 and so on", r"not a thing: it is a PDF; check the file's suffix"),
        (b"\xef\xbb\xbf \n<!DOCTYPE html><p>", "not a thing: it is HTML"),
        (b"<html><p>", "not a thing: it is HTML"),
        (b"{\\rtf1 x}", "not a thing: it is RTF"),
        (b"just words", "not a thing: it is plain text"),
        (b"\x00\x01\x02", "not a thing: it is something else, or damaged"),
        (b"PK\x03\x04 cut off", "damaged thing: File is not a zip file"),
        (bytes.fromhex("d0cf11e0a1b11ae1") + bytes(512), "not a thing: .*Office before 2007"),
        (
            bytes.fromhex("d0cf11e0a1b11ae1") + bytes(512) + "EncryptedPackage".encode("utf-16-le"),
            "password-protected thing; save a copy without a password",
        ),
    ],
)
def test_what_is_no_archive_is_called_by_its_name(data: bytes, reason: str) -> None:
    with pytest.raises(DocumentError, match=f"^{reason}"):
        Zipped(data, "thing", most=MB)


def test_a_member_that_grows_too_far_is_not_unpacked(rezip: Rezip) -> None:
    data = rezip({"bomb": bytes(40 * MB), "small": bytes(8 * MB)})
    assert len(data) < MB
    archive = Zipped(data, "thing", most=100 * MB)
    assert len(archive.read("small")) == 8 * MB
    tracemalloc.start()
    try:
        with pytest.raises(DocumentError, match="unpacks too far: 'bomb' grows over 200 times"):
            archive.read("bomb")
        assert tracemalloc.get_traced_memory()[1] < MB
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("says", [10, 100_000])
def test_a_member_that_lies_about_its_size_is_cut_to_it(says: int) -> None:
    archive = Zipped(lying("bomb", bytes(64 * MB), says), "thing", most=MB)
    tracemalloc.start()
    try:
        assert len(archive.read("bomb")) == says
        assert tracemalloc.get_traced_memory()[1] < 2 * MB
    finally:
        tracemalloc.stop()


def test_a_false_checksum_is_damage() -> None:
    data = bytearray(lying("x", b"some words", 10))
    data[data.index(b"PK\x01\x02") + 16] ^= 1
    with pytest.raises(DocumentError, match=r"^damaged thing: Bad CRC-32 for file 'x'"):
        Zipped(bytes(data), "thing", most=MB).read("x")


def test_all_that_is_read_is_counted_together(rezip: Rezip) -> None:
    archive = Zipped(rezip({"a": bytes(MB), "b": bytes(MB)}), "thing", most=2 * MB)
    archive.read("a")
    archive.read("b")
    with pytest.raises(DocumentError, match=r"^thing too large: over 2 MB of text parts"):
        archive.read("a")


def test_too_many_members_are_refused_before_they_are_listed(rezip: Rezip) -> None:
    data = rezip({f"{number}": b"" for number in range(10_001)})
    with pytest.raises(DocumentError, match=r"^too many files in thing: over 10,000"):
        Zipped(data, "thing", most=MB)


def test_a_directory_that_declares_too_much_is_refused() -> None:
    data = lying("x", b"words", 5)
    at = data.index(b"PK\x01\x02") + 24
    declared = data[:at] + struct.pack("<I", 2**31 + 1) + data[at + 4 :]
    with pytest.raises(DocumentError, match=r"^thing too large: unpacks to over 2 GB"):
        Zipped(declared, "thing", most=MB)


def test_ways_to_pack_that_unpack_unbounded_are_refused() -> None:
    buffer = BytesIO()
    with ZipFile(buffer, "w", ZIP_BZIP2) as archive:
        archive.writestr("x", bytes(MB))
    with pytest.raises(DocumentError, match=r"^damaged thing: 'x' is packed in a way"):
        Zipped(buffer.getvalue(), "thing", most=MB)


def test_an_encrypted_member_asks_for_a_copy_without_a_password() -> None:
    data = bytearray(lying("x", b"words", 5))
    data[data.index(b"PK\x01\x02") + 8] |= 1
    with pytest.raises(DocumentError, match=r"^password-protected thing; save a copy"):
        Zipped(bytes(data), "thing", most=MB)


def test_names_that_lead_out_are_only_names(
    rezip: Rezip, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inside = tmp_path / "inside"
    inside.mkdir()
    monkeypatch.chdir(inside)
    (tmp_path / "secret").write_text("from the disk")
    names = ["../secret", str(tmp_path / "secret"), "../made", "C:\\made"]
    archive = Zipped(rezip(dict.fromkeys(names, b"from the archive")), "thing", most=MB)
    for name in archive.names:
        assert archive.read(name) == b"from the archive"
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["inside", "secret"]


def test_a_name_of_several_lines_makes_a_message_of_one(rezip: Rezip) -> None:
    archive = Zipped(rezip({"a\nb": bytes(2 * MB)}), "thing", most=100 * MB)
    with pytest.raises(DocumentError) as caught:
        archive.read("c\nd")
    assert "\n" not in str(caught.value)
