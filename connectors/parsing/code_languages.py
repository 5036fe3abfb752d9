"""Programming languages, as far as finding definitions takes: comments, strings, keywords.

Pygments knows far more of them, but its lexers take time in the square of some files (40 kB of
short lines of Java, blank lines of C), and nothing can stop a regular expression at work. All
patterns here are linear.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

__all__ = ["LANGUAGES", "Language"]


@dataclass(frozen=True, slots=True)
class Language:
    """How to tell where a definition begins and ends.

    Args:
        name: what it is called.
        skipped: matches a comment (group `comment`) or a string.
        defined: matches the first line of a definition up to its name; group `title`.
        ends: by the brace that closes it, by the next line that is indented no deeper, or at the
            end of the statement.
        closing: what a line begins with that ends a definition as deep as itself.
        above: what a line begins with that belongs to the definition below it.
        bare: functions are also defined without a keyword: "int main(void) {".
    """

    name: str
    skipped: re.Pattern[str] | None = None
    defined: re.Pattern[str] | None = None
    ends: Literal["braces", "indent", "statement"] = "braces"
    closing: tuple[str, ...] = ()
    above: tuple[str, ...] = ()
    bare: bool = False


# Each takes what is left of the text where its end is missing: no text is scanned twice.
_SLASHES = r"//[^\n]*|/\*(?:.*?\*/|.*)"
_DASHES = r"--[^\n]*"
_HASH = r"(?<![^\s;])#[^\n]*"
_DOUBLE = r'"[^"\\\n]*(?:\\.[^"\\\n]*)*"?'
_SINGLE = r"'[^'\\\n]*(?:\\.[^'\\\n]*)*'?"
_LETTER = r"'(?:\\[^\n']{1,10}|[^'\\\n])'"
_TICKS = r"`[^`\\]*(?:\\.[^`\\]*)*`?"
_TRIPLE = r'"""(?:.*?"""|.*)'
_TRIPLES = (
    r'"""[^"\\]*(?:(?:\\.|"(?!""))[^"\\]*)*(?:""")?'
    r"|'''[^'\\]*(?:(?:\\.|'(?!''))[^'\\]*)*(?:''')?"
)
_C_RAW = r'\bu?8?R"(?P<raw>\w{0,16})\((?:.*?\)(?P=raw)"|.*)'
_RUST_RAW = r'\bb?r(?P<raw>#{0,8})"(?:.*?"(?P=raw)|.*)'
_DOLLARS = r"\$(?P<raw>\w{0,30})\$(?:.*?\$(?P=raw)\$|.*)"
_LUA_LONG = r"\[(?P<raw>={0,8})\[(?:.*?\](?P=raw)\]|.*)"
_LUA_COMMENT = r"--\[(?P<eq>={0,8})\[(?:.*?\](?P=eq)\]|.*)|--[^\n]*"
# After what no number stands, a slash divides nothing.
_JS_REGEX = (
    r"(?<=[=(,:!&|?;\[{])[ \t]{0,9}/(?![*/])"
    r"(?:[^/\\\n\[]|\\.|\[(?:[^\]\\\n]|\\.){0,100}\]){1,200}/"
)

_WORDS = r"^[ \t]{0,100}(?:[a-z_]+(?:\([^()\n]{0,40}\))?[ \t]+){0,6}"
_C_ABOVE = ("//", "/*", "*", "@")


def _skipped(comment: str, *strings: str) -> re.Pattern[str]:
    return re.compile("|".join([f"(?P<comment>{comment})", *strings]), re.DOTALL | re.MULTILINE)


def _defined(title: str, *, words: str = _WORDS, flags: int = 0) -> re.Pattern[str]:
    return re.compile(f"{words}(?P<title>{title})", re.MULTILINE | flags)


