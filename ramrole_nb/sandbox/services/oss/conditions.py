"""If-Match and its kin, for reading an object and for the source of a copy.

Source: https://github.com/AlibabaCloudDocs/oss (API Reference: GetObject, CopyObject; Troubleshooting, HTTP 412)
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping

from ...errors import OssError
from ...exchange import http_date

__all__ = ["holds", "not_modified"]


def holds(headers: Mapping[str, str], row: sqlite3.Row, *, prefix: str = "") -> None:
    """Raise PreconditionFailed where If-Match or If-Unmodified-Since does not hold."""
    match, until = (
        headers.get(f"{prefix}if-match"),
        http_date(headers.get(f"{prefix}if-unmodified-since", "")),
    )
    if (match is not None and not _named(match, row)) or (until is not None and int(row["modified"]) > until):
        raise OssError(
            412, "PreconditionFailed", "At least one of the pre-conditions you specified did not hold."
        )


def not_modified(headers: Mapping[str, str], row: sqlite3.Row, *, prefix: str = "") -> bool:
    """Tell whether the answer is 304: If-None-Match names this object, or it is not newer than If-Modified-Since."""
    other = headers.get(f"{prefix}if-none-match")
    if other is not None:
        return _named(other, row)
    since = http_date(headers.get(f"{prefix}if-modified-since", ""))
    return since is not None and int(row["modified"]) <= since


def _named(header: str, row: sqlite3.Row) -> bool:
    etag = row["etag"].strip('"')
    return etag in {part.strip().strip('"').upper() for part in header.split(",")}
