from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path

import pypdfium2 as pdfium
import pytest
from reportlab.lib.utils import ImageReader
from reportlab.pdfgen.canvas import Canvas

from connectors.parsing import pdf
from connectors.parsing.pdf import parse
from rag.errors import DocumentError
from rag.spans import Span

MakePdf = Callable[..., bytes]
PIXEL = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108020000009077"
    "53de0000000c49444154789c63f8cfc0000003010100c9fe92ef0000000049454e44ae426082"
)


def scan(*captions: str) -> bytes:
    """A PDF of pages that are an image each, with a caption where there is one."""
    buffer = BytesIO()
    canvas = Canvas(buffer)
    for caption in captions:
        canvas.drawImage(ImageReader(BytesIO(PIXEL)), 0, 0, 500, 500)
        canvas.drawString(72, 700, caption)
        canvas.showPage()
    canvas.save()
    return buffer.getvalue()


def test_pages_are_joined_by_form_feeds_and_found_by_their_offsets(make_pdf: MakePdf) -> None:
    parsed = parse(make_pdf(["First page", "two lines"], [], ["Third page"]))
    assert parsed.text == "First page\ntwo lines\n\f\n\fThird page"
    assert parsed.pages == (0, 22, 24)
    assert parsed.text[parsed.pages[2] :] == "Third page"
    assert parsed.sections == ()


def test_a_blank_last_page_keeps_its_number(make_pdf: MakePdf) -> None:
    parsed = parse(make_pdf(["one"], []))
    assert (parsed.text, parsed.pages) == ("one\n\f", (0, 5))


def test_the_outline_gives_sections_from_their_pages_on(make_pdf: MakePdf) -> None:
    outline = (("Part I", 0, 0), ("Item 1", 1, 1), ("Item 2", 1, 2), ("Part II", 0, 3))
    parsed = parse(make_pdf(["a"], ["b"], ["c"], ["d"], outline=outline))
    assert [(s.title, s.level, s.span) for s in parsed.sections] == [
        ("Part I", 1, Span(0, 9)),
        ("Item 1", 2, Span(3, 6)),
        ("Item 2", 2, Span(6, 9)),
        ("Part II", 1, Span(9, 10)),
    ]


@pytest.mark.parametrize(
    ("title", "shown"),
    [
        ("Annual report 2023", "Annual report 2023"),
        ("0000764478-23-000006", ""),
        ("Microsoft Word - Q4 release.docx", ""),
        ("10-K", ""),
        ("untitled", ""),
        ("12 34", ""),
    ],
)
def test_only_a_title_of_words_is_one(make_pdf: MakePdf, title: str, shown: str) -> None:
    assert parse(make_pdf(["x"], title=title)).title == shown


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"not a PDF at all", "damaged PDF: .*format"),
        (b"%PDF-1.7\n1 0 obj", "damaged PDF: "),
    ],
)
def test_a_damaged_file_says_so(data: bytes, reason: str) -> None:
    with pytest.raises(DocumentError, match=f"^{reason}"):
        parse(data)


