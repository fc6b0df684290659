"""Transfers: one object down or up, verified by length and CRC64, over an `oss2.Bucket` that the caller gives."""

from .common import MAX_PUT, TIMEOUTS
from .crc import crc64_backend
from .download import DownloadResult, download
from .target import file_name
from .upload import UploadResult, upload

__all__ = [
    "MAX_PUT",
    "TIMEOUTS",
    "DownloadResult",
    "UploadResult",
    "crc64_backend",
    "download",
    "file_name",
    "upload",
]
