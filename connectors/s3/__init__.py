"""Documents that are objects in a bucket: Amazon S3, or any server that speaks its protocol."""

from connectors.s3.client import S3Options
from connectors.s3.connector import S3Connector, open_s3

__all__ = ["S3Connector", "S3Options", "open_s3"]
