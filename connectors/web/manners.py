"""What a site asks of those who read it by machine: robots.txt, and time between requests."""

from __future__ import annotations

from collections.abc import Callable
from threading import RLock

from protego import Protego

from connectors.net.client import RequestFailed, Response
from connectors.net.throttle import Throttle
from connectors.web.urls import normal, origin_of
from rag.errors import DocumentError

__all__ = ["AGENT", "Disallowed", "Manners"]

AGENT = "spanrag"
_MOST_BYTES = 512 * 2**10
_LONGEST_DELAY = 30.0  # seconds; more would be a way to say no, for which there are better ones
_MOST_SITES = 100  # remembered at once


class Disallowed(DocumentError):
    """A page that the site's robots.txt asks not to read."""


class Manners:
    """Keeps to robots.txt, and to so many requests a second or fewer where it asks for that.

    A robots.txt that is not there (4xx) allows everything; one that cannot be had now allows
    nothing, and is an error. Several threads may share one.

    Args:
        per_second: the most requests a second to a site.
        get: asks for an address; `check` is called with whatever it asks for.
    """

    def __init__(self, per_second: float, get: Callable[[str, int], Response]) -> None:
        self._per_second = per_second
        self._get = get
        self._rules: dict[str, Protego] = {}
        self._turns: dict[str, Throttle] = {}
        self._lock = RLock()
        self._reading = False

    def check(self, address: str) -> None:
        """Wait until the address may be asked for.

        Raises:
            Disallowed: it may not.
            RequestFailed: nobody knows: its robots.txt cannot be had.
        """
        if not self.allows(address):
            raise Disallowed(f"{address}: robots.txt asks not to read it", hint="ask its owner")
        with self._lock:
            turns = self._turns.setdefault(_site(address), Throttle(self._per_second))
        turns.wait()

    def allows(self, address: str) -> bool:
        """Whether the address may be asked for; errors as of `check`."""
        with self._lock:
            # Whatever the robots.txt of a site redirects to is read as such.
            return self._reading or self._of(_site(address)).can_fetch(address, AGENT)

    def sitemaps(self, address: str) -> list[str]:
        """The sitemaps that the robots.txt of this address's site names; errors as of `check`."""
        with self._lock:
            return [*self._of(_site(address)).sitemaps]

    def _of(self, site: str) -> Protego:
        if site not in self._rules:
            if len(self._rules) >= _MOST_SITES:
                self._rules.clear()
                self._turns.clear()
            self._rules[site] = rules = Protego.parse(self._read(site))
            delay = min(rules.crawl_delay(AGENT) or 0.0, _LONGEST_DELAY)
            if delay * self._per_second > 1:
                self._turns[site] = Throttle(1 / delay)
        return self._rules[site]

    def _read(self, site: str) -> str:
        self._reading = True
        try:
            return self._get(f"{site}/robots.txt", _MOST_BYTES).content.decode("utf-8", "replace")
        except RequestFailed as error:
            # As RFC 9309 has it; 429 is no "there is none", but a request to come back later.
            if 400 <= error.status < 500 and error.status != 429:
                return ""
            raise
        finally:
            self._reading = False


def _site(address: str) -> str:
    return origin_of(normal(address))
