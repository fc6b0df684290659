"""The Range header, in OSS's two ways of reading it.

Source: https://www.alibabacloud.com/help/en/oss/how-to-obtain-oss-resources-by-segmenting-http-range-requests
"""

from __future__ import annotations

import re

from ...errors import OssError

__all__ = ["pick"]

_ONE = re.compile(r"(\d{0,19})-(\d{0,19})")


def pick(header: str, size: int, *, standard: bool) -> tuple[int, int] | None:
    """Return (first byte, last byte), or None: the whole object with 200.

    By default a range that does not fit is ignored; with `x-oss-range-behavior: standard` an end past the object is
    cut and a start past it is 416. Of several ranges only the first is answered.
    """
    unit, _, ranges = header.partition("=")
    found = _ONE.fullmatch(ranges.split(",")[0].strip()) if unit.strip().lower() == "bytes" else None
    if found is None or found[0] == "-":
        return None
    first, last = found[1], found[2]
    if not first:
        count = int(last)
        if count == 0 or count > size:
            if standard and count > size > 0:
                return 0, size - 1  # ours: what standard does with a suffix too long is not documented
            return None
        return size - count, size - 1
    start, end = int(first), int(last) if last else size - 1
    if start >= size:
        if standard:
            raise OssError(416, "InvalidRange", "The requested range cannot be satisfied")
        return None
    if last and end < start:
        return None
    if end >= size:
        if not standard:
            return None
        end = size - 1
    return start, end
