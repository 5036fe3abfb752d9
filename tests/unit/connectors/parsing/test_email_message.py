from __future__ import annotations

from email.message import EmailMessage

import pytest

from connectors.parsing.formats import FORMATS
from rag.errors import DocumentError

parse = FORMATS[".eml"].read


def mail(body: str = "The plan is signed.", **headers: str) -> EmailMessage:
    made = EmailMessage()
    given = {
        "From": "Ann Lee <ann@example.org>",
        "To": "bo@example.org, Cy <cy@example.org>",
        "Subject": "The plan",
        "Date": "Tue, 05 Mar 2024 10:00:00 +0200",
        **headers,
    }
    for name, value in given.items():
        made[name] = value
    made.set_content(body)
    return made


def test_headers_body_and_what_can_be_filtered_by() -> None:
    parsed = parse(mail(**{"Message-ID": "<1@example.org>"}).as_bytes())
    assert parsed.text == (
        "From: Ann Lee <ann@example.org>\nTo: bo@example.org, Cy <cy@example.org>\n"
        "Date: 2024-03-05T08:00:00Z\nSubject: The plan\n\nThe plan is signed."
    )
    assert parsed.title == "The plan"
    assert parsed.meta == {
        "from": "ann@example.org",
        "to": ["bo@example.org", "cy@example.org"],
        "date": "2024-03-05T08:00:00Z",
        "message_id": "<1@example.org>",
    }


def test_the_plain_body_is_read_and_the_html_one_where_there_is_no_other() -> None:
    page = "<html><body><h1>Plan</h1><p>Signed <b>today</b>.</p><script>x()</script></body></html>"
    both = mail()
    both.add_alternative(page, subtype="html")
    assert "today" not in parse(both.as_bytes()).text
    only = mail()
    only.set_content(page, subtype="html")
    parsed = parse(only.as_bytes())
    assert parsed.text.endswith("Plan\n\nSigned today.")
    (section,) = parsed.sections
    assert section.title == "Plan"
    assert section.span.text_in(parsed.text) == "Plan\n\nSigned today."


def test_attachments_of_known_formats_are_sections_of_their_own() -> None:
    made = mail()
    made.add_attachment(b"# Terms\n\nNone.", "text", "markdown", filename="../../etc/terms.md")
    made.add_attachment(b"\x00\x01", "application", "x-thing", filename="thing.bin")
    made.add_attachment(b"no PDF", "application", "pdf", filename="broken.pdf")
    parsed = parse(made.as_bytes())
    assert "Attachments: terms.md, thing.bin, broken.pdf" in parsed.text
    assert [(each.title, each.level) for each in parsed.sections] == [("terms.md", 1), ("Terms", 2)]
    assert parsed.sections[0].span.text_in(parsed.text) == "terms.md\n# Terms\n\nNone."
    assert parsed.sections[1].span.text_in(parsed.text) == "# Terms\n\nNone."
    assert parsed.meta["attachments"] == ["terms.md", "thing.bin", "broken.pdf"]
    assert parsed.meta["unread"] == ["thing.bin", "broken.pdf"]


def test_mails_in_mails_are_read_two_deep() -> None:
    made = mail("Body 0.", Subject="Mail 0")
    for depth in range(1, 5):
        outer = mail(f"Body {depth}.", Subject=f"Mail {depth}")
        outer.add_attachment(made)
        made = outer
    parsed = parse(made.as_bytes())
    assert [f"Body {depth}." in parsed.text for depth in range(5)] == [
        False,
        False,
        True,
        True,
        True,
    ]
    assert all(each.span.text_in(parsed.text).startswith(each.title) for each in parsed.sections)


@pytest.mark.parametrize(
    "raw",
    [
        b"Subject: =?utf-8?q?caf=C3=A9?=\n\nWords.",
        b"Subject: =?nowhere-1?b?!!!?=\nFrom: <<>>@@\nDate: soon\nTo: ;;,\n\nWords.",
        b"From: a@b\nContent-Type: text/plain; charset=nowhere\n\nWords.",
        b"From: a@b\nContent-Type: text/plain\nContent-Transfer-Encoding: base64\n\nV29yZHMu",
        b"From: a@b\nContent-Type: multipart/mixed\n\nWords.",
        b"From: " + b"(" * 9_000 + b"\n\nWords.",
        b"To: " + b"a" * 99_000 + b"\n\nWords.",
        b"From: a@b\nContent-Type: multipart/mixed; boundary=x\n\n--x\n\nWords.\n--x",
        b"From: a@b\nDate: Tue, 99 Foo 99999 10:00:00 +9999\n\nWords.",
        b"From: a@b\nContent-Disposition: attachment; filename*=utf-8''%ff%fe\n\nWords.",
    ],
)
def test_broken_headers_cost_nothing_but_themselves(raw: bytes) -> None:
    assert "Words." in parse(raw).text


def test_a_mail_of_ten_thousand_parts_is_read_in_bounds() -> None:
    parts = "".join(
        f"--x\nContent-Disposition: attachment; filename={n}.txt\n\npart {n}\n"
        for n in range(10_000)
    )
    raw = f"From: a@b\nContent-Type: multipart/mixed; boundary=x\n\n{parts}--x--"
    parsed = parse(raw.encode())
    assert "part 99" in parsed.text
    assert "part 100" not in parsed.text


def test_what_is_no_mail_is_one_line() -> None:
    with pytest.raises(DocumentError, match="not a mail"):
        parse(b"\x00\x01\x02")
