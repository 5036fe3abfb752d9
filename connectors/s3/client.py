"""How a bucket's server is reached: boto3's client, with bounds."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

from connectors.base import Access
from connectors.net.address import parse_address
from rag.errors import ExtraMissing, UsageError

__all__ = ["S3Options", "make_client"]

_CONNECT = 10.0  # seconds


@dataclass(frozen=True, slots=True)
class S3Options:
    """How a bucket is reached, and what of it is passed over.

    Args:
        endpoint: the server, where it is not Amazon's: "https://minio.local:9000".
        region: the bucket's, where neither the environment nor the profile has one.
        profile: whose credentials, in ~/.aws/config and ~/.aws/credentials.
        anonymous: ask without credentials: a public bucket.
        ignore: patterns as in a .gitignore, relative to the prefix.
    """

    endpoint: str = ""
    region: str = ""
    profile: str = ""
    anonymous: bool = False
    ignore: tuple[str, ...] = ()


def make_client(options: S3Options, access: Access, attempts: int) -> Any:
    """boto3's client, which several threads may use (its session they may not).

    Raises:
        UsageError: no such profile, or the endpoint or region is no such thing.
        ExtraMissing: boto3 is not installed.
    """
    try:
        import boto3
        from botocore import UNSIGNED
        from botocore.config import Config
        from botocore.exceptions import BotoCoreError
    except ImportError as error:
        raise ExtraMissing("boto3", "s3") from error
    if options.endpoint and parse_address(options.endpoint).userinfo:
        raise UsageError(
            "the endpoint of an s3: source holds a password",
            hint="set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or name a profile",
        )
    config = Config(
        connect_timeout=min(access.timeout, _CONNECT),
        read_timeout=access.timeout,
        retries={"mode": "standard", "total_max_attempts": attempts},
        max_pool_connections=32,
        user_agent_extra=f"spanrag/{version('spanrag')}",
        signature_version=UNSIGNED if options.anonymous else None,
    )
    try:
        session = boto3.session.Session(
            profile_name=options.profile or None, region_name=options.region or None
        )
        return session.client("s3", endpoint_url=options.endpoint or None, config=config)
    except (BotoCoreError, ValueError) as error:
        raise UsageError(
            f"s3: {' '.join(str(error).split())}", hint="check profile, region and endpoint"
        ) from error
