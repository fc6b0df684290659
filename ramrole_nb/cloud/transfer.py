"""One object down, one object up: verified, and never half-written.

What OSS's own SDK gets wrong here and this module does not: its `get_object_to_file` opens the target before
it asks (a 403 empties an existing file), leaves a corrupt file in place, and moves the body in 16 KiB
pieces.

The signing, the addresses and the errors are oss2's: the caller gives an `oss2.Bucket`, and
`oss2.exceptions.*` leave these functions as they are. Sources:
https://www.alibabacloud.com/help/en/oss/developer-reference/getobject,
https://www.alibabacloud.com/help/en/oss/how-to-obtain-oss-resources-by-segmenting-http-range-requests,
https://www.alibabacloud.com/help/en/oss/developer-reference/putobject
"""

from __future__ import annotations

import copy
import io
import math
import os
import re
import secrets
import selectors
import shutil
import socket
import ssl
import stat
import tempfile
import threading
import time
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, BinaryIO, Self, cast

from ..errors import Cancelled, InputError, IntegrityError, ServerFault

if TYPE_CHECKING:
    import oss2

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

# Seconds to connect, seconds between two packets. oss2's own 60 s for each makes a wrong endpoint look
# like a hang; a bucket built with another `connect_timeout` keeps it.
TIMEOUTS = (5.0, 30.0)
# The largest body of one PutObject, in bytes.
MAX_PUT = 5 * 1024**3

_RESUMES = 3
_TICK = 0.05  # seconds between two reports
_LONGEST_NAME = 255  # bytes, on every common file system
# The socket's timeout bounds each sendall as a whole, and while sending it is the one for connecting: small
# pieces keep a slow uplink (13 KB/s) inside it.
_SEND = 64 * 1024

# What a non-blocking socket raises: plain, over TLS.
_NOTHING_YET = (BlockingIOError, ssl.SSLWantReadError)

_RESERVED = frozenset('<>:"/\\|?*')
_UNSEEN = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})  # control, formatting, half a surrogate pair, line ends
_DEVICES = re.compile(
    r"(?:CON|PRN|AUX|NUL|CONIN\$|CONOUT\$|COM[0-9¹²³]|LPT[0-9¹²³]) *(?:\..*)?", re.IGNORECASE
)

Progress = Callable[[int, int | None], None]
Cancel = Callable[[], bool] | threading.Event


@dataclass(frozen=True)
class DownloadResult:
    """A finished download.

    `path` is absolute; `size` in bytes; `crc64` the decimal CRC64 of what is on disk; `verified` says what
    was compared with OSS's word: `length and CRC64`, `length only`, `CRC64 only` or `nothing`; `resumed`
    counts how often the connection was lost and taken up again.
    """

    path: Path
    size: int
    crc64: str
    etag: str
    request_id: str
    seconds: float
    verified: str
    resumed: int = 0


@dataclass(frozen=True)
class UploadResult:
    """A finished upload. `size` in bytes; `verified` is `CRC64`, or `nothing` where OSS told no CRC64."""

    key: str
    size: int
    crc64: str
    etag: str
    request_id: str
    seconds: float
    verified: str


def crc64_backend() -> str:
    """Return what computes CRC64 here, e.g. `fastcrc 0.5.0 (compiled)`."""
    from importlib.metadata import version

    return f"fastcrc {version('fastcrc')} (compiled)"


def file_name(key: str) -> str:
    """Return the local file name for an object key: its last part, safe on every system.

    Control and formatting characters and those Windows reserves become `_`; device names (`CON`, `nul.txt`)
    get a leading `_`; the name is cut to 255 bytes, keeping its extension. Raises InputError where the key
    has no last part (`a/`, `..`, empty).
    """
    base = key.rsplit("/", 1)[-1]
    safe = "".join("_" if c in _RESERVED or unicodedata.category(c) in _UNSEEN else c for c in base)
    if not safe.strip(" ."):
        raise InputError(
            f"The object key {key!r} gives no file name.",
            next_step="Name the file yourself: to='picture.png'.",
        )
    # Windows drops trailing dots and spaces, so two keys would meet in one file there.
    kept = safe.rstrip(" .")
    safe = kept + "_" * (len(safe) - len(kept))
    if _DEVICES.fullmatch(safe):
        safe = "_" + safe
    if len(safe.encode()) > _LONGEST_NAME:
        ext = Path(safe).suffix
        ext = ext if len(ext.encode()) <= 32 else ""
        room = _LONGEST_NAME - len(ext.encode())
        safe = safe.removesuffix(ext).encode()[:room].decode(errors="ignore").rstrip(" .") + ext
    return safe


