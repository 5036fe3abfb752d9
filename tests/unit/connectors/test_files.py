from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from connectors import files
from connectors.base import Connector, SourceRef
from connectors.files import FilesConnector
from rag.errors import DocumentError, UsageError
from rag.ids import document_id

Tree = Callable[..., Path]


def names(path: object, *ignore: str) -> list[str]:
    return [ref.name for ref in FilesConnector(str(path), ignore=ignore).list()]


def refs(path: object) -> dict[str, SourceRef]:
    return {ref.name: ref for ref in FilesConnector(str(path)).list()}


def test_a_folder_is_listed_whole_sorted_and_by_suffix(tree: Tree) -> None:
    folder = tree(**{"b.txt": "b", "a/z.md": "z", "a/y/x.HTML": "x", "data.jsonl": "{}",
                     "a/setup.xyz": "", "README": "", "c.pdf": "c"})  # fmt: skip
    assert names(folder) == ["a/y/x.HTML", "a/z.md", "b.txt", "c.pdf"]


def test_sources_are_as_the_user_wrote_them(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tree(**{"a.txt": "a", "sub/b.txt": "b"})
    monkeypatch.chdir(folder.parent)
    listed = list(FilesConnector("docs").list())
    assert [ref.source for ref in listed] == ["docs/a.txt", "docs/sub/b.txt"]
    assert [ref.key for ref in listed] == [f"{folder}/a.txt", f"{folder}/sub/b.txt"]
    (single,) = FilesConnector("./docs/a.txt").list()
    assert (single.source, single.name, single.key) == ("./docs/a.txt", "a.txt", f"{folder}/a.txt")
    (globbed,) = FilesConnector("docs/s*/*.txt").list()
    assert (globbed.source, globbed.name) == ("docs/sub/b.txt", "sub/b.txt")
    monkeypatch.chdir(folder)
    (globbed,) = FilesConnector("*.txt").list()
    assert (globbed.source, globbed.key) == ("a.txt", f"{folder}/a.txt")


def test_the_same_file_has_one_identity_however_it_is_named(
    tree: Tree, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tree(**{"sub/a.txt": "a"})
    monkeypatch.chdir(folder)
    ways = [".", "sub", "sub/a.txt", "**/*.txt", str(folder), "../docs/sub"]
    documents = [c.fetch(ref) for c in map(FilesConnector, ways) for ref in c.list()]
    assert {d.id for d in documents} == {document_id("file", f"{folder}/sub/a.txt")}
    assert len(documents) == len(ways)


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("*.txt", ["a.txt"]),
        ("**/*.txt", ["a.txt", "s/b.txt", "s/t/c.txt"]),
        ("**", ["a.txt", "d.md", "s/b.txt", "s/t/c.txt"]),
        ("*/*.txt", ["s/b.txt"]),
        ("s/**", ["b.txt", "t/c.txt"]),
        ("?.[mt]*", ["a.txt", "d.md"]),
        ("**/t/*", ["s/t/c.txt"]),
        ("*", ["a.txt", "d.md"]),
    ],
)
def test_globs(tree: Tree, pattern: str, found: list[str]) -> None:
    folder = tree(**{"a.txt": "a", "d.md": "d", "s/b.txt": "b", "s/t/c.txt": "c", "s/x.xyz": "x"})
    assert names(f"{folder}/{pattern}") == found


