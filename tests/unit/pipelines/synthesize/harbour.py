"""Two small documents, and windows and tasks made of texts."""

from __future__ import annotations

from pipelines.synthesize.draft import Task
from pipelines.synthesize.windows import Reading, Window
from rag.settings import QuestionKind
from rag.types import Document

HARBOUR = """\
The harbour of Lenz is a deep-water port on the northern coast of the island.

In May the harbour office recorded 412 arrivals in all weathers. Gross tonnage was 1.3 million \
tonnes in 2019. About 54% of vessels carried timber from the mainland. According to Mirella \
Okafor, the pier needs a second crane before winter. The lighthouse was built by Anton Reyes.

To enter the basin at night, switch on the leading lights and call channel 12. Pilots should \
check the tide tables to avoid the sand bar. Traffic was lighter in March because the ice came \
late. The harbour master's association (HMA) was founded in 1921.

The Kestrel bridge spans the outer basin and carries a single railway track.

Dredging begins again in October. Divers inspect the pillars of the Kestrel bridge in spring.
"""
GARDEN = """\
The garden of Villa Orso is a public park with nine hundred roses.

Visitors numbered 20,400 in 2020. Gardeners should cover the beds to prevent damage by frost. \
The greenhouse was closed in 2018 because the roof leaked.
"""


def document(text: str, name: str = "harbour.txt") -> Document:
    return Document("file", f"/docs/{name}", f"docs/{name}", name, text)


def window_of(text: str, name: str = "harbour.txt", until: str = "") -> Window:
    """A text as one window, or its sentences up to the first that begins like this."""
    reading = Reading(document(text, name))
    every = range(len(reading.sentences))
    last = next((n for n in every if until and reading.text(n).startswith(until)), len(every))
    return Window(reading, 0, last, max(len(text), 400))


def task_of(text: str, kind: QuestionKind = "numeric", number: int = 0) -> Task:
    return Task(number, window_of(text), kind, "a harbour pilot")
