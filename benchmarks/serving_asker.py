"""The process that asks: a plan on stdin, on stdout what came of it; see serving_load.py."""

from __future__ import annotations

import asyncio
import json
import random
import signal
import sys
import time
from dataclasses import asdict

import aiohttp
from serving_load import Load, Plan, Sample

PATIENCE = 130.0  # seconds for an answer; the server's own are 120
PAUSE = 0.1  # seconds that a client waits where nobody answered


class Asker:
    """Sends requests, and keeps what came of them."""

    def __init__(self, plan: Plan, session: aiohttp.ClientSession) -> None:
        self.began = time.monotonic()
        self.until = self.began + plan.seconds
        self._plan = plan
        self._session = session
        self._draw = random.Random(plan.seed)
        self.samples: list[Sample] = []

    async def ask(self, planned: float) -> bool:
        """One request; whether there was any answer."""
        (kind,) = self._draw.choices(list(self._plan.kinds), list(self._plan.kinds.values()))
        body = {"question": self._fresh(self._draw.choice(self._plan.questions))}
        if kind == "stream":
            body["stream"] = True
        path = "/v1/search" if kind == "search" else "/v1/query"
        sent, heard = time.monotonic(), Heard()
        status = 0
        try:
            async with self._session.post(path, json=body) as response:
                await heard.listen(response)
                status = response.status
                fault = heard.fault(kind, response)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            fault = type(error).__name__
        end = time.monotonic()
        self.samples.append(
            Sample(kind, planned, sent, heard.event, heard.text, end, status, fault)
        )
        return status > 0

    def _fresh(self, question: str) -> str:
        """The same question with other gaps: the server embeds none twice that it remembers."""
        first, *others = question.split()
        return first + "".join(f"{' ' * self._draw.randint(1, 3)}{word}" for word in others)

    def stop(self) -> None:
        """Ask no more."""
        self.until = min(self.until, time.monotonic())

    async def closed(self) -> None:
        """A client of a closed loop."""
        while (now := time.monotonic()) < self.until:
            if not await self.ask(now):
                await asyncio.sleep(PAUSE)

    async def open(self) -> None:
        """An open loop: nobody waits for anybody."""
        due, asking = self.began, set()
        while (due := due + self._draw.expovariate(self._plan.rate)) < self.until:
            await asyncio.sleep(due - time.monotonic())
            task = asyncio.create_task(self.ask(due))
            asking.add(task)
            task.add_done_callback(asking.discard)
        await asyncio.gather(*asking)


class Heard:
    """What a response says, and when."""

    def __init__(self) -> None:
        self.event = 0.0
        self.text = 0.0
        self._last = b""
        self._body = b""

    async def listen(self, response: aiohttp.ClientResponse) -> None:
        """Hear it to its end."""
        if response.content_type != "text/event-stream":
            self._body = await response.read()
            return
        async for line in response.content:
            if line.startswith(b"event:"):
                self._last = line[6:].strip()
                self.event = self.event or time.monotonic()
                if self._last == b"text":
                    self.text = self.text or time.monotonic()

    def fault(self, kind: str, response: aiohttp.ClientResponse) -> str:
        """What is wrong with it, or nothing. A refusal has to say when to come again."""
        if response.status != 200:
            if response.content_type != "application/problem+json":
                return f"{response.content_type} in place of a problem"
            lacking = response.status in (429, 503) and "Retry-After" not in response.headers
            return "no Retry-After" if lacking else ""
        if kind == "stream":
            return "" if self._last == b"answer" else f"ends in {self._last.decode()!r}"
        needed = "hits" if kind == "search" else "answer"
        return "" if json.loads(self._body).get(needed) else f"no {needed}"


async def _asked(plan: Plan) -> Load:
    timeout = aiohttp.ClientTimeout(total=PATIENCE)
    async with aiohttp.ClientSession(
        plan.base, timeout=timeout, connector=aiohttp.TCPConnector(limit=0), read_bufsize=2**22
    ) as session:
        asker = Asker(plan, session)
        signal.signal(signal.SIGTERM, lambda *_: asker.stop())  # holds when the loop is over, too
        print(flush=True)
        if plan.clients:
            await asyncio.gather(*(asker.closed() for _ in range(plan.clients)))
        else:
            await asker.open()
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # what is said next is said to its end
    return Load(asker.samples, asker.began, asker.until, time.process_time())


def main() -> None:
    """Read a plan, carry it out, and write what came of it."""
    print(json.dumps(asdict(asyncio.run(_asked(Plan(**json.loads(sys.stdin.readline())))))))


if __name__ == "__main__":
    main()
