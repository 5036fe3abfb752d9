from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from connectors.registry import open_source

Files = Callable[..., Path]

REPORT = (
    "<h1>Campaign</h1><p>The loader at hxxp://evil[.]example/a (192.0.2[.]7) exploits "
    "CVE-2021-44228 (T1190).</p><p>Mail joe[at]evil[.]example.</p>"
)


def test_reports_are_files_with_indicators(tmp_path: Path) -> None:
    (tmp_path / "a.html").write_text(REPORT)
    (tmp_path / "b.txt").write_text("Nothing of the kind.")
    (tmp_path / "bundle.json").write_text("{}")
    connector = open_source(f"reports:{tmp_path}")
    refs = list(connector.list())
    assert [ref.name for ref in refs] == ["a.html", "b.txt"]
    first, second = map(connector.fetch, refs)
    # The text is what the page says, disarmed as it is.
    assert "hxxp://evil[.]example/a (192.0.2[.]7)" in first.text
    assert first.sections[0].title == "Campaign"
    assert first.meta == {
        "cves": ["CVE-2021-44228"],
        "techniques": ["T1190"],
        "domains": ["evil.example"],
        "ips": ["192.0.2.7"],
        "urls": ["http://evil.example/a"],
        "emails": ["joe@evil.example"],
    }
    assert second.meta == {}
    assert (first.namespace, first.key, first.source, first.fingerprint) == (
        "reports", str(tmp_path / "a.html"), refs[0].source, refs[0].fingerprint)  # fmt: skip


def test_a_report_is_another_document_than_the_file(tmp_path: Path) -> None:
    (tmp_path / "a.html").write_text(REPORT)
    report, file = open_source(f"reports:{tmp_path}/a.html"), open_source(f"{tmp_path}/a.html")
    (told,), (plain,) = report.list(), file.list()
    assert told.fingerprint != plain.fingerprint
    assert report.fetch(told).id != file.fetch(plain).id
    assert report.covers(told.key)
    assert not report.covers(str(tmp_path / "b.html"))


def test_files_that_are_passed_over(tmp_path: Path) -> None:
    for name in ("a.txt", "b.md", "old/c.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("text")
    connector = open_source(f"reports:{tmp_path}#ignore=*.md,old/")
    assert [ref.name for ref in connector.list()] == ["a.txt"]
    assert [ref.name for ref in open_source(f"reports:{tmp_path}/**/*.txt").list()] == [
        "a.txt", "old/c.txt"]  # fmt: skip


def test_real_reports(shared: Path) -> None:
    connector = open_source(f"reports:{shared / 'cyber' / 'corpora'}")
    found = [connector.fetch(ref).meta for ref in connector.list()]
    assert len(found) == 92
    assert sum("techniques" in meta for meta in found) >= 24
    assert sum("domains" in meta for meta in found) >= 80
    for meta in found:
        for values in meta.values():
            assert not isinstance(values, list) or sum(map(len, values)) <= 1_000
