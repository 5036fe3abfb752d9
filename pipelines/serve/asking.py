"""From an event loop to an engine that works in threads, and whose clients may leave."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing, contextmanager, suppress
from contextvars import copy_context
from dataclasses import dataclass, replace
from functools import lru_cache
from threading import Event, Lock
from typing import Any, NamedTuple, TypeVar

from pipelines.serve.explained import Explainer
from pipelines.serve.limits import Slots
from pipelines.serve.problems import Problem, failure_outside, without_places
from pipelines.serve.schemas import Options
from rag.engine import Looked, QueryEngine, Searched, look_up
from rag.errors import ConfigError, StoreError
from rag.generation.base import Generator
from rag.index import Index
from rag.ledger import TokenLedger
from rag.routing import RoutedIndex
from rag.store import Condition, Store
from rag.trace import spanned
from rag.types import Answer, Context

__all__ = ["Asked", "Desk", "Finished", "Happening", "Staged", "Written"]

Read = TypeVar("Read")

AS_SET = Options()
_ENGINES = 32  # ways to answer that are kept ready


@dataclass(frozen=True, slots=True)
class Asked:
    """A question, how to answer it, which chunks may be shown, and whether to explain."""

    question: str
    options: Options = AS_SET
    top_k: int | None = None
    conditions: tuple[Condition, ...] = ()
    explain: bool = False


class Staged(NamedTuple):
    """A stage is done: what it let through."""

    stage: str
    context: Context


class Written(NamedTuple):
    """Some more of the answer, as the language model writes it; not verified yet."""

    text: str


class Finished(NamedTuple):
    """The answer, with its explanation where one was asked for."""

    answer: Answer
    explanation: dict[str, Any] | None


Happening = Staged | Written | Finished


class _Left(BaseException):  # no Exception: no stage is to survive it
    """Nobody waits any more."""


class _End(NamedTuple):
    """Nothing more happens, and why where that is an error."""

    error: Exception | None


class Desk:
    """Takes questions and has them answered, a bounded number at a time.

    Retrieval and the stages run one question at a time: each keeps every core busy by itself.
    Language models answer several side by side.

    Args:
        index: an open index, or several behind a router; it closes them.
        generator: who writes answers.
    """

    def __init__(self, index: Searched, generator: Generator) -> None:
        settings = index.settings.serve
        self.index = index
        self.slots = Slots(settings.concurrency, settings.waiting)
        self._generator = generator
        self._explainer = Explainer(index)
        self._timeout = settings.timeout
        self.writing = Lock()  # of several that would write one does: each keeps every core busy
        self._narrowing = Lock()
        self._threads = ThreadPoolExecutor(settings.concurrency, thread_name_prefix="question")
        self._engine = lru_cache(_ENGINES)(self._made)

    @property
    def indexes(self) -> Mapping[str, Index]:
        """By the names of their routes; one that stands alone has none."""
        return self.index.indexes if isinstance(self.index, RoutedIndex) else {"": self.index}

    async def search(
        self, question: str, top_k: int | None, conditions: Sequence[Condition]
    ) -> Looked:
        """The nearest chunks.

        Raises:
            Problem: too many questions wait, or it took too long.
            StoreError: the index does not answer.
        """
        found: list[Looked] = []
        left = Event()

        @spanned("rag.search")
        def work() -> None:
            with self._turn(left):
                looked = look_up(self.index, question, top_k=top_k, conditions=conditions)
                found.append(looked._replace(degraded=failure_outside(looked.degraded)))

        try:
            await self._run(work)
        finally:
            left.set()
        return found[0]

    async def ask(self, asked: Asked) -> AsyncGenerator[Happening, None]:
        """What happens on the way to an answer, and the answer. Who stops listening stops it.

        A language model stops after the token it is at; a stage, or one of the calls of a way of
        grounding that asks the model several times (SIFT), comes to its end first.

        Raises:
            Problem: too many questions wait, or it took too long.
            StoreError, ModelError: retrieval or generation failed.
        """
        loop, left = asyncio.get_running_loop(), Event()
        happened: asyncio.Queue[Happening | _End] = asyncio.Queue()

        def tell(what: Happening) -> None:
            if left.is_set():
                raise _Left
            loop.call_soon_threadsafe(happened.put_nowait, what)

        async def run() -> None:
            error: Exception | None = None
            try:
                await self._run(lambda: self._answer(asked, tell, left))
            except Exception as raised:  # noqa: BLE001  whoever listens raises it
                error = raised
            happened.put_nowait(_End(error))

        running = asyncio.create_task(run())
        try:
            while not isinstance(what := await happened.get(), _End):
                yield what
            if what.error:
                raise what.error
        finally:
            left.set()
            running.cancel()

    async def answer(self, asked: Asked) -> Answer:
        """The answer alone; cancelled, it is not gone on with.

        Raises:
            Problem, StoreError, ModelError: as `ask`.
        """
        return (await self.finish(asked)).answer

    async def finish(self, asked: Asked) -> Finished:
        """The last that happens: the answer, with what was asked for besides.

        Raises:
            Problem, StoreError, ModelError: as `ask`.
        """
        async with aclosing(self.ask(asked)) as happenings:
            async for what in happenings:
                if isinstance(what, Finished):
                    return what
        raise AssertionError("an answer or an error is the last that happens")

    def look(self, at: Callable[[Store], Read | None]) -> tuple[str, Read] | None:
        """The first that is read of a store, and of which route's; None where all have nothing.

        Raises:
            StoreError: one does not answer, and no other has anything.
        """
        away: StoreError | None = None
        for route in self.indexes:
            try:
                found = self._look(route, at)
            except StoreError as error:
                away = away or error
                continue
            if found is not None:
                return route, found
        if away:
            raise away
        return None

    def look_at(self, routes: Sequence[str], at: Callable[[Store], Read]) -> dict[str, Read]:
        """What is read of each of these routes' stores.

        Raises:
            StoreError: one does not answer.
        """
        return {route: self._look(route, at) for route in routes}

    def _look(self, route: str, at: Callable[[Store], Read]) -> Read:
        """What is read of a route's store, whichever is served by then."""
        while True:
            store = self.indexes[route].store
            try:
                return at(store)
            except StoreError:
                if store is self.indexes[route].store:  # or else another has taken its place
                    raise

    def move(self, index: Index, route: str = "") -> None:
        """Answer from another index (of a route) from the next question on."""
        with self._narrowing:  # nobody is at the old one
            old, now = self.indexes[route], self.index
            self.index = now.replaced(route, index) if isinstance(now, RoutedIndex) else index
            self._explainer = Explainer(self.index)
            self._engine.cache_clear()
        old.close()

    def close(self) -> None:
        """Wait for what is under way, then close the index."""
        self._threads.shutdown(cancel_futures=True)
        self.index.close()

    @contextmanager
    def _turn(self, left: Event) -> Iterator[None]:
        """One question's turn to keep the cores busy, if it is still asked when its turn comes."""
        with self._narrowing:
            if left.is_set():
                raise _Left
            yield

    @spanned("rag.query")
    def _answer(self, asked: Asked, tell: Callable[[Happening], None], left: Event) -> None:
        steps: list[Staged] = []

        def observe(stage: str, context: Context) -> None:
            steps.append(Staged(stage, context))
            tell(steps[-1])

        with self._turn(left):
            engine = self._engine(asked.options)  # in here: its store may be about to be closed
            explainer = self._explainer  # of the same embedder
            gathered = engine.gather(
                asked.question,
                top_k=asked.top_k,
                conditions=asked.conditions,
                observe=observe,
            )

        def written(text: str) -> None:
            if text:
                tell(Written(text))
            elif left.is_set():
                raise _Left

        answer = _for_clients(engine.answer(gathered, watch=written))
        explanation = None
        if asked.explain:
            with self._turn(left):  # it keeps the cores as busy as the stages do
                explanation = explainer.explain(asked.question, steps)
        tell(Finished(answer, explanation))

    def _made(self, options: Options) -> QueryEngine:
        own = self.index.under(options.applied(self.index.settings))
        try:
            return QueryEngine(own, self._generator)
        except ConfigError as error:  # what the question asks for does not go together
            raise Problem(400, "usage", str(error)) from None

    async def _run(self, work: Callable[[], None]) -> None:
        """Do it in a thread, once there is a place; that stays taken until the thread is done."""

        def quietly() -> None:
            with suppress(_Left):
                work()

        try:
            async with asyncio.timeout(self._timeout):
                give_back = await self.slots.take()
                loop = asyncio.get_running_loop()
                doing = loop.run_in_executor(self._threads, copy_context().run, quietly)
                doing.add_done_callback(lambda done: _settle(done, give_back))
                await asyncio.shield(doing)
        except TimeoutError:
            raise Problem(
                504, "timeout", f"no answer within {self._timeout:g} s; ask for less"
            ) from None


def _for_clients(answer: Answer) -> Answer:
    """Without the hosts and folders that stages name where they say what failed."""
    entries = [
        replace(each, degraded=failure_outside(each.degraded), note=without_places(each.note))
        for each in answer.ledger
    ]
    return replace(answer, ledger=TokenLedger(answer.ledger.unit, entries))


def _settle(done: asyncio.Future[Any], give_back: Callable[[], None]) -> None:
    """Whoever waited may be gone: then nobody else would look at what it came to."""
    give_back()
    if not done.cancelled():
        done.exception()