def download(
    bucket: oss2.Bucket,
    key: str,
    to: str | os.PathLike[str] | None = None,
    *,
    overwrite: bool = False,
    progress: Progress | None = None,
    cancel: Cancel | None = None,
    chunk: int = 1 << 20,
    fsync: bool = False,
) -> DownloadResult:
    """Download one object to a file; the file appears whole and verified, or not at all.

    Parameters: `to` a file, an existing folder, or None (the key's last part in the working folder);
    `overwrite` lets an existing file be replaced; `progress(done, total)` is called in bytes at most 20
    times a second and once at the end (`total` None: OSS told no length; what it raises stops the download);
    `cancel` an event, or a callable that answers True, is looked at ten times a second once the body flows;
    `chunk` the buffer in bytes; `fsync` also waits for the disk (off: after a power cut the file may be
    missing, as with any program that does not ask for it).

    The body goes to `.<name>.<random>.part` beside the target, its length and CRC64 (x-oss-hash-crc64ecma)
    are compared, then it takes the target's name in one step. An object stored with a Content-Encoding is
    saved as stored. A connection lost midway is taken up at the same byte (Range + If-Match) up to three
    times; an object that changed meanwhile is fetched again from the start, once.

    Raises InputError (bad `to`, or the file exists; before any request), IntegrityError (incomplete or
    altered), ServerFault (nothing arrived for the read timeout), Cancelled, and oss2.exceptions.* untouched.
    Source: https://www.alibabacloud.com/help/en/oss/developer-reference/getobject
    """
    from oss2.exceptions import RequestError, ServerError

    started = time.monotonic()
    cancelled = _as_callable(cancel)
    target = _target(key, to, overwrite)
    if chunk < 1:
        raise InputError(f"chunk={chunk} is no buffer size.", next_step="Use bytes, such as 1048576.")
    ours = _own_settings(bucket)
    view = memoryview(bytearray(chunk))

    with _Part(target) as part:

        def ask(etag: str = "") -> _Reply:
            _check(cancelled, key)
            # identity: requests would otherwise accept gzip, and the CRC64 is that of the stored bytes.
            headers = {"Accept-Encoding": "identity"}
            if etag:
                # Without `standard`, OSS answers 200 and the whole object to a range it cannot satisfy.
                headers |= {
                    "Range": f"bytes={part.size}-",
                    "If-Match": etag,
                    "x-oss-range-behavior": "standard",
                }
            return _Reply(ours.get_object(key, headers=headers), _read_timeout(ours))

        try:
            reply = ask()
        except RequestError as lost:
            if not _dropped(lost):
                raise
            reply = ask()  # a kept-alive connection the server had already closed
        first = reply  # whose length, ETag and CRC64 count
        resumed, changed = 0, False
        try:
            _need_room(target, first.total)
            meter = _Meter(progress, first.total)
            trouble: Exception | None = _receive(reply, part, view, meter, cancelled, key)
            while trouble is not None:
                if resumed == _RESUMES or not first.etag or first.total is None:
                    raise _incomplete(key, part.size, first, resumed) from trouble
                resumed += 1
                _pause(0.2 * 2 ** (resumed - 1), cancelled, key)
                try:
                    reply = ask(first.etag)
                except RequestError as lost:
                    trouble = lost
                    continue
                except ServerError as refused:
                    if refused.status not in (412, 416):
                        raise
                    reply = ask()
                if reply.status == 206:
                    if (reply.start, reply.total) != (part.size, first.total):
                        raise _wrong_range(key, part.size, first, reply)
                else:  # the whole object: it changed, or the range was ignored
                    if reply.etag != first.etag:
                        if changed:
                            raise _changing(key)
                        changed = True
                    part.restart()
                    first = reply
                    meter.total = first.total
                trouble = _receive(reply, part, view, meter, cancelled, key)
        finally:
            reply.close()

        if first.crc and str(part.crc) != first.crc:
            raise IntegrityError(
                f"{key}: the {part.size:,} bytes that arrived are not what OSS stored.",
                reason=f"CRC64 here {part.crc}, OSS says {first.crc} (request id {first.request_id})",
                next_step="Download it again; if it stays so, something on the way alters the data.",
            )
        meter.last(part.size)  # before the file appears: what it raises still stops the download
        part.commit(overwrite=overwrite, fsync=fsync)
        told = [name for name, known in (("length", first.total is not None), ("CRC64", first.crc)) if known]
        verified = " and ".join(told) if len(told) == 2 else f"{told[0]} only" if told else "nothing"
        return DownloadResult(
            path=target,
            size=part.size,
            crc64=str(part.crc),
            etag=first.etag.strip('"'),
            request_id=first.request_id,
            seconds=time.monotonic() - started,
            verified=verified,
            resumed=resumed,
        )


