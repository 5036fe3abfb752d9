from __future__ import annotations

from pathlib import Path

import pytest

from connectors.edgar.reading import cover_facts
from connectors.edgar.submission import is_submission, read_submission

DATA = Path(__file__).parents[3] / "data" / "edgar"


def test_a_submission_taken_apart() -> None:
    data = (DATA / "0000320193-96-000027.txt").read_bytes()
    assert is_submission(data)
    submission = read_submission(data)
    assert submission.header["CONFORMED-NAME"] == "APPLE COMPUTER INC"
    assert submission.header["TYPE"] == "8-K"
    assert [document.type for document in submission.documents] == ["8-K", "EX-99"]
    assert submission.main is submission.documents[0]
    assert b"</TEXT>" not in submission.documents[1].body


def test_a_document_cut_out_of_one() -> None:
    data = (DATA / "a04-7804_18k.htm").read_bytes()
    assert is_submission(data)
    (document,) = read_submission(data).documents
    assert (document.type, document.name) == ("8-K", "a04-7804_18k.htm")


def test_the_main_document_is_that_of_the_filings_type() -> None:
    data = (
        b"<SEC-DOCUMENT>\n<SEC-HEADER>\n<TYPE>10-K\n</SEC-HEADER>\n"
        b"<DOCUMENT>\n<TYPE>COVER\n<TEXT>\ncover\n</TEXT>\n</DOCUMENT>\n"
        b"<DOCUMENT>\n<TYPE>10-K\n<FILENAME>a.htm\n<TEXT>\nmain\n</TEXT>\n"
    )
    main = read_submission(data).main
    assert main is not None
    assert (main.type, main.name, main.body.strip()) == ("10-K", "a.htm", b"main")


@pytest.mark.parametrize("data", [b"", b"<html>", b"Text about <SEC-DOCUMENT>", b"<DOCUMENT>x"])
def test_what_is_none(data: bytes) -> None:
    assert not is_submission(data)


@pytest.mark.parametrize(
    "data", [b"<SEC-DOCUMENT>", b"<DOCUMENT>" * 20_000, b"<SEC-DOCUMENT>" + b"<TEXT>" * 20_000]
)
def test_damaged_ones_have_what_is_left(data: bytes) -> None:
    assert read_submission(data).documents == ()


def test_facts_of_a_cover_page() -> None:
    data = (
        b'<ix:nonNumeric contextRef="c" name="dei:EntityRegistrantName" id="f">Ben &amp; '
        b"<b>Co</b>\n</ix:nonNumeric>"
        b'<ix:nonNumeric name="dei:DocumentFiscalYearFocus">2023</ix:nonNumeric>'
        b'<ix:nonNumeric name="dei:DocumentType">' + b"x" * 999 + b"</ix:nonNumeric>"
    )
    assert cover_facts(data) == {"company": "Ben & Co", "fiscal_year": 2023}
    assert cover_facts(b'name="dei:DocumentFiscalYearFocus">soon</ix:nonNumeric>') == {}
    assert cover_facts(b"") == {}
