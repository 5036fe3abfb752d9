"""Where settings come from, and which came from where.

Order: command line > environment (`RAG_STORE__URL`) > `.env` > `/run/secrets` > `rag.toml` >
other tools' variables (`QDRANT_URL`) > a profile > defaults. An unknown key anywhere is an error.
Which profile, is a setting itself, `profile`; `--profile` wins over all who set it.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, cast

from pydantic import BaseModel, ValidationError
from pydantic_settings import DotEnvSettingsSource, EnvSettingsSource, SettingsError

from rag.errors import ConfigError
from rag.profiles import profile_file, profile_names
from rag.settings.tree import Settings

__all__ = ["FOREIGN_ENV", "LoadedSettings", "load_settings"]

CONFIG_FILE = Path("rag.toml")
SECRETS_DIR = Path("/run/secrets")

FOREIGN_ENV = {
    "QDRANT_URL": "store.url",
    "QDRANT_API_KEY": "store.api_key",
    "OPENAI_BASE_URL": "generation.url",
    "OPENAI_API_KEY": "generation.api_key",
}
"""Variables other tools use: the weakest source. A key goes only with the URL beside it."""


class LoadedSettings(BaseModel):
    """Settings and the origin of every value that is not a default."""

    settings: Settings
    origins: dict[str, str]
    """Dotted key to origin, as in {"store.url": "environment RAG_STORE__URL"}."""


def load_settings(
    file: Path | None = None,
    overrides: Mapping[str, Any] | None = None,
    profile: str | Path | None = None,
) -> LoadedSettings:
    """Read every source there is.

    Args:
        file: a TOML file; by default `rag.toml` where there is one.
        overrides: dotted keys to values, from the command line; strings are read as TOML values.
        profile: what suits a domain, the name of a packaged profile or a TOML file: all other
            sources but defaults win over it. By default what the sources set as `profile`; "" for
            none. A `Path` is never taken for a name.

    Raises:
        ConfigError: a file is missing or malformed, a key is unknown, a value is invalid.
    """
    tree: dict[str, Any] = {}
    origins: dict[str, str] = {}
    layers = list(_sources(file, overrides or {}, profile))
    for origin, values in [*_profile_layer(layers), *layers]:
        for key, value in _leaves(values):
            origins[key] = origin(key) if callable(origin) else origin
            _put(tree, key, value, origins)
    for group in ("store", "generation"):
        # A key somebody exported for one host must not travel to another.
        key, url = f"{group}.api_key", f"{group}.url"
        if _is_foreign(origins.get(key, "")) and url in origins and not _is_foreign(origins[url]):
            del tree[group]["api_key"], origins[key]
    try:
        settings = Settings(**tree)
    except ValidationError as error:
        raise _config_error(error, origins) from None
    return LoadedSettings(settings=settings, origins=origins)


def _profile_layer(layers: Iterable[tuple[Any, Any]]) -> Iterable[tuple[Any, Any]]:
    """What the profile holds that the strongest source names, if any does."""
    named = [(origin, values["profile"]) for origin, values in layers if "profile" in values]
    origin, profile = named[-1] if named else ("", "")
    if not profile or not isinstance(profile, str):  # the validation complains of it
        return
    who = origin("profile") if callable(origin) else origin
    values = _read_toml(profile_file(profile, who))
    if "profile" in values:
        raise ConfigError(
            f"profile {profile} names a profile itself", hint="take that line out of the file"
        )
    yield f"profile {profile}", values


def _sources(
    file: Path | None, overrides: Mapping[str, Any], profile: str | Path | None
) -> Iterable[tuple[Any, Any]]:
    """Weakest first: a later value replaces an earlier one."""
    foreign: dict[str, Any] = {}
    for variable, key in FOREIGN_ENV.items():
        if value := os.environ.get(variable):
            _put(foreign, key, value)
    names = {key: variable for variable, key in FOREIGN_ENV.items()}
    yield lambda key: f"environment {names[key]}", foreign
    if file is not None or CONFIG_FILE.is_file():
        path = file or CONFIG_FILE
        yield str(path), _read_toml(path)
    if SECRETS_DIR.is_dir():
        yield str(SECRETS_DIR), _variables(_secret_files(), str(SECRETS_DIR))
    if Path(".env").is_file():
        source = DotEnvSettingsSource(Settings, env_file=".env")
        yield ".env", _variables(source.env_vars, ".env")
    yield (
        lambda key: "environment RAG_" + key.upper().replace(".", "__"),
        _variables(os.environ, "the environment"),
    )
    given: dict[str, Any] = {}
    for key, value in overrides.items():
        _put(given, key, _toml_value(key, value))
    if profile is not None:
        given["profile"] = _as_path(profile) if isinstance(profile, Path) else profile
    yield "command line", given


def _as_path(path: Path) -> str:
    """A path that nobody takes for a name."""
    return f"./{path}" if str(path) in profile_names() else str(path)


def _is_foreign(origin: str) -> bool:
    return origin.removeprefix("environment ") in FOREIGN_ENV


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as stream:
            return tomllib.load(stream)
    except FileNotFoundError:
        raise ConfigError(f"no settings file {path}", hint="check the path after -c") from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"cannot read {path}: {error}", hint="mend the file") from None


def _secret_files() -> dict[str, str]:
    """File name to content, of the secrets that are ours; one value a file, as Docker has them."""
    ours = (p for p in SECRETS_DIR.iterdir() if p.name.upper().startswith("RAG_") and p.is_file())
    return {path.name: path.read_text(encoding="utf-8").strip() for path in ours}


def _is_group(annotation: object) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)


def _variables(variables: Mapping[str, str | None], where: str) -> dict[str, Any]:
    """The settings among variables; those of other programs do not start with RAG_."""
    ours = {
        name.lower(): value for name, value in variables.items() if name.upper().startswith("RAG_")
    }
    for name in ours:
        group, _, rest = name.removeprefix("rag_").partition("__")
        field = Settings.model_fields.get(group)
        if field is None or (rest and not _is_group(field.annotation)):
            raise ConfigError(
                f"unknown setting {name.upper()} in {where}",
                hint="`rag config show` lists every setting",
            )
    source = EnvSettingsSource(Settings)
    source.env_vars = ours
    try:
        return source()
    except SettingsError as error:
        raise ConfigError(f"{error} in {where}", hint="write it as JSON") from None


def _toml_value(key: str, value: Any) -> Any:
    """A command-line string: an array or table as TOML reads it, else as it stands.

    Plain values need no reading: pydantic knows what type each setting has. Only the options of
    an embedding are of any type.
    """
    if not isinstance(value, str):
        return value
    try:
        read = tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        return value
    return (
        read
        if isinstance(read, str | list | dict) or key.startswith("embedding.options.")
        else value
    )


_TABLES = ("embedding.options", "serve.api_keys")  # settings that are tables themselves


def _leaves(tree: Mapping[str, Any], prefix: str = "") -> Iterable[tuple[str, Any]]:
    for key, value in tree.items():
        if isinstance(value, Mapping) and f"{prefix}{key}" not in _TABLES:
            yield from _leaves(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _put(
    tree: dict[str, Any], key: str, value: Any, origins: Mapping[str, str] | None = None
) -> None:
    *groups, leaf = key.split(".")
    for at, group in enumerate(groups, start=1):
        tree = cast("dict[str, Any]", tree.setdefault(group, {}))
        if not isinstance(tree, dict):
            above = ".".join(groups[:at])
            where = (origins or {}).get(above, "command line")
            raise ConfigError(
                f"setting {above} (from {where}) is one value, but {key} is set too",
                hint="`rag config show` lists every setting",
            )
    tree[leaf] = value


def _config_error(error: ValidationError, origins: Mapping[str, str]) -> ConfigError:
    first = error.errors(include_url=False, include_context=False)[0]
    key = ".".join(str(part) for part in first["loc"])
    # A table has no origin of its own: that of the first value in it will do.
    inside = (origin for each, origin in origins.items() if f"{each}.".startswith(f"{key}."))
    above = (origin for each, origin in origins.items() if key.startswith(f"{each}."))
    origin = next(inside, "") or next(above, "")
    where = f" (from {origin})" if origin else ""
    if first["type"] == "extra_forbidden":
        return ConfigError(
            f"unknown setting {key}{where}", hint="`rag config show` lists every setting"
        )
    message = first["msg"].removeprefix("Value error, ")
    return ConfigError(f"setting {key}{where}: {message}", hint="mend the value")