def test_a_glob_does_not_enter_folders_it_cannot_name(
    tree: Tree, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tree(**{"a.txt": "a", "huge/b.txt": "b"})
    entered, scandir = [], os.scandir
    monkeypatch.setattr(os, "scandir", lambda path: (entered.append(path), scandir(path))[1])
    assert names(f"{folder}/*.txt") == ["a.txt"]
    assert entered == [str(folder)]


def test_a_file_whose_name_looks_like_a_glob_is_that_file(tree: Tree) -> None:
    folder = tree(**{"a[1].txt": "odd", "a1.txt": "plain"})
    assert names(folder / "a[1].txt") == ["a[1].txt"]


def test_hidden_files_and_folders_are_passed_over(tree: Tree) -> None:
    folder = tree(root=".vault", **{".a.txt": "", ".git/b.txt": "", "c/.d/e.txt": "", "f.txt": "f"})
    assert names(folder) == ["f.txt"]


def test_ignore_files_count_in_every_folder(tree: Tree) -> None:
    folder = tree(**{
        ".gitignore": "build/\n*.html\n!keep.html\n/top.txt\n",
        "top.txt": "", "sub/top.txt": "", "build/a.txt": "", "sub/build/a.txt": "",
        "b.html": "", "keep.html": "",
        "sub/.ragignore": "secret*\n!b.html\n", "sub/secret.txt": "", "sub/deep/secret.md": "",
        "sub/b.html": "", "secret.txt": "",
    })  # fmt: skip
    assert names(folder) == ["keep.html", "secret.txt", "sub/b.html", "sub/top.txt"]
    assert names(folder, "sub/", "!secret.txt", "secret*") == ["keep.html"]


def test_ignore_files_are_read_anew_for_each_listing(tree: Tree) -> None:
    folder = tree(**{"a.txt": "a", "b.txt": "b"})
    connector = FilesConnector(str(folder))
    assert len(list(connector.list())) == 2
    (folder / ".ragignore").write_text("b.txt")
    assert [ref.name for ref in connector.list()] == ["a.txt"]
    assert connector.covers(f"{folder}/b.txt")  # ignored now: it vanishes, as if deleted


def test_a_named_file_is_read_whatever_the_rules_say(tree: Tree) -> None:
    folder = tree(**{".gitignore": "*", "a.txt": "a"})
    assert names(folder) == []
    assert names(folder / "a.txt", "*") == ["a.txt"]


@pytest.mark.parametrize("pattern", ["!", "[z-a].txt"])
def test_a_malformed_pattern_is_named(tree: Tree, pattern: str) -> None:
    folder = tree(**{"a.txt": "a"})
    with pytest.raises(UsageError, match=r"^ignore: "):
        FilesConnector(str(folder), ignore=[pattern])
    (folder / ".gitignore").write_text(pattern)
    with pytest.raises(UsageError, match=r"docs/\.gitignore: "):
        names(folder)


def test_links_that_leave_the_folder_are_listed_and_never_read(tree: Tree) -> None:
    outside = tree(root="outside", **{"secret.txt": "secret", "tool": "x"})
    folder = tree(**{"a.txt": "a"})
    (folder / "file.txt").symlink_to(outside / "secret.txt")
    (folder / "folder").symlink_to(outside)
    (folder / "up").symlink_to("..")
    (folder / "sibling").symlink_to(tree(root="docs2", **{"b.txt": "b"}))
    (folder / "tool").symlink_to(outside / "tool")  # of no format we read: no news to anyone
    listed = refs(folder)
    assert [name for name, ref in listed.items() if ref.problem is None] == ["a.txt"]
    assert list(listed) == ["a.txt", "file.txt", "folder", "sibling", "up"]
    connector = FilesConnector(str(folder))
    for name in ("file.txt", "folder", "up", "sibling"):
        with pytest.raises(DocumentError, match=r"^symlink leaves the folder: "):
            connector.fetch(listed[name])
    assert connector.fetch(listed["a.txt"]).text == "a"


def test_a_link_that_turns_outward_after_the_listing_is_not_read(tree: Tree) -> None:
    outside = tree(root="outside", **{"secret.txt": "secret"})
    folder = tree(**{"a.txt": "a"})
    connector = FilesConnector(str(folder))
    (ref,) = connector.list()
    (folder / "a.txt").unlink()
    (folder / "a.txt").symlink_to(outside / "secret.txt")
    with pytest.raises(DocumentError, match=r"^symlink leaves the folder"):
        connector.fetch(ref)


def test_links_inside_are_followed_once_and_cycles_not_at_all(tree: Tree) -> None:
    folder = tree(**{"a.txt": "a", "real/b.txt": "b", ".store/c.txt": "c", ".store/d/e.txt": "e"})
    (folder / "again.txt").symlink_to("a.txt")
    (folder / "again").symlink_to("real")
    (folder / "here").symlink_to(".")
    (folder / "real/up").symlink_to("..")
    (folder / "self").symlink_to("self")
    (folder / "shown1").symlink_to(".store/d")
    (folder / "shown2").symlink_to(".store")
    (folder / "shown3").symlink_to(".store")
    (folder / ".store/loop").symlink_to(folder / ".store")
    listed = refs(folder)
    assert list(listed) == ["a.txt", "real/b.txt", "shown1/e.txt", "shown2/c.txt"]
    connector = FilesConnector(str(folder))
    assert connector.fetch(listed["shown2/c.txt"]).text == "c"
    assert listed["shown2/c.txt"].key == f"{folder}/shown2/c.txt"


def test_a_link_to_nowhere_is_a_problem_only_if_it_names_a_document(tree: Tree) -> None:
    folder = tree(**{"a.txt": "a"})
    (folder / "lost.txt").symlink_to("gone.txt")
    (folder / "lost").symlink_to("gone")
    listed = refs(folder)
    assert list(listed) == ["a.txt", "lost.txt"]
    assert "symlink leads nowhere" in str(listed["lost.txt"].problem)


def test_a_folder_may_itself_be_a_link(tree: Tree) -> None:
    folder = tree(**{"a.txt": "a"})
    (link := folder.parent / "link").symlink_to(folder)
    connector = FilesConnector(str(link))
    (ref,) = connector.list()
    assert (ref.key, connector.fetch(ref).text) == (f"{link}/a.txt", "a")


def test_only_regular_files_are_listed(tree: Tree) -> None:
    folder = tree(**{"a.txt": "a", "folder.txt/b.md": "b"})
    os.mkfifo(folder / "pipe.txt")
    assert names(folder) == ["a.txt", "folder.txt/b.md"]
    with pytest.raises(UsageError, match=r"neither a file nor a folder"):
        names(folder / "pipe.txt")


def test_a_folder_that_cannot_be_read_ends_the_listing(
    tree: Tree, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tree(**{"a.txt": "a", "locked/b.txt": "b"})
    scandir = os.scandir

    def guarded(path: str) -> object:
        if str(path).endswith("locked"):
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", guarded)  # the tests may run as root, whom nothing locks out
    with pytest.raises(UsageError, match=r"cannot read .*/locked: Permission denied; give"):
        FilesConnector(str(folder)).list()
    assert names(folder, "locked/") == ["a.txt"]


def test_a_file_that_cannot_be_read_is_one_failed_document(tree: Tree) -> None:
    folder = tree(**{"a.txt": "a"})
    connector = FilesConnector(str(folder))
    (ref,) = connector.list()
    (folder / "a.txt").unlink()
    with pytest.raises(DocumentError, match=r"^cannot be read: No such file"):
        connector.fetch(ref)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_permission_is_one_failed_document(tree: Tree) -> None:
    folder = tree(**{"a.txt": "a"})
    (folder / "a.txt").chmod(0)
    connector = FilesConnector(str(folder))
    (ref,) = connector.list()
    with pytest.raises(DocumentError, match=r"^cannot be read: Permission denied"):
        connector.fetch(ref)


def test_a_file_over_the_bound_is_not_parsed(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "_MAX_BYTES", 3)
    connector = FilesConnector(str(tree(**{"a.txt": "abc", "b.txt": "abcd"})))
    small, large = connector.list()
    assert connector.fetch(small).text == "abc"
    with pytest.raises(DocumentError, match=r"^too large"):
        connector.fetch(large)


def test_a_name_that_is_not_utf_8_is_a_problem(tree: Tree) -> None:
    folder = tree(**{"a.txt": "a"})
    Path(os.fsdecode(os.fsencode(folder) + b"/caf\xe9.txt")).write_text("x")
    listed = refs(folder)
    assert list(listed) == ["a.txt", "caf\\udce9.txt"]
    assert "file name is not UTF-8" in str(listed["caf\\udce9.txt"].problem)
    str(listed).encode("utf-8")


@pytest.mark.parametrize("name", ["a.docm", "a", "data.sav", "*.docm"])
def test_an_unknown_format_is_refused_by_name(tree: Tree, name: str) -> None:
    folder = tree(**{"a.docm": "a", "a": "a", "data.sav": "a"})
    with pytest.raises(UsageError, match=r"unknown format .*\.txt, .*\.pdf, .* and \.jsonl"):
        names(folder / name)


@pytest.mark.parametrize("name", ["nowhere", "nowhere/a.txt", "nowhere/**/*.txt"])
def test_a_path_that_is_not_there_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match=r"no such file or folder: .*nowhere"):
        names(tmp_path / name)


def test_the_fingerprint_follows_the_file_and_the_parser(
    tree: Tree, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tree(**{"a.txt": "a", "b.txt": "b"})

    def marks() -> list[str]:
        return [ref.fingerprint for ref in FilesConnector(str(folder)).list()]

    before = marks()
    assert marks() == before
    modified = (folder / "a.txt").stat().st_mtime_ns
    (folder / "a.txt").write_text("A")
    os.utime(folder / "a.txt", ns=(modified, modified))  # as an archive tool restores it
    assert marks()[0] != before[0]
    assert marks()[1] == before[1]
    newer = files.FORMATS[".txt"].__class__("text", "text-99", files.FORMATS[".txt"].parse)
    monkeypatch.setattr(files, "FORMATS", {**files.FORMATS, ".txt": newer})
    assert marks()[1] != before[1]


@pytest.mark.parametrize("pattern", ["", "/**/*.txt"])
def test_covers_is_whether_it_belongs_here_ignored_or_not(tree: Tree, pattern: str) -> None:
    folder = tree(**{".gitignore": "drafts/\n", "a.txt": "a"})
    connector = FilesConnector(f"{folder}{pattern}", ignore=["*.tmp.txt"])
    list(connector.list())
    for name in ("a.txt", "gone.txt", "deep/er/gone.txt", "drafts/a.txt", "b.tmp.txt"):
        assert connector.covers(f"{folder}/{name}")
    for name in ("a.docm", ".hid.txt", ".h/a.txt"):
        assert not connector.covers(f"{folder}/{name}")
    assert not connector.covers(f"{folder}2/a.txt")
    assert not connector.covers(str(folder))
    assert connector.covers(f"{folder}/a.md") is (pattern == "")


def test_a_single_file_covers_itself_only(tree: Tree) -> None:
    folder = tree(**{"a.txt": "a", "b.txt": "b"})
    connector = FilesConnector(str(folder / "a.txt"))
    assert connector.covers(f"{folder}/a.txt")
    assert not connector.covers(f"{folder}/b.txt")


def test_every_listed_file_is_covered(tree: Tree) -> None:
    folder = tree(**{"a.txt": "a", "s/b.md": "b", ".h/c.txt": "c"})
    (folder / "link").symlink_to(".h")
    connector = FilesConnector(str(folder))
    assert [(r.name, connector.covers(r.key)) for r in connector.list()] == [
        ("a.txt", True), ("link/c.txt", True), ("s/b.md", True)
    ]  # fmt: skip


def test_a_document_carries_what_its_parser_found(
    tree: Tree, make_pdf: Callable[..., bytes]
) -> None:
    folder = tree(**{"a.md": "# Title\r\n\r\nwords", "b.html": "<h1>Page</h1><p>x</p>"})
    (folder / "c.pdf").write_bytes(make_pdf(["one"], ["two"], title="A real title"))
    connector: Connector = FilesConnector(str(folder))
    a, b, c = (connector.fetch(ref) for ref in connector.list())
    assert (a.text, a.title, a.sections[0].title) == ("# Title\r\n\r\nwords", "Title", "Title")
    assert (b.text, b.title) == ("Page\n\nx", "Page")
    assert (c.text, c.title, c.pages) == ("one\n\ftwo", "A real title", (0, 5))
    assert {d.namespace for d in (a, b, c)} == {"file"}
    assert all(d.fingerprint for d in (a, b, c))


def test_the_evaluation_corpora_come_back_character_for_character(shared: Path) -> None:
    connector = FilesConnector(f"{shared}/*/corpora/**")
    count = 0
    for ref in connector.list():
        with open(ref.key, encoding="utf-8", newline="") as file:
            assert connector.fetch(ref).text == file.read(), ref.key
        count += 1
    assert count > 600
