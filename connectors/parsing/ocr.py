"""Optical character recognition: the text of a scanned page, with the models of RapidOCR.

Needs the extra `ocr`; the models come inside its package, nothing is downloaded. Only pages of a
PDF are read so. Pictures are no format of their own: a folder of documents often holds thousands
of photos and screenshots, and reading each for seconds would surprise whoever ingests it.

The lines are cut into words at the white between them before they are read: the recogniser was
trained mostly on Chinese, which has no spaces, and leaves out most of those in a long line.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from importlib.util import find_spec
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["OCR_VERSION", "available", "read"]

OCR_VERSION = "ocr-1"

_THREADS = 1  # of onnxruntime: more of them mostly wait for each other, spinning
_SMALLEST = 32  # pixels: a page less wide or high than that holds no line of text
_SURE = 0.5  # a word read with less confidence is a smudge, or a piece of a picture
_FAINT = 24  # of 255: a line whose lightest and darkest differ by less is blank
# The white between two words, as a share of the line's height: what it may be at the least and
# at the most; the page's own letters say where in between.
_LEAST_GAP, _MOST_GAP = 0.22, 0.4
_DIGIT_GAP = 0.32  # the white between two numbers is at least that much
_IN_NUMBERS = tuple("0123456789.,%")
_MARGIN = 0.12  # of a line's height, kept white around a word

_Pixels = NDArray[np.uint8]
_Box = NDArray[np.float32]  # (4, 2): the corners' x and y in pixels, clockwise from the top left

_ENGINE = Lock()  # the engine keeps state while it reads a page


def available() -> bool:
    """Whether the package for it is installed, found out without importing it."""
    return find_spec("rapidocr_onnxruntime") is not None


def read(page: _Pixels) -> str:
    r"""The text of a page: lines from top to bottom, "\n" between them; "" if there is none.

    What stands side by side is one line, with a space between: columns are not told apart.
    Pages take turns.

    Args:
        page: its grey levels, of shape (height, width).
    """
    if min(page.shape) < _SMALLEST:
        return ""
    with _ENGINE:
        engine = _engine()
        image = np.repeat(page[:, :, None], 3, axis=2)
        found, _ = engine(image, use_cls=False, use_rec=False)
        if not found:
            return ""
        boxes: list[_Box] = [np.asarray(box, dtype=np.float32) for box in found]
        crops = engine.get_crop_img_list(image, boxes)
        return _text(boxes, _read_words(engine, crops))


@cache
def _engine() -> Any:
    """The only one there is, made when the first page is read (under the lock)."""
    from rapidocr_onnxruntime import RapidOCR  # type: ignore[import-untyped]

    return RapidOCR(
        intra_op_num_threads=_THREADS,
        inter_op_num_threads=1,
        det_limit_type="max",  # never enlarges: a page 2 pixels wide would become enormous
        rec_img_shape=[3, 48, 48],  # words are short: do not widen each to 320 pixels
        rec_batch_num=16,
    )


def _read_words(engine: Any, crops: Sequence[_Pixels]) -> list[str]:
    """The words of each line, joined by spaces."""
    inks = [_inked(crop[:, :, 0]) for crop in crops]
    least = _gap_of_words(inks, [len(crop) for crop in crops])
    pieces: list[_Pixels] = []
    owners: list[tuple[int, float]] = []  # the line of each, and the white before it
    for number, (crop, ink) in enumerate(zip(crops, inks, strict=True)):
        margin = max(1, round(_MARGIN * len(crop)))
        before = 0
        for start, end in _words_in(ink, least * len(crop)):
            pieces.append(crop[:, max(0, start - margin) : end + margin])
            owners.append((number, (start - before) / len(crop)))
            before = end
    lines = ["" for _ in crops]
    results = engine.text_rec(pieces)[0] if pieces else []
    for (number, white), (word, score) in zip(owners, results, strict=True):
        if score >= _SURE:
            lines[number] = _joined(lines[number], " ".join(word.split()), white)
    return lines


def _joined(line: str, word: str, white: float) -> str:
    """A line and its next word; the white around a narrow 1 does not tear a number apart."""
    torn = white < _DIGIT_GAP and line[-1:].isdigit() and word[:1] in _IN_NUMBERS
    return (line + word if torn else f"{line} {word}").strip()


def _inked(line: _Pixels) -> NDArray[np.bool_]:
    """Whether each column of a line's picture holds ink: what differs from its background."""
    height = len(line)
    middle = line[height // 20 : height - height // 10]  # not the line above, nor a rule below
    if middle.size == 0 or np.ptp(middle) < _FAINT:
        return np.zeros(line.shape[1], dtype=np.bool_)
    away = np.abs(middle.astype(np.int16) - np.int16(np.median(middle)))
    inked = (away > 0.35 * away.max()).sum(axis=0)
    return np.asarray(inked > 0.02 * height, dtype=np.bool_)


def _runs(columns: NDArray[np.bool_]) -> NDArray[np.intp]:
    """Where each run of true columns starts and ends, of shape (runs, 2)."""
    edges = np.diff(np.concatenate(([False], columns, [False])).astype(np.int8))
    return np.stack([np.flatnonzero(edges == 1), np.flatnonzero(edges == -1)], axis=1)


def _words_in(ink: NDArray[np.bool_], least: float) -> Iterator[tuple[int, int]]:
    """First and last column of each word: ink without a gap of `least` columns in it."""
    runs = _runs(ink)
    if len(runs):
        wide = np.flatnonzero(runs[1:, 0] - runs[:-1, 1] >= least)
        starts = [0, *(wide + 1)]
        ends = [*wide, len(runs) - 1]
        for first, last in zip(starts, ends, strict=True):
            yield int(runs[first, 0]), int(runs[last, 1])


def _gap_of_words(inks: Sequence[NDArray[np.bool_]], heights: Sequence[int]) -> float:
    """How wide the white between words is at the least, as a share of a line's height.

    Gaps are of two kinds, between letters and between words; the border that is asked for is the
    one that parts the page's gaps into the two groups that lie farthest apart (Otsu's method).
    """
    shares = [np.zeros(0)]
    for ink, height in zip(inks, heights, strict=True):
        runs = _runs(ink)
        shares.append((runs[1:, 0] - runs[:-1, 1]) / height)
    gaps = np.sort(np.concatenate(shares))
    gaps = gaps[gaps < 1]  # wider ones part columns of a table
    if len(gaps) < 2:
        return _LEAST_GAP
    below = np.arange(1, len(gaps))
    sums = np.cumsum(gaps)
    apart = sums[:-1] / below - (sums[-1] - sums[:-1]) / (len(gaps) - below)
    border = int(np.argmax(below * (len(gaps) - below) * apart**2))
    return float(np.clip((gaps[border] + gaps[border + 1]) / 2, _LEAST_GAP, _MOST_GAP))


def _text(boxes: Sequence[_Box], texts: Sequence[str]) -> str:
    """Texts in reading order; two share a line if half of the lower one's height does."""
    rows: list[tuple[float, float, list[tuple[float, str]]]] = []
    boxed = zip(boxes, texts, strict=True)
    for box, text in sorted(boxed, key=lambda pair: float(pair[0][:, 1].mean())):
        if not text:
            continue
        left, top = (float(side) for side in box.min(axis=0))
        bottom = float(box[:, 1].max())
        if rows:
            above, below, row = rows[-1]
            shared = min(bottom, below) - max(top, above)
            if shared >= 0.5 * min(bottom - top, below - above):
                row.append((left, text))
                continue
        rows.append((top, bottom, [(left, text)]))
    return "\n".join(" ".join(text for _, text in sorted(row)) for _, _, row in rows)
