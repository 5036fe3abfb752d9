"""Threat intelligence: STIX in bundles and on TAXII servers, and reports with indicators."""

from __future__ import annotations

from collections.abc import Mapping

from connectors.base import Access, Connector
from connectors.options import read_options
from rag.errors import UsageError

__all__ = ["open_attack", "open_reports", "open_taxii"]


def open_attack(place: str, options: Mapping[str, str], access: Access) -> Connector:
    """The connector for "enterprise-attack.json", "bundles/" or "https://host/bundle.json".

    Raises:
        UsageError: no place is named, its address is malformed, or an option is wrong.
    """
    from connectors.attack.connector import StixConnector
    from connectors.attack.options import StixOptions
    from connectors.attack.places import BundleAddress, BundleFiles

    place = _named(place, "attack", "enterprise-attack.json")
    chosen = read_options(StixOptions, options, "attack")
    if _is_address(place):
        return StixConnector(BundleAddress(place, access), chosen)
    return StixConnector(BundleFiles(place, access.most_bytes), chosen)


def open_taxii(place: str, options: Mapping[str, str], access: Access) -> Connector:
    """The connector for "https://host/api1/collections/ID/#login=acme".

    Raises:
        UsageError: the address is malformed, an option is wrong, or there is no such login.
    """
    from connectors.attack.connector import StixConnector
    from connectors.attack.options import TaxiiOptions
    from connectors.attack.taxii import TaxiiCollection

    place = _named(place, "taxii", "https://host/api1/collections/ID/")
    chosen = read_options(TaxiiOptions, options, "taxii")
    return StixConnector(TaxiiCollection(place, access, chosen.login), chosen)


def open_reports(place: str, options: Mapping[str, str], access: Access) -> Connector:
    """The connector for threat reports in "reports/", "report.pdf" or "reports/**/*.md".

    Raises:
        UsageError: no place is named, or an option is wrong.
    """
    from connectors.attack.options import ReportOptions
    from connectors.attack.reports import ReportsConnector

    place = _named(place, "reports", "threat-reports/")
    return ReportsConnector(place, read_options(ReportOptions, options, "reports"))


def _named(place: str, scheme: str, example: str) -> str:
    if not place.strip():
        raise UsageError(f"{scheme}: names no place", hint=f"write {scheme}:{example}")
    return place.strip()


def _is_address(place: str) -> bool:
    return place.lower().startswith(("http://", "https://"))
