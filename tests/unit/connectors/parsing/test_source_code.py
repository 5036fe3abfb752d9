from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.parsing.code_languages import LANGUAGES
from connectors.parsing.source_code import parse
from rag.errors import DocumentError

PYTHON = '''"""Module."""
import os

X = """
def not_this():
"""

# What it is.
@dataclass(
    frozen=True)
class Foo(Base):
    """Doc
def nor_this(): the string goes on
    """
    @property
    # why
    async def bar(
        self,
        x: int = 3,
    ) -> int:
        def inner():
            return {
    1: 2}
        return inner()  # class Late

    def baz(self): ...

def qux(a=")"):
    """Only a
docstring."""


print("end")
'''
JAVASCRIPT = r"""import x from 'y';

/**
 * Adds.
 */
export default async function add(a, { b } = {}) {
  const brace = "}", pattern = /["'{]/g, text = `${a} }`;
  for (const each of []) {
    call(each, () => {
    });
  }
  if (a) { return b }
}
export class Foo extends Bar {
  #secret = 1;
  constructor(x) {
    super(x);
  }
  static async get(name) {
    return name
  }
}
const arrow = async (x) => {
  return x;
};
const short = x => x + 1;
const plain = (a + b) * { c: 1 }.c;
let later = function () {
};
describe("it", () => {
  it("works", function () { expect(1).toBe(1) });
});
"""
TYPESCRIPT = """interface Shape {
  area(): number;
}
export type Named = {
  name: string;
};
namespace A.B {
  export abstract class Foo<T> implements Shape {
    private area(unit?: string): number {
      return 1;
    }
  }
}
enum Color { Red }
declare function f(x: string): void;
"""
JAVA = """package a.b;

/** A stack. */
@Deprecated
public final class Stack<T> extends Base implements Iface {
    private int size = 0;

    public Stack(int n) {
        for (int i = 0; i < n; i++) { push(null); }
    }

    @Override
    public <E> Map<String, List<E>> items(final String... names) throws IOException,
            Oops {
        if (names == null) {
            throw new Oops() {
            };
        }
        return "}{".length() > '{' ? null : new Map<>();
    }

    abstract void none();

    enum Kind { A, B }
}
interface Other { int f(); }
record Point(int x, int y) { }
"""
C = r"""#include <stdio.h>
#define MAX(a, b) ((a) > (b) ? (a) : (b))

struct point { int x; };
struct point *make(int x, int y);
typedef enum color { RED } color;

/* The main one { */
static const char *
name_of(const struct point *p)
{
    list_for_each(item, list) {
        use(item);
    }
    while (p) { printf("{%c\n", '}'); }
    return 0;
}

int main(int argc, char **argv) {
    return 0;
}
"""
CPP = """namespace a::b {
template <typename T>
class BASE_API Stack : public Base<T> {
 public:
  explicit Stack(int n) : n_(n), m_(0) {}
  ~Stack() override { clear(); }
  T pop() const noexcept {
    return R"x(})x"[0];
  }
};
}  // namespace

template <typename T>
void Stack<T>::push(T const& value) {
  data.push_back(value);
}
"""
CSHARP = """namespace Acme.Web
{
    /// <summary>Does.</summary>
    [ApiController]
    public class Home : Controller
    {
        private string path = @"C:\\";
        public async Task<IActionResult> Index(int id = 0)
        {
            using (var x = Open()) { }
            return View($"{id}");
        }
    }
}
"""
GO = """package main

// Server serves.
type Server struct {
	mux map[string]func()
}

func (s *Server) Start(addr string) (err error) {
	go func() { }()
	return nil
}

func Map[T any](xs []T) {
	r := '{'
}

var x = `
func no() {
`
"""
RUST = """#[derive(Debug)]
pub struct Foo<'a> { x: &'a str }
struct Unit;

impl<'a> Display for Foo<'a> {
    // Says.
    pub(crate) async fn fmt(&self) -> Result<()>
    where
        Self: Sized,
    {
        let s = r#"fn no() { " "#;
        match c { '{' => 1 }
    }
}

trait T { fn only(&self); }
"""
RUBY = """module Acme
  # Says.
  class Foo < Bar
    def self.call?(x)
      x.each do |y|
        puts "def no"
      end
    end

    private def name = "x"
  end
end
"""
PHP = """<h1>Don't</h1>
<?php
namespace A;
// Does.
abstract class Foo {
  public static function bar($x) { return "{$x}"; }
  abstract function none();
}
function baz(): ?int {
}
"""
SWIFT = """public struct Foo: Codable {
  init?(x: Int) {
  }
  @discardableResult
  func bar<T>(_ x: T) -> Int where T: Equatable {
    return 1
  }
}
extension Foo: P {
}
"""
KOTLIN = """data class Foo(val x: Int)

class Bar(
    val x: Int,
) : Base(x) {
    fun one() = 1
    override fun String.two(
        y: Int,
    ): Int {
        return y
    }
}
val z = 1
"""
SCALA = """object Main extends App {
  def f(x: Int): Int =
    x + 1
  private def g = 2
}
trait T:
  def h: Int
end T
val x = 1
"""
SQL = """-- People.
CREATE TABLE IF NOT EXISTS people (
  id int -- the ; id
);
create or replace view v AS
SELECT ';' FROM people;
INSERT INTO people VALUES (1);
CREATE FUNCTION f() RETURNS int AS $x$
  CREATE TABLE no (id int);
$x$ LANGUAGE sql;
CREATE PROCEDURE p() AS
BEGIN
  IF 1 THEN SELECT 1; END IF;
END;
GRANT ALL;
"""
SHELL = """#!/bin/sh
# Says hello.
hello() {
  echo "it's { $# ${#x}" # }
}
function bye {
  echo 'x'
}
hello
"""
R = """# Adds.
add <- function(a, b) {
  a + b
}
x <- add(1, 2)
"""
LUA = """--[[ function no()
]]
local function f(x)
  return function() end
end
function M.g()
  x = [==[ end
]==]
end
"""
PERL = """=pod

sub no {

=cut

# Says.
sub yes {
    my $n = $#list; # }
    return { a => 1 };
}
1;
"""

