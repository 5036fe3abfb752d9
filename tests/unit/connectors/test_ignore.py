from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from connectors.ignore import IgnoreRules
from connectors.walk import walk

Tree = Callable[..., Path]

RULES = {
    ".gitignore": "*.log\n!keep.log\n/only-top.txt\nbuild/\ndocs/*\n!docs/a.txt\n**/tmp/*.txt\n",
    "sub/.gitignore": "!b.log\nlocal.txt\n/x/y.txt\n/here.txt\n",
    "sub/x/.gitignore": "!y.txt\n*.md\n",
    "a.log": "", "keep.log": "", "only-top.txt": "", "sub/only-top.txt": "", "build/a.txt": "",
    "sub/build/keep.log": "", "docs/a.txt": "", "docs/b.txt": "", "docs/c/a.txt": "",
    "sub/b.log": "", "sub/local.txt": "", "local.txt": "", "sub/x/y.txt": "", "sub/x/local.txt": "",
    "sub/here.txt": "", "sub/x/here.txt": "", "here.txt": "",
    "sub/x/z.md": "", "q/tmp/a.txt": "", "q/tmp/r/a.txt": "", "build.txt": "",
}  # fmt: skip


@pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
def test_the_rules_are_those_of_git(tree: Tree) -> None:
    folder = tree(**RULES)
    subprocess.run(["git", "init", "-q", str(folder)], check=True)
    listed = subprocess.run(
        ["git", "-C", str(folder), "ls-files", "--others", "--exclude-standard"],
        check=True, capture_output=True, text=True,
    ).stdout.splitlines()  # fmt: skip
    rules = IgnoreRules(str(folder))
    found = [
        file.name
        for file in walk(
            str(folder),
            lambda name, is_folder: name != ".git" and not rules.ignores(name, folder=is_folder),
        )
    ]
    assert sorted(found) == sorted(listed)


def test_ragignore_outweighs_gitignore_and_patterns_both(tree: Tree) -> None:
    folder = tree(**{".gitignore": "a.txt\n!b.txt\nc.txt\n", ".ragignore": "!a.txt\nb.txt\n"})
    rules = IgnoreRules(str(folder), ["!c.txt", "d.txt"])
    assert [rules.ignores(f"{name}.txt") for name in "abcde"] == [False, True, False, True, False]


def test_a_mark_or_odd_bytes_in_an_ignore_file_do_no_harm(tree: Tree) -> None:
    folder = tree(**{"a.txt": ""})
    (folder / ".gitignore").write_bytes(b"\xef\xbb\xbfa.txt\ncaf\xe9\nb.txt\r\n")
    rules = IgnoreRules(str(folder))
    assert rules.ignores("a.txt")
    assert rules.ignores("b.txt")


def test_a_folder_of_that_name_is_no_ignore_file(tree: Tree) -> None:
    folder = tree(**{".gitignore/a.txt": ""})
    assert not IgnoreRules(str(folder)).ignores("a.txt")