def upload(
    bucket: oss2.Bucket,
    key: str,
    source: str | os.PathLike[str] | bytes | bytearray | memoryview | BinaryIO,
    *,
    overwrite: bool = True,
    content_type: str | None = None,
    progress: Progress | None = None,
    cancel: Cancel | None = None,
) -> UploadResult:
    """Upload one object with a single PutObject and compare its CRC64 with what OSS stored.

    Parameters: `source` a path (str is a path), bytes, or a file open for reading bytes, read from where it
    stands; `overwrite=False` makes OSS refuse an existing object (409 FileAlreadyExists); `content_type`
    None: guessed from the names; `progress(done, total)` in bytes, at most 20 times a second and once at the
    end; `cancel` as in `download` (a cancelled upload stores nothing).

    Raises InputError (no such file, not bytes, over 5 GB; before any request), IntegrityError (the source
    changed while it was read, or OSS stored other bytes: then the object at `key` is suspect), Cancelled,
    and oss2.exceptions.* untouched. Source:
    https://www.alibabacloud.com/help/en/oss/developer-reference/putobject
    """
    started = time.monotonic()
    cancelled = _as_callable(cancel)
    _check(cancelled, key)
    _check_key(key)
    ours = _own_settings(bucket)
    with _Source(source, cancelled, key) as body:
        if body.size > MAX_PUT:
            raise InputError(
                f"{key}: {body.size:,} bytes are more than one PutObject takes.",
                reason="the limit is 5 GB",
                next_step="Use oss2.resumable_upload, which sends the object in parts.",
            )
        headers = {"Content-Type": content_type or _guess_type(key, body.name)}
        if not overwrite:
            headers["x-oss-forbid-overwrite"] = "true"
        body.meter = meter = _Meter(progress, body.size)
        # requests would send an empty iterable chunked.
        result = ours.put_object(key, body if body.size else b"", headers=headers)
        stored = str(result.headers.get("x-oss-hash-crc64ecma", ""))
        if stored and stored != str(body.crc):
            raise IntegrityError(
                f"OSS stored other bytes than were sent; the object oss://{ours.bucket_name}/{key} is suspect.",
                reason=f"CRC64 of the source {body.crc}, OSS says {stored} (request id {result.request_id})",
                next_step="Upload it again, or delete it; do not use it as it is.",
            )
        meter.last(body.size)
        return UploadResult(
            key=key,
            size=body.size,
            crc64=str(body.crc),
            etag=str(result.etag or "").strip('"'),
            request_id=str(result.request_id),
            seconds=time.monotonic() - started,
            verified="CRC64" if stored else "nothing",
        )


# ---- the reply's body


