"""Pages of a web site: those of its sitemap, or those that links lead to."""

from __future__ import annotations

from collections.abc import Mapping

from connectors.base import Access, Connector
from connectors.options import read_options
from connectors.web.connector import WebConnector, WebOptions

__all__ = ["WebConnector", "WebOptions", "open_http", "open_https"]


def open_http(place: str, options: Mapping[str, str], access: Access) -> Connector:
    """The connector of "http:" and this place; errors as of `open_https`."""
    return WebConnector(f"http:{place}", read_options(WebOptions, options, "http"), access)


def open_https(place: str, options: Mapping[str, str], access: Access) -> Connector:
    """The connector of "https:" and a place as in "//example.org/docs/".

    Raises:
        UsageError: the address is malformed, or an option is wrong.
    """
    return WebConnector(f"https:{place}", read_options(WebOptions, options, "https"), access)
