"""A LlamaIndex reader by its name, and the arguments it is called with."""

from __future__ import annotations

import inspect
import json
import os
import re
import sys
from collections.abc import Callable, Generator, Iterable, Mapping
from contextlib import redirect_stdout
from importlib import import_module
from typing import Any, Never

from rag.errors import RagError, SourceError, UsageError, first_line
from rag.ids import digest

__all__ = ["Reader"]

_NAME = re.compile(r"(?:(?P<module>[A-Za-z_]\w*(?:\.\w+)*)(?P<mark>[.:]))?(?P<name>[A-Za-z_]\w*)")
_CORE = "llama_index.core.readers"
_CORE_MODULES: Mapping[str, str] = {"JSONReader": f"{_CORE}.json"}  # not exported by the package
# What a reader passes over silently would look deleted.
_STRICT: Mapping[str, Mapping[str, Any]] = {"SimpleDirectoryReader": {"raise_on_error": True}}
_INIT, _LOAD, _ENV = "init.", "load.", "env:"
_SECRET = re.compile(
    r"(?:^|[_.-])(?:(?:api|access|secret|private)_?key|token|secret|passw(?:or)?d|credentials?)$",
    re.IGNORECASE,
)
_SHORTEST = 6  # characters of a secret: to blot out shorter ones would blot out words
_USER = re.compile(r"(?<=://)[^\s/@]*@")


class Reader:
    """One reader, called anew each time its documents are asked for.

    Only its synchronous methods are called, `lazy_load_data` where it has one that takes the
    arguments. What it prints goes to stderr.

    Args:
        written: "module:Class"; "wikipedia.WikipediaReader" below llama_index.readers; or a class
            of llama_index.core.readers.
        arguments: "init.NAME" goes to the constructor, "load.NAME" and "NAME" to the method. Read
            as JSON where they are JSON, as "env:NAME" from the environment, else as strings.

    Raises:
        UsageError: there is no such reader, or it does not take such arguments.
    """

    def __init__(self, written: str, arguments: Mapping[str, str]) -> None:
        self._secrets: list[str] = []
        self._init: dict[str, Any] = {}
        self._load: dict[str, Any] = {}
        for name, value in arguments.items():
            into = self._init if name.startswith(_INIT) else self._load
            into[name.removeprefix(_INIT).removeprefix(_LOAD)] = self._value(name, value)
        module, self.name = _split(written)
        with redirect_stdout(sys.stderr):
            self._kind = _find(module, self.name)
        self._init = {**_STRICT.get(self.name, {}), **self._init}
        self._method = self._check()
        # Without the values of "env:": an account's documents stay theirs when its key changes.
        self.identity = f"{module}:{self.name}:{digest(dict(arguments))[:16]}"
        """The reader, and a digest of its arguments."""

    def documents(self) -> Generator[Any, None, None]:
        """All that it loads, one by one.

        Raises:
            UsageError: a package that it needs is not installed.
            SourceError: it failed.
        """
        try:
            with redirect_stdout(sys.stderr):
                yield from _each(getattr(self._kind(**self._init), self._method)(**self._load))
        except RagError:
            raise
        except ImportError as error:
            raise UsageError(
                f"{self.name}: {self.hide(first_line(error))}", hint="install what it needs"
            ) from error
        except (Exception, SystemExit) as error:
            raise SourceError(f"{self.name} failed: {self.hide(_told(error))[:300]}") from error

    def hide(self, text: str) -> str:
        """A text without the secrets it was called with, and without passwords in addresses."""
        for secret in self._secrets:
            text = text.replace(secret, "***")
        return _USER.sub("", text)

    def _value(self, name: str, written: str) -> Any:
        value: Any = written
        if written.startswith(_ENV):
            variable = written.removeprefix(_ENV)
            if variable not in os.environ:
                raise UsageError(
                    f"option {name}: the environment has no {variable}", hint="set the variable"
                )
            value = os.environ[variable]
        elif not _SECRET.search(name):
            return _read(written)
        if len(value) >= _SHORTEST:
            self._secrets.append(value)
        return value if written.startswith(_ENV) else _read(written)

    def _check(self) -> str:
        """The name of the method to call.

        Raises:
            UsageError: the constructor or the method does not take the arguments.
        """
        from llama_index.core.readers.base import BaseReader

        if wrong := _mismatch(self._kind, (), self._init):
            told = _takes("the constructor", self._kind, _INIT)
            raise UsageError(f"{self.name}: {wrong}", hint=told)
        wrong, told = "has no load_data", "name another reader"
        for name in ("lazy_load_data", "load_data"):
            method = getattr(self._kind, name)
            if method is not getattr(BaseReader, name):
                if not (wrong := _mismatch(method, (None,), self._load)):
                    return name
                told = _takes(name, method, "")
        raise UsageError(f"{self.name}: {wrong}", hint=told)


def _mismatch(called: Callable[..., Any], first: tuple[None, ...], by_name: dict[str, Any]) -> str:
    """Why it does not take these arguments, or ""."""
    try:
        inspect.signature(called).bind(*first, **by_name)
    except TypeError as error:
        return first_line(error)
    return ""


def _takes(what: str, called: Callable[..., Any], before: str) -> str:
    names = [name for name in inspect.signature(called).parameters if name != "self"]
    return f"{what} takes {', '.join(before + name for name in names) or 'nothing'}"


def _told(error: BaseException) -> str:
    cause = f" ({first_line(error.__cause__)})" if error.__cause__ else ""
    return f"{type(error).__name__}: {first_line(error)}{cause}"


def _split(written: str) -> tuple[str, str]:
    parts = _NAME.fullmatch(written)
    if parts is None:
        raise UsageError(
            f"no name of a reader: {written!r}",
            hint="write llama_index:SimpleDirectoryReader, llama_index:wikipedia.WikipediaReader "
            "or llama_index:your.module:YourReader",
        )
    module, name = parts["module"], parts["name"]
    if module is None:
        return _CORE_MODULES.get(name, _CORE), name
    if parts["mark"] == ":" or module.startswith("llama_index."):
        return module, name
    return f"llama_index.readers.{module}", name


def _find(module: str, name: str) -> Any:
    from llama_index.core.readers.base import BaseReader

    try:
        found = getattr(import_module(module), name, None)
    except ModuleNotFoundError as error:
        missing = error.name or ""
        package = missing.replace("_", "-")
        if f"{module}.".startswith(f"{missing}."):
            readers = re.match(r"llama_index\.readers\.(\w+)", module)
            package = f"llama-index-readers-{readers[1].replace('_', '-')}" if readers else package
        raise UsageError(
            f"{module} cannot be loaded: there is no {missing}", hint=f"run: pip install {package}"
        ) from error
    except Exception as error:
        raise UsageError(
            f"{module} cannot be loaded: {first_line(error)}", hint="mend or reinstall it"
        ) from error
    # Checked before it is called: a source must not be a way to call just anything.
    if not (isinstance(found, type) and issubclass(found, BaseReader)):
        raise UsageError(
            f"{module} has no reader {name}",
            hint="readers of other packages are written as llama_index:wikipedia.WikipediaReader",
        )
    return found


def _read(written: str) -> Any:
    try:
        return json.loads(written, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return written


def _refuse(constant: str) -> Never:
    raise ValueError(constant)


def _each(loaded: Any) -> Iterable[Any]:
    from llama_index.core.schema import BaseNode

    # A pydantic model can be iterated too: over its fields.
    if isinstance(loaded, BaseNode) or not isinstance(loaded, Iterable):
        return [loaded]
    return loaded