class _Reply:
    """One answer to GetObject and its body, read from the connection's socket into our buffer.

    urllib3's `read` makes a new `bytes` each time, and neither it nor oss2 can be cancelled while nothing
    arrives. Where the private attributes this needs are missing, or the body is chunked, urllib3's public
    `read1`/`read` serve.
    """

    def __init__(self, result: Any, timeout: float) -> None:
        headers = result.headers
        self.status = int(result.status)
        self.etag = str(headers.get("ETag", ""))
        self.crc = str(headers.get("x-oss-hash-crc64ecma", ""))
        self.request_id = str(result.request_id or "")
        self.timeout = timeout
        self._response = result.resp.response
        self._raw = self._response.raw
        length = str(headers.get("Content-Length", ""))
        self._left = int(length) if length.isdigit() and "Transfer-Encoding" not in headers else None
        span = re.fullmatch(r"bytes (\d+)-(\d+)/(\d+)", str(headers.get("Content-Range", "")).strip())
        self.start, self.total = 0, self._left
        if self.status == 206:
            # A range that is missing or contradicts its own length is never the one asked for.
            self.start = -1
            if span and self._left == int(span[2]) - int(span[1]) + 1:
                self.start, self.total = int(span[1]), int(span[3])
        self._failure: OSError | None = None
        self._closed = False
        self._early = memoryview(b"")  # what came in one packet with the head
        self._sock: socket.socket | None = None
        self._selector: selectors.BaseSelector | None = None
        if self._left:
            self._take_socket()

    def _take_socket(self) -> None:
        stream = getattr(getattr(self._raw, "_fp", None), "fp", None)
        sock = getattr(getattr(stream, "raw", None), "_sock", None)
        if not isinstance(stream, io.BufferedReader) or not isinstance(sock, socket.socket):
            return
        self._sock, self._patience = sock, sock.gettimeout()
        sock.setblocking(False)
        try:
            self._early = memoryview(stream.read(len(stream.peek())))
        except _NOTHING_YET:
            pass
        except OSError as failed:
            self._failure = failed
        self._selector = selectors.DefaultSelector()
        self._selector.register(sock, selectors.EVENT_READ)

    def fill(self, view: memoryview, cancelled: Callable[[], bool], key: str) -> int:
        """Read until `view` is full, the body ends or 0.05 s have passed; return the bytes read.

        Zero means the end. Raises OSError where the connection failed, TimeoutError where nothing came in time.
        """
        if self._left is not None:
            view = view[: self._left]
        have = 0
        tick = time.monotonic() + _TICK
        while have < len(view):
            _check(cancelled, key)
            try:
                n = self._read(view[have:], tick if have else time.monotonic() + self.timeout, cancelled, key)
            except OSError as failed:
                if not have:
                    raise
                self._failure = failed  # first hand over what did arrive
                break
            if n is None and not have:
                raise TimeoutError
            if not n:
                break
            have += n
            if time.monotonic() >= tick:
                break
        if self._left is not None:
            self._left -= have
        return have

    def _read(self, view: memoryview, until: float, cancelled: Callable[[], bool], key: str) -> int | None:
        """Return how many bytes came: 0 at the end, None where nothing came until then."""
        if self._early:
            n = min(len(view), len(self._early))
            view[:n], self._early = self._early[:n], self._early[n:]
            return n
        if self._failure is not None:
            raise self._failure
        if self._sock is None or self._selector is None:
            return self._read_publicly(view)
        while True:
            try:
                return self._sock.recv_into(view)
            except _NOTHING_YET:
                pass
            while not self._selector.select(min(0.1, max(0.0, until - time.monotonic()))):
                _check(cancelled, key)
                if time.monotonic() >= until:
                    return None

    def _read_publicly(self, view: memoryview) -> int:
        from urllib3.exceptions import HTTPError, ReadTimeoutError

        read = getattr(self._raw, "read1", self._raw.read)
        try:
            data = cast(bytes, read(len(view), decode_content=False))
        except ReadTimeoutError as slow:
            raise TimeoutError from slow
        except HTTPError as failed:
            raise ConnectionError(str(failed)) from failed
        view[: len(data)] = data
        return len(data)

    @property
    def complete(self) -> bool:
        """Whether the announced length has arrived (False where none was announced)."""
        return self._left == 0

    @property
    def sized(self) -> bool:
        """Whether a length was announced."""
        return self._left is not None

    def close(self) -> None:
        """Give the connection back if the whole body was read, else close it: draining it could take long."""
        if self._closed:
            return
        self._closed = True
        self._failure = None  # its traceback leads back here
        if self._selector is not None:
            self._selector.close()
        if not self.complete:
            self._response.close()
            return
        if self._sock is not None:
            self._sock.settimeout(self._patience)
        fp = getattr(self._raw, "_fp", None)
        if fp is not None:
            fp.close()  # tells http.client, past which we read, that this answer is over
        self._raw.release_conn()


def _receive(
    reply: _Reply, part: _Part, view: memoryview, meter: _Meter, cancelled: Callable[[], bool], key: str
) -> OSError | None:
    """Move a reply's body into the part file; return None when it is whole, else why the connection ended."""
    try:
        while not reply.complete:
            try:
                n = reply.fill(view, cancelled, key)
            except TimeoutError as slow:
                raise _stalled(key, part.size, meter.total, reply) from slow
            except OSError as failed:
                return failed
            if n == 0:
                return ConnectionError("the connection was closed early") if reply.sized else None
            part.write(view[:n])
            meter(part.size)
        return None
    finally:
        reply.close()


# ---- the local file


