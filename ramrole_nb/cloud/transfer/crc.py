"""Which code computes the CRC64."""

from __future__ import annotations

__all__ = ["crc64_backend"]


def crc64_backend() -> str:
    """Return what computes CRC64 here, e.g. `fastcrc 0.5.0 (compiled)`."""
    from importlib.metadata import version

    return f"fastcrc {version('fastcrc')} (compiled)"