SAMPLES = {
    ".py": (PYTHON, {
        "class Foo": '# What it is.\n@dataclass(\n    frozen=True)\nclass Foo|baz(self): ...',
        "def bar": "    @property\n    # why\n    async def bar(|return inner()",
        "def inner": "        def inner():|1: 2}",
        "def baz": "    def baz(self): ...|def baz(self): ...",
        "def qux": 'def qux(a=")"):|docstring."""',
    }),
    ".js": (JAVASCRIPT, {
        "function add": "/**\n * Adds.\n|return b }\n}",
        "class Foo": "export class Foo|return name\n  }\n}",
        "constructor": "  constructor(x)|super(x);\n  }",
        "get": "  static async get|return name\n  }",
        "const arrow": "const arrow|return x;\n}",
        "let later": "let later|() {\n}",
    }),
    ".ts": (TYPESCRIPT, {
        "interface Shape": "interface Shape|number;\n}",
        "type Named": "export type Named|string;\n}",
        "namespace A.B": "namespace|}\n  }\n}",
        "class Foo": "  export abstract|}\n  }",
        "area": "    private area|1;\n    }",
        "enum Color": "enum|Red }",
    }),
    ".java": (JAVA, {
        "class Stack": "/** A stack. */\n@Dep|A, B }\n}",
        "Stack": "    public Stack(|}\n    }",
        "items": "    @Override\n    public|>();\n    }",
        "enum Kind": "    enum|B }",
        "interface Other": "interface|f(); }",
        "record Point": "record|{ }",
    }),
    ".c": (C, {
        "struct point": "struct point {|x; }",
        "enum color": "typedef|RED }",
        "name_of": "name_of(|return 0;\n}",
        "main": "int main|return 0;\n}",
    }),
    ".cpp": (CPP, {
        "namespace a::b": "namespace|};\n}",
        "class BASE_API Stack": "template <typename T>\nclass|}\n}",
        "Stack": "  explicit|(0) {}",
        "~Stack": "  ~Stack|clear(); }",
        "pop": "  T pop|[0];\n  }",
        "Stack<T>::push": "template <typename T>\nvoid|);\n}",
    }),
    ".cs": (CSHARP, {
        "namespace Acme.Web": "namespace|}\n}",
        "class Home": "    /// <summary>|}\n    }",
        "Index": "        public async|);\n        }",
    }),
    ".go": (GO, {
        "type Server": "// Server serves.|()\n}",
        "func (s *Server) Start": "func (s|nil\n}",
        "func Map": "func Map|'{'\n}",
    }),
    ".rs": (RUST, {
        "struct Foo": "#[derive|str }",
        "impl<'a> Display for Foo<'a>": "impl|}\n}",
        "fn fmt": "    // Says.|}\n    }",
        "trait T": "trait|self); }",
    }),
    ".rb": (RUBY, {
        "module Acme": "module|\nend",
        "class Foo": "  # Says.|  end",
        "def self.call?": "    def self|    end",
        "def name": '    private|"x"',
    }),
    ".php": (PHP, {
        "class Foo": "// Does.|none();\n}",
        "function bar": '  public static|"; }',
        "function baz": "function baz|{\n}",
    }),
    ".swift": (SWIFT, {
        "struct Foo": "public|1\n  }\n}",
        "init": "  init|{\n  }",
        "func bar": "  @discard|1\n  }",
        "extension Foo": "extension|{\n}",
    }),
    ".kt": (KOTLIN, {
        "class Foo": "data|Int)",
        "class Bar": "class Bar|    }\n}",
        "fun one": "    fun one|= 1",
        "fun String.two": "    override|y\n    }",
    }),
    ".scala": (SCALA, {
        "object Main": "object|= 2\n}",
        "def f": "  def f|x + 1",
        "def g": "  private|= 2",
        "trait T": "trait|end T",
        "def h": "  def h|Int",
    }),
    ".sql": (SQL, {
        "CREATE TABLE IF NOT EXISTS people": "-- People.|\n);",
        "create or replace view v": "create|people;",
        "CREATE FUNCTION f": "CREATE FUNCTION|LANGUAGE sql;",
        "CREATE PROCEDURE p": "CREATE PROCEDURE|\nEND;",
    }),
    ".sh": (SHELL, {"hello": "#!/bin/sh\n# Says|# }\n}", "function bye": "function|'x'\n}"}),
    ".r": (R, {"add <- function": "# Adds.|a + b\n}"}),
    ".lua": (LUA, {
        "function f": "--[[ function no()\n]]\nlocal|end\nend",
        "function M.g": "function M|]==]\nend"
    }),
    ".pl": (PERL, {"sub yes": "# Says.|1 };\n}"}),
}  # fmt: skip


