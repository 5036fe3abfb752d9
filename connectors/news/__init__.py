"""News: the entries of a feed, or headlines in a CSV file tagged with whom they are about."""

from __future__ import annotations

import os
from collections.abc import Mapping

from connectors.base import Access, Connector
from connectors.options import read_options
from rag.errors import UsageError

__all__ = ["open_news"]

_TABLES = {".csv": ",", ".tsv": "\t"}


def open_news(place: str, options: Mapping[str, str], access: Access) -> Connector:
    """The connector for "https://example.org/feed.xml", "feed.xml" or "headlines.csv".

    Raises:
        UsageError: no place is named, its address is malformed, or an option is wrong.
    """
    if not place.strip():
        raise UsageError("news: names no feed", hint="write news:https://example.org/feed.xml")
    if place.lower().startswith(("http://", "https://")):
        from connectors.news.feeds import FeedConnector, FeedOptions

        return FeedConnector(place, read_options(FeedOptions, options, "news"), access)
    if delimiter := _TABLES.get(os.path.splitext(place)[1].lower()):
        from connectors.news.headlines import HeadlineOptions, HeadlinesConnector

        chosen = read_options(HeadlineOptions, options, "news")
        return HeadlinesConnector(place, chosen, delimiter=delimiter)
    from connectors.news.feeds import FeedConnector, FeedOptions

    return FeedConnector(place, read_options(FeedOptions, options, "news"), access)
