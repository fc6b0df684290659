"""The file a download becomes: its name, the temporary file beside it, the one step to its place."""

from __future__ import annotations

import os
import re
import secrets
import shutil
import stat
import unicodedata
from pathlib import Path
from types import TracebackType
from typing import Self

from ...errors import InputError
from .common import check_key

_LONGEST_NAME = 255  # bytes, on every common file system
_RESERVED = frozenset('<>:"/\\|?*')
_UNSEEN = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})  # control, formatting, half a surrogate pair, line ends
_DEVICES = re.compile(
    r"(?:CON|PRN|AUX|NUL|CONIN\$|CONOUT\$|COM[0-9¹²³]|LPT[0-9¹²³]) *(?:\..*)?", re.IGNORECASE
)


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


def choose_target(key: str, to: str | os.PathLike[str] | None, overwrite: bool) -> Path:
    """Return the absolute path of the file to make, or raise InputError."""
    check_key(key)
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


def need_room(target: Path, size: int | None) -> None:
    """Raise InputError where the file system has less room than the object needs."""
    free = shutil.disk_usage(target.parent).free
    if size is not None and 0 < free < size:  # some network file systems say 0
        raise InputError(
            f"The object has {size:,} bytes, and {target.parent} has room for {free:,}.",
            next_step="Make room, or choose another folder with to=…",
        )


class Part:
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