@pytest.mark.parametrize("suffix", SAMPLES)
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_definitions_are_sections_with_what_is_said_above_them(suffix: str, end: str) -> None:
    sample, expected = SAMPLES[suffix]
    text = sample.replace("\n", end)
    parsed = parse(text.encode(), LANGUAGES[suffix])
    assert parsed.text == text
    assert parsed.meta == {"language": LANGUAGES[suffix].name}
    assert [section.title for section in parsed.sections] == list(expected)
    for section in parsed.sections:
        held = section.span.text_in(text).replace("\r\n", "\n")
        begins, ends = expected[section.title].split("|")
        assert held.startswith(begins)
        assert held.endswith(ends)
        assert section.title in " ".join(held.split())


def test_methods_lie_in_their_classes() -> None:
    parsed = parse(PYTHON.encode(), LANGUAGES[".py"])
    assert [(s.title, s.level) for s in parsed.sections] == [
        ("class Foo", 1), ("def bar", 2), ("def inner", 3), ("def baz", 2), ("def qux", 1)
    ]  # fmt: skip


@pytest.mark.parametrize("suffix", [".toml", ".yaml", ".yml", ".json"])
def test_data_stays_as_it_is(suffix: str) -> None:
    parsed = parse(b'def: "x"\nclass Foo {\n}', LANGUAGES[suffix])
    assert parsed.text == 'def: "x"\nclass Foo {\n}'
    assert parsed.sections == ()


def test_a_syntax_error_does_no_harm() -> None:
    parsed = parse(b"def a(:\n  x = 'oops\n\ndef b(]]):\n  }\nclass\n", LANGUAGES[".py"])
    assert [s.title for s in parsed.sections] == ["def a", "def b"]


@pytest.mark.parametrize("suffix", SAMPLES)
@pytest.mark.parametrize(
    "piece",
    ["a{(", "f(\n", "int f() {", " \n", "/*", "'\n\"", "=/[", "def f(\n", '"""\\', "\t", "{"],
)
def test_what_no_one_wrote_by_hand_is_read_in_time(suffix: str, piece: str) -> None:
    text = piece * (50_000 // len(piece))
    parsed = parse(text.encode(), LANGUAGES[suffix])
    assert parsed.text == text
    assert max((section.level for section in parsed.sections), default=0) <= 24


@pytest.mark.parametrize("suffix", SAMPLES)
def test_a_minified_file_has_no_sections(suffix: str) -> None:
    text = "function f(a){return a};" * 50_000
    assert parse(text.encode(), LANGUAGES[suffix]).sections == ()


def test_binary_data_is_no_code() -> None:
    with pytest.raises(DocumentError, match=r"^not text"):
        parse(bytes(range(256)) * 10, LANGUAGES[".ts"])  # a video has this suffix, too


pieces = st.sampled_from(
    ["def f():", "class A {", "int f(int a) {", "}", "{", "(", ")", "'", '"', "/*", "*/", "#",
     "//", "    ", "\t", "\n", "\r\n", "end", "x;", "CREATE TABLE t", "BEGIN", "END", "func g()",
     "é", "`"]
)  # fmt: skip


@given(st.sampled_from(sorted(LANGUAGES)), st.lists(pieces, max_size=40))
def test_any_soup_has_a_map_that_nests(suffix: str, soup: list[str]) -> None:
    text = "".join(soup) or "x"
    parsed = parse(text.encode(), LANGUAGES[suffix])
    assert parsed.text == text
    for at, section in enumerate(parsed.sections):
        assert section.title in " ".join(section.span.text_in(text).split())
        for inner in parsed.sections[at + 1 :]:
            if inner.span.touches(section.span):
                assert section.span.covers(inner.span)
                assert inner.level > section.level
