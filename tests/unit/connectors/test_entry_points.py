"""Connectors of other packages: found by their entry points, and kept from doing harm."""

from __future__ import annotations

import importlib
import runpy
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from connectors.base import Access
from connectors.files import FilesConnector
from connectors.registry import open_source, schemes
from connectors.s3 import S3Connector
from rag.errors import DocumentError, UsageError

EXAMPLE = Path(__file__).resolve().parents[3] / "examples" / "connector.py"

WIKI = """
from connectors.base import SourceRef
from rag.errors import UsageError
from rag.types import Document

class Wiki:
    def __init__(self, place, options, access):
        self.place, self.options, self.access = place, dict(options), access
        self.namespace = f"wiki:{place}"

    def list(self):
        return [SourceRef("start", f"wiki:{self.place}/start", "start", "1")]

    def covers(self, key):
        return True

    def fetch(self, ref):
        return Document(self.namespace, ref.key, ref.source, ref.name, "Welcome.",
                        fingerprint=ref.fingerprint)

def open_wiki(place, options, access):
    if place == "nowhere":
        raise UsageError("no such wiki: nowhere", hint="check the name")
    if place == "bug":
        raise KeyError("token")
    return None if place == "nothing" else Wiki(place, options, access)

def open_short(place):
    return Wiki(place, {}, None)

no_function = 3
"""

Install = Callable[..., Path]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Install a package with one module and these entry points ("scheme = module:object")."""

    def make(module: str, source: str, *entries: str) -> Path:
        site = tmp_path / f"site-{module}"
        info = site / f"{module}-1.0.dist-info"
        info.mkdir(parents=True)
        (site / f"{module}.py").write_text(source)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module}\nVersion: 1.0\n")
        lines = ["[spanrag.connectors]", *entries, ""]
        (info / "entry_points.txt").write_text("\n".join(lines))
        monkeypatch.syspath_prepend(site)
        monkeypatch.delitem(sys.modules, module, raising=False)
        importlib.invalidate_caches()
        return site

    return make


def test_an_installed_package_adds_a_scheme(install: Install) -> None:
    assert "wiki" not in schemes()
    install("wikipack", WIKI, "wiki = wikipack:open_wiki")
    assert schemes()[-1] == "wiki"
    access = Access(contact="Jane")
    connector = open_source("wiki:place#a=1&b-c=x%20y", access=access)
    assert connector.namespace == "wiki:place"
    assert vars(connector)["options"] == {"a": "1", "b-c": "x y"}
    assert vars(connector)["access"] is access
    (ref,) = connector.list()
    assert connector.fetch(ref).text == "Welcome."
    assert open_source("Wiki://host/page").namespace == "wiki://host/page"


@pytest.mark.parametrize("name", ["wiki_2", "Wiki2", "wiki-x.y+z"])
def test_a_scheme_may_have_such_a_name(install: Install, name: str) -> None:
    install("wikipack", WIKI, f"{name} = wikipack:open_wiki")
    assert open_source(f"{name.lower()}:here").namespace == "wiki:here"
    assert open_source(f"{name.upper()}:here").namespace == "wiki:here"


def test_what_is_built_in_cannot_be_replaced(install: Install, tmp_path: Path) -> None:
    before = schemes()
    install("evil", WIKI, *(f"{name} = evil:open_wiki" for name in [*before, "FILE", "S3"]))
    assert schemes() == before
    assert type(open_source(f"file:{tmp_path}")) is FilesConnector
    assert type(open_source("s3:bucket")) is S3Connector
    assert "evil" not in sys.modules


def test_a_scheme_that_two_packages_claim_is_refused(install: Install) -> None:
    install("wikipack", WIKI, "wiki = wikipack:open_wiki")
    install("otherpack", WIKI, "wiki = otherpack:open_wiki")
    told = r"wiki: is claimed by otherpack:open_wiki and wikipack:open_wiki; remove one"
    with pytest.raises(UsageError, match=told):
        open_source("wiki:place")


@pytest.mark.parametrize(
    ("source", "entry", "told"),
    [
        ("import no_such_module_xyz", "open_wiki", "cannot be loaded: No module named 'no_such_m"),
        ("raise RuntimeError('first\\nsecond')", "open_wiki", "cannot be loaded: first;"),
        ("def (", "open_wiki", "cannot be loaded: "),
        (WIKI, "no_such_name", "cannot be loaded: .*no_such_name"),
        (WIKI, "no_function", "cannot be loaded: .*not a callable"),
        (WIKI, "open_short", "cannot be loaded: too many positional arguments"),
    ],
)
def test_a_broken_package_is_one_line(install: Install, source: str, entry: str, told: str) -> None:
    install("wikipack", source, f"wiki = wikipack:{entry}")
    assert "wiki" in schemes()
    with pytest.raises(UsageError, match=f"^the connector for wiki: {told}") as raised:
        open_source("wiki:place")
    assert "\n" not in str(raised.value)
    assert f"mend or remove the package that has wikipack:{entry}" in str(raised.value)


@pytest.mark.parametrize(
    ("place", "told"),
    [
        ("nowhere", "^no such wiki: nowhere; check the name$"),
        ("bug", "^the connector for wiki: cannot open its source: KeyError: 'token';"),
        ("nothing", "^the connector for wiki: made a NoneType, which is no connector;"),
    ],
)
def test_what_goes_wrong_when_it_opens_is_one_line(install: Install, place: str, told: str) -> None:
    install("wikipack", WIKI, "wiki = wikipack:open_wiki")
    with pytest.raises(UsageError, match=told):
        open_source(f"wiki:{place}")


def test_a_broken_package_does_not_touch_other_sources(install: Install, tmp_path: Path) -> None:
    install("wikipack", "raise RuntimeError", "wiki = wikipack:open_wiki")
    assert type(open_source(f"file:{tmp_path}")) is FilesConnector
    assert type(open_source("notes: may.txt")) is FilesConnector


def test_the_example_runs(capsys: pytest.CaptureFixture[str]) -> None:
    runpy.run_path(str(EXAMPLE), run_name="__main__")
    printed = capsys.readouterr().out.splitlines()
    assert printed == [
        "<1@example.org> Lunch: from ana@example.org: 'Noodles at noon?\\n'",
        "<2@example.org> Re: Lunch: from bo@example.org: 'Make it one.\\n'",
    ]


def test_the_example_is_a_connector_of_another_package(install: Install, tmp_path: Path) -> None:
    install("mailpack", EXAMPLE.read_text(), "mbox = mailpack:open_mbox")
    mails = tmp_path / "a.mbox"
    mails.write_text("From ana\nMessage-ID: <1>\nSubject: =?utf-8?q?Caf=C3=A9?=\n\nAt noon?\n\n")
    connector = open_source(f"mbox:{mails}#most=5")
    (ref,) = connector.list()
    document = connector.fetch(ref)
    assert (document.key, document.title, document.text) == ("<1>", "Café", "At noon?\n")
    mails.write_text("")
    assert list(connector.list()) == []
    with pytest.raises(DocumentError, match="gone"):
        connector.fetch(ref)
    with pytest.raises(UsageError, match="unknown option 'least' of mbox"):
        open_source(f"mbox:{mails}#least=1")