class _Part:
    """The hidden file a body is received into. It is gone after the `with` block, whatever happened."""

    def __init__(self, target: Path) -> None:
        self._target = target
        self.size = 0
        self.crc = 0

    def __enter__(self) -> Self:
        from fastcrc import crc64

        self._xz = crc64.xz
        # The middle is cut by bytes, so that a target of the longest allowed name still gets a part file.
        name = self._target.name.encode()[: _LONGEST_NAME - 30].decode(errors="ignore")
        self._path = self._target.with_name(f".{name}.{secrets.token_hex(8)}.part")
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)
        try:
            self._fd = os.open(self._path, flags, 0o666)
        except OSError as refused:
            raise InputError(
                f"No file can be made in {self._target.parent}: {refused.strerror}.",
                next_step="Choose another folder with to=…",
            ) from refused
        # The umask cannot be read without changing it for other threads; what it made of 0666 can.
        self._mode = stat.S_IMODE(os.fstat(self._fd).st_mode)
        self._chmod(0o600)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close()
        self._path.unlink(missing_ok=True)

    def write(self, data: memoryview) -> None:
        """Append `data` and count it into the CRC64."""
        self.crc = self._xz(data, self.crc) if self.size else self._xz(data)
        self.size += len(data)
        try:
            while data:
                data = data[os.write(self._fd, data) :]
        except OSError as failed:
            failed.filename = str(self._path)
            raise

    def restart(self) -> None:
        """Forget what was received."""
        os.ftruncate(self._fd, 0)
        os.lseek(self._fd, 0, os.SEEK_SET)
        self.size = self.crc = 0

    def commit(self, *, overwrite: bool, fsync: bool) -> None:
        """Give the file its target's name in one step; raise InputError if one appeared there meanwhile."""
        self._chmod(self._mode)
        if fsync:
            os.fsync(self._fd)
        self._close()
        try:
            if overwrite:
                self._path.replace(self._target)
            else:
                _rename_new(self._path, self._target)
        except FileExistsError:
            raise _exists(self._target) from None
        if fsync:
            _sync_folder(self._target.parent)

    def _chmod(self, mode: int) -> None:
        if hasattr(os, "fchmod"):
            os.fchmod(self._fd, mode)

    def _close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def _rename_new(path: Path, target: Path) -> None:
    """Rename `path`, or raise FileExistsError where `target` exists."""
    if os.name == "nt":
        path.rename(target)  # refuses an existing target there
        return
    try:
        target.hardlink_to(path)
    except FileExistsError:
        raise
    except OSError:
        # FAT and some network file systems have no links: claim the name, then replace the claim.
        os.close(os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        path.replace(target)


def _sync_folder(folder: Path) -> None:
    if os.name == "nt":
        return
    fd = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _check_key(key: str) -> None:
    if not key:
        raise InputError(
            "The object key is empty.", next_step="Give the object's key, such as 'testfolder/example.png'."
        )


def _target(key: str, to: str | os.PathLike[str] | None, overwrite: bool) -> Path:
    """Return the absolute path of the file to make, or raise InputError."""
    _check_key(key)
    asked = os.fspath(to) if to is not None else ""
    if "\0" in asked or (to is not None and not asked):
        raise InputError(
            f"{asked!r} is no file name.", next_step="Give a file or a folder, or leave `to` out."
        )
    try:
        target = Path(asked).expanduser().absolute()
    except RuntimeError as unknown:
        raise InputError(f"{asked}: {unknown}", next_step="Write the folder out.") from unknown
    if len(os.fsencode(target.name)) > _LONGEST_NAME:
        raise InputError(
            "The file name is longer than 255 bytes.", next_step="Choose a shorter one with to=…"
        )
    if to is None or target.is_dir():
        target /= file_name(key)
    elif asked.endswith(("/", os.sep)):
        raise InputError(f"The folder {target} does not exist.", next_step="Make it first, or name a file.")
    if not target.parent.is_dir():
        what = "is not a folder" if target.parent.exists() else "does not exist"
        raise InputError(
            f"The folder {target.parent} {what}.", next_step="Make it first, or choose another with to=…"
        )
    if target.is_dir():
        raise InputError(f"{target} is a folder.", next_step="Choose a file name with to=…")
    if not overwrite and os.path.lexists(target):
        raise _exists(target)
    return target


def _exists(target: Path) -> InputError:
    return InputError(
        f"{target} exists already; it was left as it is.",
        next_step="Use overwrite=True to replace it, or another name with to=…",
    )


def _need_room(target: Path, size: int | None) -> None:
    free = shutil.disk_usage(target.parent).free
    if size is not None and 0 < free < size:  # some network file systems say 0
        raise InputError(
            f"The object has {size:,} bytes, and {target.parent} has room for {free:,}.",
            next_step="Make room, or choose another folder with to=…",
        )


# ---- what is uploaded


class _Source:
    """What an upload sends: a sized iterable of pieces that counts the CRC64 of what it hands out."""

    def __init__(self, source: Any, cancelled: Callable[[], bool], key: str) -> None:
        self._given = source
        self._cancelled = cancelled
        self._key = key
        self.meter = _Meter(None, None)
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
                _check(self._cancelled, self._key)
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
            _check(self._cancelled, self._key)
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


def _guess_type(*names: str) -> str:
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


# ---- small parts


class _Meter:
    """Calls `progress(done, total)` at most 20 times a second."""

    def __init__(self, progress: Progress | None, total: int | None) -> None:
        self._progress = progress
        self._next = 0.0
        self.total = total

    def __call__(self, done: int) -> None:
        if self._progress is not None and (now := time.monotonic()) >= self._next:
            self._next = now + _TICK
            self._progress(done, self.total)

    def last(self, done: int) -> None:
        """Report the end, whenever the last report was."""
        if self._progress is not None:
            self._progress(done, self.total if self.total is not None else done)


def _as_callable(cancel: Cancel | None) -> Callable[[], bool]:
    if cancel is None:
        return lambda: False
    return cancel.is_set if isinstance(cancel, threading.Event) else cancel


def _check(cancelled: Callable[[], bool], key: str) -> None:
    if cancelled():
        raise Cancelled(f"The transfer of {key} was cancelled; nothing of it was kept.")


def _pause(seconds: float, cancelled: Callable[[], bool], key: str) -> None:
    until = time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0:
        _check(cancelled, key)
        time.sleep(min(left, 0.05))


def _own_settings(bucket: oss2.Bucket) -> Any:
    """Return a shallow copy (same session, same signer) without oss2's slow CRC and with our timeouts."""
    from oss2 import defaults

    ours: Any = copy.copy(bucket)
    ours.enable_crc = False
    if ours.timeout == defaults.connect_timeout:
        ours.timeout = TIMEOUTS
    return ours


def _read_timeout(bucket: Any) -> float:
    timeout = bucket.timeout
    read = timeout[1] if isinstance(timeout, tuple) else timeout
    return math.inf if read is None else float(read)


def _dropped(error: BaseException | None) -> bool:
    """Whether the connection was closed after it was made and before any answer."""
    while error is not None:
        if isinstance(error, ConnectionResetError | ConnectionAbortedError | BrokenPipeError):
            return True
        error = error.__cause__ or error.__context__
    return False


def _incomplete(key: str, have: int, first: _Reply, resumed: int) -> IntegrityError:
    tried = f" and {resumed} attempts to resume failed" if resumed else ""
    reason = f"the connection ended early{tried} (request id {first.request_id})"
    total = "an unknown number of" if first.total is None else f"{first.total:,}"
    return IntegrityError(
        f"{key}: only {have:,} of {total} bytes arrived; nothing was written.",
        reason=reason,
        next_step="Download it again; if it stays so, look for a proxy or firewall that cuts long transfers.",
    )


def _changing(key: str) -> IntegrityError:
    return IntegrityError(
        f"{key} changed on OSS, twice, while it was downloaded; nothing was written.",
        next_step="Download it again once nothing writes to it.",
    )


def _wrong_range(key: str, have: int, first: _Reply, reply: _Reply) -> IntegrityError:
    return IntegrityError(
        f"{key}: the server answered another range than the one asked for; nothing was written.",
        reason=f"asked from byte {have} of {first.total}, got {reply.start} of {reply.total}",
        next_step="Download it again.",
    )


def _stalled(key: str, have: int, total: int | None, reply: _Reply) -> ServerFault:
    of = f" of {total:,}" if total is not None else ""
    return ServerFault(
        f"{key}: OSS sent nothing for {reply.timeout:g} s; {have:,}{of} bytes had arrived, none were kept.",
        request_id=reply.request_id,
        service="OSS",
        action="oss:GetObject",
        reason="the connection is open but silent",
        next_step="Try again; on ECS prefer the internal endpoint of the bucket's region.",
    )
