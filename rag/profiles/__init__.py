"""Domain profiles: settings that suit one kind of document, under a name or in a file.

A profile is a TOML file like `rag.toml`. Those beside this file have names. Nothing slow is
imported here: the command line lists them in its help.
"""

from __future__ import annotations

from pathlib import Path

from rag.errors import ConfigError

__all__ = ["profile_file", "profile_names"]

_FOLDER = Path(__file__).parent


def profile_names() -> tuple[str, ...]:
    """The profiles that have a name.

    >>> profile_names()
    ('biomedical', 'cyber', 'finance', 'general')
    """
    return tuple(sorted(path.stem for path in _FOLDER.glob("*.toml")))


def profile_file(profile: str, origin: str) -> Path:
    """The file of a profile: the packaged one of that name, or else what lies at that path.

    Args:
        profile: a name or a path. `./finance` and `finance.toml` are paths.
        origin: who names it, for the error.

    Raises:
        ConfigError: it is neither.
    """
    if profile in profile_names():
        return _FOLDER / f"{profile}.toml"
    path = Path(profile)
    if not path.exists():
        raise ConfigError(
            f"no profile {profile} (from {origin}): it is no name of one, and no file",
            hint=f"one of {', '.join(profile_names())}, or the path of a TOML file",
        )
    return path
