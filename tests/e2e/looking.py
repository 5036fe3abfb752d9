"""What can be read on a page in a browser: colours as they are drawn, and their contrast."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from playwright.sync_api import Page

__all__ = ["contrast", "faint", "illegible"]

_TEXTS = """() => {
    const grounds = (e) =>
        e ? [getComputedStyle(e).backgroundColor, ...grounds(e.parentElement)] : [];
    const found = [];
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    while (walker.nextNode()) {
        const [text, e] = [walker.currentNode.data.trim(), walker.currentNode.parentElement];
        if (text && e.checkVisibility()) found.push([text, getComputedStyle(e).color, grounds(e)]);
    }
    for (const e of document.querySelectorAll("[placeholder]")) {
        found.push([e.placeholder, getComputedStyle(e, "::placeholder").color, grounds(e)]);
    }
    return found;
}"""
_LINES = """([what, property]) => [...document.querySelectorAll(what)].map((e) => {
    const grounds = (e) =>
        e ? [getComputedStyle(e).backgroundColor, ...grounds(e.parentElement)] : [];
    return [what, getComputedStyle(e)[property], grounds(e.parentElement)];
})"""


def illegible(page: Page) -> list[str]:
    """The texts whose contrast is under 4.5, which WCAG 2 asks of text (AA)."""
    return _under(4.5, page.evaluate(_TEXTS))


def faint(page: Page, what: str, of: str) -> list[str]:
    """Those elements of which this colour has a contrast under 3, which WCAG 2 asks of drawings."""
    drawn = page.evaluate(_LINES, [what, of])
    assert drawn, what
    return _under(3, drawn)


def contrast(*colours: str) -> float:
    """The contrast ratio of two CSS colours, as WCAG 2 defines it."""
    lights = []
    for colour in colours:
        parts = [each / 255 for each in _parts(colour)[:3]]
        linear = [x / 12.92 if x <= 0.03928 else ((x + 0.055) / 1.055) ** 2.4 for x in parts]
        lights.append(0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2])
    return (max(lights) + 0.05) / (min(lights) + 0.05)


def _under(least: float, drawn: list[Any]) -> list[str]:
    ratios = [(contrast(ink, _blended(grounds)), what) for what, ink, grounds in drawn]
    return [f"{ratio:.2f}: {what}" for ratio, what in ratios if ratio < least]


def _blended(grounds: list[str]) -> str:
    """What is seen of colours, the first on top; the last has to be opaque."""
    mixed = [255.0, 255.0, 255.0]
    for ground in reversed(grounds):
        *colour, share = _parts(ground)
        mixed = [share * a + (1 - share) * b for a, b in zip(colour, mixed, strict=True)]
    return f"rgb({', '.join(map(str, mixed))})"


def _parts(colour: str) -> list[float]:
    """Red, green, blue and opacity of `rgb(...)` or `rgba(...)`."""
    parts = [float(each) for each in colour[colour.index("(") + 1 : -1].split(",")]
    return parts if len(parts) == 4 else [*parts, 1.0]
