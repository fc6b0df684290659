"""What an upload reads: a path, bytes or an open file, counted and summed on the way."""

from __future__ import annotations

import io
import os
import stat
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from ...errors import InputError, IntegrityError
from .common import MAX_PUT, Meter, check

# The socket's timeout bounds each sendall as a whole, and while sending it is the one for connecting: small
# pieces keep a slow uplink (13 KB/s) inside it.
_SEND = 64 * 1024


class Source:
    """What an upload sends: a sized iterable of pieces that counts the CRC64 of what it hands out."""

    def __init__(self, source: Any, cancelled: Callable[[], bool], key: str) -> None:
        self._given = source
        self._cancelled = cancelled
        self._key = key
        self.meter = Meter(None, None)
        self.crc = 0
        self.size = 0
        self.name = ""
        self._file: Any = None
        self._own: Any = None  # what is ours to close

    def __enter__(self) -> Self:
        given = self._given
        if isinstance(given, bytes | bytearray | memoryview):
            self._own = self._file = io.BytesIO(given)
            self.size = len(self._file.getbuffer())
        elif isinstance(given, str | os.PathLike):
            try:
                path = Path(given).expanduser()
                if not stat.S_ISREG(path.stat().st_mode):  # opening a pipe would wait for its writer
                    raise InputError(f"{path} is not a regular file.", next_step="Name one file.")
                self._own = self._file = path.open("rb")
            except InputError:
                raise
            except (OSError, ValueError, RuntimeError) as refused:
                why = getattr(refused, "strerror", None) or str(refused)
                raise InputError(f"{given} cannot be read: {why}.", next_step="Check the path.") from refused
            self.name = path.name
            self.size = os.fstat(self._file.fileno()).st_size
        elif hasattr(given, "read"):
            self._file = given
            self.name = str(getattr(given, "name", ""))
            self._measure()
        else:
            raise InputError(
                f"A {type(given).__name__} cannot be uploaded.",
                next_step="Give a path, bytes, or a file opened 'rb'.",
            )
        return self

    def _measure(self) -> None:
        """Find the size of an open file; one that cannot seek is first copied to a temporary file."""
        given = self._given
        if isinstance(given, io.TextIOBase):
            raise InputError("The file is open as text.", next_step="Open it with 'rb'.")
        seekable = getattr(given, "seekable", None)
        if seekable is not None and seekable():
            here = given.tell()
            self.size = given.seek(0, os.SEEK_END) - here
            given.seek(here)
            return
        self._own = self._file = tempfile.SpooledTemporaryFile(max_size=64 << 20)  # noqa: SIM115
        try:
            while data := given.read(1 << 20):
                check(self._cancelled, self._key)
                self.size += self._file.write(data)
                if self.size > MAX_PUT:
                    break
        except BaseException:
            self._own.close()
            raise
        self._file.seek(0)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._own is not None:
            self._own.close()

    def __len__(self) -> int:
        return self.size

    def __iter__(self) -> Iterator[bytes]:
        from fastcrc import crc64

        done, self.crc = 0, 0
        while done < self.size:
            check(self._cancelled, self._key)
            data = self._file.read(min(_SEND, self.size - done))
            if not data:
                raise IntegrityError(
                    f"{self._key}: the source ended at {done:,} of {self.size:,} bytes; nothing was stored.",
                    reason="it became shorter while it was read",
                    next_step="Upload it again once nothing writes to it.",
                )
            self.crc = crc64.xz(data, self.crc) if done else crc64.xz(data)
            done += len(data)
            yield data
            self.meter(done)


def guess_type(*names: str) -> str:
    """Return the content type of the first name that tells one."""
    import mimetypes

    for name in names:
        kind, encoding = mimetypes.guess_type(name)
        if encoding:
            return {"gzip": "application/gzip", "bzip2": "application/x-bzip2", "xz": "application/x-xz"}.get(
                encoding, "application/octet-stream"
            )
        if kind:
            return kind
    return "application/octet-stream"
