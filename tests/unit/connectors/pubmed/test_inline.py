from __future__ import annotations

import pytest
from lxml import etree

from connectors.pubmed.inline import flat_text

MATH = "http://www.w3.org/1998/Math/MathML"


def flat(inner: str) -> str:
    return flat_text(etree.fromstring(f'<t xmlns:m="{MATH}">{inner}</t>'))


@pytest.mark.parametrize(
    ("markup", "text"),
    [
        ("the <i>TERT</i> gene", "the TERT gene"),
        ("a\n   b&#160;c", "a b c"),
        ("<b>bold <i>and</i> more</b>, so", "bold and more, so"),
        ("10<sup>3</sup> cells", "10^3 cells"),
        ("10<sup>-6</sup> M", "10^-6 M"),
        ("10<sup>\u22126</sup> M", "10^\u22126 M"),
        ("10<sup><i>n</i></sup>", "10n"),
        ("1<i>0</i><sup>3</sup>", "10^3"),
        ("CD4<sup>+</sup> T cells", "CD4+ T cells"),
        ("Ca<sup>2+</sup>", "Ca2+"),
        ("<sup>13</sup>C", "13C"),
        ("km\u00b7h<sup>-1</sup>", "km\u00b7h-1"),
        ("H<sub>2</sub>O", "H2O"),
        ("5<sub>10</sub>", "5_10"),
        ("0.4-<u>&lt;</u>4.5", "0.4-\u22644.5"),
        ("<u>&gt;</u>65", "\u226565"),
        ("<u>not</u> so", "not so"),
        ("", ""),
    ],
)
def test_markup_becomes_what_a_reader_would_type(markup: str, text: str) -> None:
    assert flat(markup) == text


@pytest.mark.parametrize(
    ("markup", "text"),
    [
        ("<m:msup><m:mn>10</m:mn><m:mn>3</m:mn></m:msup>", "10^3"),
        ("<m:msubsup><m:mi>x</m:mi><m:mn>1</m:mn><m:mn>2</m:mn></m:msubsup>", "x1^2"),
        ("<m:mfrac><m:mi>a</m:mi><m:mrow><m:mi>b</m:mi><m:mo>+</m:mo><m:mi>c</m:mi></m:mrow>"
         "</m:mfrac>", "a/(b+c)"),
        ("<m:msqrt><m:mi>n</m:mi></m:msqrt>", "\u221an"),
        ("<m:mfenced><m:mi>a</m:mi><m:mi>b</m:mi></m:mfenced>", "(a,b)"),
        ("<m:mover><m:mi>x</m:mi><m:mo>\u00af</m:mo></m:mover>", "x"),
        ("<m:munderover><m:mi>S</m:mi><m:mi>i</m:mi><m:mi>n</m:mi></m:munderover>", "Sin"),
        ("<m:mmultiscripts><m:mrow><m:mi>Xe</m:mi></m:mrow><m:mprescripts/><m:none/><m:mn>129</m:mn>"
         "</m:mmultiscripts><m:mtext> </m:mtext><m:mi>MRI</m:mi>", "129Xe MRI"),
        ("<m:semantics><m:mi>x</m:mi><m:annotation>$x$</m:annotation></m:semantics>", "x"),
    ],
)  # fmt: skip
def test_a_formula_is_put_on_the_line(markup: str, text: str) -> None:
    assert flat(f"<m:math>\n  {markup}\n</m:math>") == text


def test_an_element_that_is_not_there() -> None:
    assert flat_text(None) == ""


def test_an_entity_that_is_not_expanded_says_nothing() -> None:
    parser = etree.XMLParser(resolve_entities=False)
    root = etree.fromstring('<!DOCTYPE t [<!ENTITY x "secret">]><t>a &x; b</t>', parser)
    assert flat_text(root) == "a b"


def test_markup_as_deep_as_a_parser_takes_it() -> None:
    assert flat("<i>" * 200 + "deep" + "</i>" * 200) == "deep"
    for name in ("mrow", "mmultiscripts", "msup", "msqrt"):
        deep = f"<m:{name}>" * 100 + "<m:mi>x</m:mi>" + f"</m:{name}>" * 100
        assert flat(f"<m:math>{deep}</m:math>").strip("\u221a()") == "x"
    assert flat("<sup>" * 200 + "x" + "</sup>" * 200) == "x"