def test_a_cut_off_file_says_so(make_pdf: MakePdf) -> None:
    whole = make_pdf(["words"])
    with pytest.raises(DocumentError, match=r"^damaged PDF: "):
        parse(whole[: len(whole) // 3])


def test_a_password_is_asked_for_in_plain_words(make_pdf: MakePdf) -> None:
    with pytest.raises(DocumentError, match=r"^password-protected PDF"):
        parse(make_pdf(["secret"], password="open sesame"))


def test_a_pdf_without_pages() -> None:
    buffer = BytesIO()
    empty = pdfium.PdfDocument.new()
    empty.save(buffer)
    empty.close()
    with pytest.raises(DocumentError, match=r"^PDF has no pages"):
        parse(buffer.getvalue())


@pytest.fixture
def without_ocr(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("connectors.parsing.ocr.available", lambda: False)


@pytest.mark.usefixtures("without_ocr")
def test_scans_and_blank_pages_are_told_apart(make_pdf: MakePdf) -> None:
    with pytest.raises(DocumentError, match=r"^no text in PDF: 2 pages of images \(OCR") as caught:
        parse(scan("", ""))
    assert "pip install 'spanrag[ocr]'" in caught.value.hint
    with pytest.raises(DocumentError, match=r"^empty PDF: neither text nor images \(1 page\)"):
        parse(make_pdf([]))


@pytest.mark.usefixtures("without_ocr")
def test_scanned_pages_among_others_are_counted() -> None:
    assert parse(scan("words", "", "")).meta["pages_without_text"] == 2
    assert "pages_without_text" not in parse(scan("words")).meta


def test_words_hyphenated_at_a_line_end_keep_their_hyphen(make_pdf: MakePdf) -> None:
    assert (
        parse(make_pdf(["working full-", "time from home"])).text == "working full-time from home"
    )


def test_pdfium_is_never_entered_by_two_threads(make_pdf: MakePdf) -> None:
    with ThreadPoolExecutor(1) as pool:
        with pdf._PDFIUM:
            reading = pool.submit(parse, make_pdf(["words"]))
            with pytest.raises(TimeoutError):
                reading.result(timeout=0.2)
        assert reading.result().text == "words"


def test_threads_take_turns(make_pdf: MakePdf) -> None:
    files = [make_pdf([f"file {number}"] * 20) for number in range(8)]
    with ThreadPoolExecutor(4) as pool:
        for number, parsed in enumerate(pool.map(parse, files * 4)):
            assert parsed.text.startswith(f"file {number % 8}\n")


@pytest.mark.parametrize(
    ("name", "pages", "words"),
    [
        ("BESTBUY_2023_10K.pdf", 75, "curbside pick-up"),
        ("BOEING_2022_10K.pdf", 190, "VC-25B Presidential Air"),
        ("ULTABEAUTY_2023Q4_EARNINGS.pdf", 9, "Comparable Sales Increased 15.6%"),
    ],
)
def test_real_filings(shared: Path, name: str, pages: int, words: str) -> None:
    parsed = parse((shared / "pdf" / name).read_bytes())
    assert len(parsed.pages) == pages == parsed.text.count("\f") + 1
    assert words in parsed.text
    assert not {c for c in parsed.text if ord(c) < 32} - {"\n", "\f"}
    assert all(parsed.text[start - 1] == "\f" for start in parsed.pages[1:])
    assert "0000" not in parsed.title


def test_real_filings_read_as_another_reader_reads_them(shared: Path) -> None:
    folder = shared / "financebench" / "corpora" / "financebench"
    for path in sorted((shared / "pdf").glob("*.pdf")):
        ours = parse(path.read_bytes()).text.split("\f")
        theirs = (folder / f"{path.stem}.txt").read_text(encoding="utf-8").split("\f")
        missing = [
            sum(word not in mine for word in other.split())
            for mine, other in zip(map(set, map(str.split, ours)), theirs, strict=True)
        ]
        assert sum(missing) < 0.02 * len(" ".join(theirs).split())


def test_running_heads_and_feet_are_left_out_and_offsets_hold() -> None:
    words = ("apple", "birch", "cedar", "dogwood", "elm")
    buffer = BytesIO()
    canvas = Canvas(buffer)
    for number, word in enumerate(words, start=1):
        canvas.drawString(72, 800, "Grove Holdings annual report")
        canvas.drawString(72, 700, f"{word} text of its own")
        canvas.bookmarkHorizontal(word, 0, 660)
        canvas.addOutlineEntry(f"About {word}", word)
        canvas.drawString(72, 640, f"Heading {word}")
        canvas.drawString(72, 40, f"Page {number} of 5")
        canvas.showPage()
    canvas.save()
    parsed = parse(buffer.getvalue())
    assert "Grove" not in parsed.text
    assert "Page" not in parsed.text
    pages = parsed.text.split("\f")
    assert [page.split()[0] for page in pages] == list(words)
    assert [parsed.text[start:].split()[0] for start in parsed.pages] == list(words)
    # An outline entry that names a height starts its section there, not at the page's top.
    for section, word in zip(parsed.sections, words, strict=True):
        assert section.title == f"About {word}"
        assert section.span.text_in(parsed.text).startswith(f"Heading {word}")