_C = Language(
    "C",
    _skipped(_SLASHES, _C_RAW, _DOUBLE, _LETTER),
    _defined(
        r"(?:class|struct|union|enum(?:[ \t]+class)?|namespace)[ \t]+"
        r"(?:[A-Z][A-Z0-9_]*[ \t]+(?=\w))?[\w:]+"  # with a macro that exports it
        r"(?=[^\n(){};=]{0,200}\n?[ \t]*\{)",
        words=r"^[ \t]{0,100}(?:template[ \t]*<[^\n]{0,200}>[ \t]*)?(?:[a-z]+[ \t]+){0,4}",
    ),
    above=("//", "/*", "*", "template", "[["),
    bare=True,
)
_JAVA = Language(
    "Java",
    _skipped(_SLASHES, _TRIPLE, _DOUBLE, _LETTER),
    _defined(r"(?:class|@?interface|enum|record)[ \t]+\w+"),
    above=_C_ABOVE,
    bare=True,
)
_CSHARP = Language(
    "C#",
    _skipped(_SLASHES, r'\$?@\$?"[^"]*(?:""[^"]*)*"?', _TRIPLE, _DOUBLE, _LETTER),
    _defined(r"(?:class|interface|enum|record|struct|namespace)[ \t]+[\w.]+"),
    above=("//", "/*", "*", "["),
    bare=True,
)
_JAVASCRIPT = Language(
    "JavaScript",
    _skipped(_SLASHES, _JS_REGEX, _DOUBLE, _SINGLE, _TICKS),
    _defined(
        r"(?:(?:function[ \t]*\*?|class|interface|enum|namespace|module)[ \t]+[\w$.]+"
        r"|type[ \t]+[\w$]+(?=[^=\n]{0,200}=)"
        r"|(?:const|let|var)[ \t]+[\w$]+(?=[^=\n]{0,200}=[ \t]*(?:async\b[ \t]*)?"
        r"(?:function\b|\([^\n]{0,300}|[\w$]+[ \t]*=>)))"
    ),
    above=_C_ABOVE,
    bare=True,
)
_TYPESCRIPT = Language(
    "TypeScript", _JAVASCRIPT.skipped, _JAVASCRIPT.defined, above=_C_ABOVE, bare=True
)
_GO = Language(
    "Go",
    _skipped(_SLASHES, _DOUBLE, _LETTER, r"`[^`]*`?"),
    _defined(
        r"func[ \t]+(?:\([^()\n]{0,200}\)[ \t]*)?\w+"
        r"|type[ \t]+\w+(?=[^\n={]{0,200}\b(?:struct|interface)\b)",
        words="^",
    ),
    above=("//", "/*", "*"),
)
_RUST = Language(
    "Rust",
    _skipped(_SLASHES, _RUST_RAW, _DOUBLE, _LETTER),
    _defined(r"(?:fn|struct|enum|trait|union|mod|macro_rules!)[ \t]+\w+|impl\b[^\n{;]{1,150}"),
    above=("//", "/*", "*", "#["),
)
_PHP = Language(
    "PHP",
    _skipped(rf"{_SLASHES}|#(?!\[)[^\n]*", _DOUBLE, _SINGLE),
    _defined(r"(?:function|class|interface|trait|enum)[ \t]+&?\w+"),
    above=("//", "/*", "*", "#"),
)
_SWIFT = Language(
    "Swift",
    _skipped(_SLASHES, _TRIPLE, _DOUBLE),
    _defined(
        r"(?:func|class|struct|enum|protocol|extension|actor)[ \t]+[\w.]+"
        r"|init(?=[?!]?[ \t]*[<(])",
        words=r"^[ \t]{0,100}(?:@\w+[ \t]+){0,3}(?:[a-z]+(?:\([^()\n]{0,40}\))?[ \t]+){0,6}",
    ),
    above=_C_ABOVE,
)
_KOTLIN = Language(
    "Kotlin",
    _skipped(_SLASHES, _TRIPLE, _DOUBLE, _LETTER),
    _defined(r"(?:class|interface|object|fun)[ \t]+(?:<[^>\n]{0,200}>[ \t]*)?[\w.]+"),
    ends="indent",
    closing=("}",),
    above=_C_ABOVE,
)
_SCALA = Language(
    "Scala",
    _skipped(_SLASHES, _TRIPLE, _DOUBLE, _LETTER),
    _defined(r"(?:class|object|trait|enum|def)[ \t]+\w+"),
    ends="indent",
    closing=("}", "end "),
    above=_C_ABOVE,
)
_PYTHON = Language(
    "Python",
    _skipped(r"#[^\n]*", _TRIPLES, _DOUBLE, _SINGLE),
    _defined(r"(?:def|class)[ \t]+\w+", words=r"^[ \t]{0,100}(?:async[ \t]+)?"),
    ends="indent",
    above=("#", "@"),
)
_RUBY = Language(
    "Ruby",
    _skipped(rf"^=begin\b(?:.*?^=end\b|.*)|{_HASH}", _DOUBLE, _SINGLE),
    _defined(r"(?:def|class|module)[ \t]+[\w:.]+[?!=]?"),
    ends="indent",
    closing=("end",),
    above=("#",),
)
_LUA = Language(
    "Lua",
    _skipped(_LUA_COMMENT, _LUA_LONG, _DOUBLE, _SINGLE),
    _defined(r"function[ \t]+[\w.:]+"),
    ends="indent",
    closing=("end",),
    above=("--",),
)
_SHELL = Language(
    "Shell",
    _skipped(_HASH, _DOUBLE, r"'[^'\n]*'?"),
    _defined(r"function[ \t]+[\w:.-]+|[\w:.-]+(?=[ \t]*\([ \t]*\))", words=r"^[ \t]{0,100}"),
    above=("#",),
)
_PERL = Language(
    "Perl",
    _skipped(rf"^=[a-z]\w*(?:.*?^=cut\b|.*)|{_HASH}", _DOUBLE, _SINGLE),
    _defined(r"sub[ \t]+[\w:']+", words=r"^[ \t]{0,100}"),
    above=("#",),
)
_R = Language(
    "R",
    _skipped(r"#[^\n]*", _DOUBLE, _SINGLE),
    _defined(r"[\w.]+[ \t]*(?:<-|=)[ \t]*function\b", words=r"^[ \t]{0,100}"),
    above=("#",),
)
_SQL = Language(
    "SQL",
    _skipped(rf"{_DASHES}|/\*(?:.*?\*/|.*)", _DOLLARS, r"'[^']*(?:''[^']*)*'?"),
    _defined(
        r"CREATE[ \t]+(?:\w+[ \t]+){0,6}?(?:TABLE|VIEW|FUNCTION|PROCEDURE|TRIGGER|INDEX|TYPE"
        r"|SEQUENCE|SCHEMA|DATABASE)[ \t]+(?:IF[ \t]+NOT[ \t]+EXISTS[ \t]+)?[\w.\"`\[\]]+",
        words=r"^[ \t]{0,100}",
        flags=re.IGNORECASE,
    ),
    ends="statement",
    above=("--",),
)
_CPP = Language("C++", _C.skipped, _C.defined, above=_C.above, bare=True)

LANGUAGES: Mapping[str, Language] = {
    ".py": _PYTHON, ".js": _JAVASCRIPT, ".jsx": _JAVASCRIPT, ".mjs": _JAVASCRIPT,
    ".ts": _TYPESCRIPT, ".tsx": _TYPESCRIPT, ".java": _JAVA, ".c": _C, ".h": _C,
    ".cc": _CPP, ".cpp": _CPP, ".hpp": _CPP, ".cs": _CSHARP, ".go": _GO, ".rs": _RUST,
    ".rb": _RUBY, ".php": _PHP, ".swift": _SWIFT, ".kt": _KOTLIN, ".scala": _SCALA,
    ".sql": _SQL, ".sh": _SHELL, ".r": _R, ".lua": _LUA, ".pl": _PERL,
    ".toml": Language("TOML"), ".yaml": Language("YAML"), ".yml": Language("YAML"),
    ".json": Language("JSON"),
}  # fmt: skip
"""By the suffix of a file's name."""
