from __future__ import annotations

import pickle
import re

import pytest

from rag import errors
from rag.errors import ConfigError, ExtraMissing, RagError

ERRORS = [name for name in errors.__all__ if isinstance(getattr(errors, name), type)]
TREE = [
    (found.start(1), found[1], int(found[2]))
    for line in (errors.__doc__ or "").splitlines()
    if (found := re.match(r"[\s│├└─]*([A-Z]\w+)\s{2,}(\d)\s{2}", line))
]


def make(name: str) -> RagError:
    if name == "ExtraMissing":
        return ExtraMissing("openvino", "openvino")
    made = getattr(errors, name)("it broke", hint="mend it")
    assert isinstance(made, RagError)
    return made


def test_the_tree_in_the_docstring_shows_every_error() -> None:
    assert sorted(name for _, name, _ in TREE) == ERRORS


@pytest.mark.parametrize(("name", "exit_code"), [(name, code) for _, name, code in TREE])
def test_an_error_has_the_exit_code_the_tree_says(name: str, exit_code: int) -> None:
    assert getattr(errors, name).exit_code == exit_code


@pytest.mark.parametrize("at", range(1, len(TREE)), ids=lambda at: TREE[at][1])
def test_an_error_is_a_kind_of_the_one_above_it_in_the_tree(at: int) -> None:
    indent, name, _ = TREE[at]
    above = next(parent for left, parent, _ in reversed(TREE[:at]) if left < indent)
    assert getattr(errors, name).__base__ is getattr(errors, above)


def test_every_error_has_a_code_of_its_own() -> None:
    """But one: whether the store will be back is told by other means, as by Retry-After."""
    codes = [getattr(errors, name).code for name in ERRORS if name != "StoreAway"]
    assert len(set(codes)) == len(codes)
    assert errors.StoreAway.code == errors.StoreError.code
    assert all(re.fullmatch(r"[a-z_]+", code) for code in codes)


def test_an_error_reads_as_one_line_with_its_hint() -> None:
    error = ConfigError("no such key", hint="look it up")
    assert str(error) == "no such key; look it up"
    assert (error.message, error.hint) == ("no such key", "look it up")


def test_an_error_without_a_hint_ends_with_its_message() -> None:
    assert str(RagError("it broke")) == "it broke"


def test_a_missing_extra_is_told_with_the_command_that_installs_it() -> None:
    error = ExtraMissing("openvino", "openvino")
    assert error.message == "openvino is not installed"
    assert error.hint == "run: pip install 'spanrag[openvino]'"


@pytest.mark.parametrize("name", ERRORS)
def test_an_error_survives_the_way_to_another_process(name: str) -> None:
    error = make(name)
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is type(error)
    assert str(again) == str(error)
    assert (again.message, again.hint) == (error.message, error.hint)


@pytest.mark.parametrize(
    ("error", "line"),
    [(ValueError("one\ntwo"), "one"), (OSError(), "OSError"), (ValueError("\n"), "ValueError")],
)
def test_the_first_line_of_an_error_is_never_empty(error: Exception, line: str) -> None:
    assert errors.first_line(error) == line
