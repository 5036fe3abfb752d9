"""What a bucket's server, or boto3 on the way to it, says went wrong, as errors of the house."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from rag.errors import DocumentError, RagError, SourceError, UsageError

__all__ = ["reading"]

_LONGEST = 200  # characters of what a server says
_USER_AND_QUERY = re.compile(r"(?<=//)[^\s/@]*@|\?[^\s\"']*")

_KEYS = "check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY or the profile, and the endpoint"
_RIGHTS = "it takes s3:ListBucket and s3:GetObject; a public bucket anonymous=true"
_SIGN_IN = "sign in again, or name another profile"
_REGION = ("the bucket is in another region", "name its region: #region=...")
# What the user has to mend, by the code of the answer.
_MENDABLE: Mapping[str, tuple[str, str]] = {
    "NoSuchBucket": ("no such bucket", "check its name, the region and the endpoint"),
    "InvalidBucketName": ("no name for a bucket", "write s3://bucket/prefix"),
    "AccessDenied": ("access denied", _RIGHTS),
    "AllAccessDisabled": ("access denied", _RIGHTS),
    "InvalidAccessKeyId": ("the access key is not known there", _KEYS),
    "SignatureDoesNotMatch": ("the secret key is not the access key's", _KEYS),
    "ExpiredToken": ("the credentials have expired", _SIGN_IN),
    "InvalidToken": ("the session token is wrong", _SIGN_IN),
    "RequestTimeTooSkewed": ("this machine's clock is wrong", "set it"),
    "PermanentRedirect": _REGION,
    "AuthorizationHeaderMalformed": _REGION,
    "301": _REGION,
    "307": _REGION,
}
_OBJECT: Mapping[str, tuple[str, str]] = {
    "NoSuchKey": ("gone since it was listed", "run this again"),
    "404": ("gone since it was listed", "run this again"),
    "PreconditionFailed": ("changed since it was listed", "run this again"),
    "412": ("changed since it was listed", "run this again"),
    "InvalidObjectState": ("archived", "restore it, or add it to ignore"),
}


@contextmanager
def reading(
    what: str, host: str, failed: type[SourceError | DocumentError], *, key: bool = False
) -> Iterator[None]:
    """Tell boto3's errors as `failed`, or as the user's to mend.

    Errors of one object do not name it: whoever reports them does.

    Args:
        what: the place that is read, to show.
        host: the server.
        failed: what to raise where nothing can be mended.
        key: an object is read: all that goes wrong is `failed`.

    Raises:
        UsageError: no such bucket, no credentials, no rights.
        SourceError, DocumentError: as `failed` says.
    """
    import urllib3
    from botocore import exceptions as boto

    credentials = (
        boto.NoCredentialsError,
        boto.PartialCredentialsError,
        boto.CredentialRetrievalError,
        boto.TokenRetrievalError,
        boto.SSOError,
    )
    mend: type[RagError] = failed if key else UsageError
    what = "" if key else f"{what}: "
    try:
        yield
    except boto.ClientError as error:
        raise _refused(error.response, what, failed, key=key) from error
    except credentials as error:
        raise mend(
            f"{what}no credentials: {_line(error)}",
            hint="set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or name a profile; "
            "a public bucket takes anonymous=true",
        ) from error
    except boto.ParamValidationError as error:
        raise mend(f"{what}no name for a bucket", hint="write s3://bucket/prefix") from error
    except (
        RecursionError,
        boto.BotoCoreError,
        urllib3.exceptions.HTTPError,
        OSError,
    ) as error:
        if _in_circles(error):
            message = f"{what}{_REGION[0]}, and {host} does not say which"
            raise mend(message, hint=_REGION[1]) from error
        raise failed(
            f"{what}no answer from {host}: {_line(error)}",
            hint="check the endpoint and the network, or run this again later",
        ) from error


def _in_circles(error: Exception) -> bool:
    """Whether botocore followed a redirect without a region by asking for the region, and so on.

    Where the stack ends inside its HTTP client, that wraps the error in one of its own.
    """
    cause = getattr(error, "kwargs", {}).get("error", error)
    return isinstance(cause, RecursionError)


def _refused(
    answer: Mapping[str, Any],
    what: str,
    failed: type[SourceError | DocumentError],
    *,
    key: bool,
) -> RagError:
    said = answer.get("Error", {})
    status = answer.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    code = str(said.get("Code") or status)
    if key and code in _OBJECT:
        message, hint = _OBJECT[code]
        return failed(message, hint=hint)
    if code not in _MENDABLE and status in (401, 403):
        code = "AccessDenied"
    if code in _MENDABLE:
        message, hint = _MENDABLE[code]
        mend = failed if key else UsageError
        return mend(f"{what}{message}", hint=hint)
    return failed(f"{what}{code[:_LONGEST]}: {_cut(str(said.get('Message', '')))}")


def _line(error: Exception) -> str:
    return _cut(str(error) or type(error).__name__)


def _cut(text: str) -> str:
    """One short line, without what may be secret in an address."""
    return _USER_AND_QUERY.sub("", " ".join(text.split()))[:_LONGEST]
