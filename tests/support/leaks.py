"""Search files for secrets: thousands of secrets, many megabytes, one pass.

Each secret is looked for as it is and in the forms in which it usually travels: URL-encoded, escaped in JSON or
HTML, base64 (at any offset inside a longer text), hexadecimal. Archives (zip, gzip) are searched inside.

How it stays fast: an occurrence of a secret lies inside a run of characters that secrets are made of. So the file
is cut into such runs (compiled code), runs seen before are dropped, and only in the rest every position is looked
up in a set of the secrets' first characters.

What it does not see: a secret broken over lines, encrypted, or inside other compressed forms (a PNG's text).
"""

from __future__ import annotations

import base64
import errno
import gzip
import html
import json
import mmap
import os
import re
import stat
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO
from urllib.parse import quote, quote_plus

__all__ = ["MAY_HOLD_SECRETS", "SHORTEST", "Leak", "SecretTooShort", "forms", "search"]

# The only files that may hold secrets, and only while nobody but their owner can read them (design: secrets on disk).
MAY_HOLD_SECRETS = frozenset({"runtime.json", "state.db", "state.db-wal", "state.db-shm", "ca-key.pem"})

# A shorter value would be found in ordinary text by chance.
SHORTEST = 10

# How many of a secret's first characters are looked up; enough that a chance hit is rare.
_LONGEST_HEAD = 16


class SecretTooShort(ValueError):
    """A value of the list is too short to search for."""


@dataclass(frozen=True)
class Leak:
    """A secret in a file. `path` names the member inside an archive too; `secret` is for the caller, not for print."""

    path: str
    form: str
    offset: int
    secret: str

    def __repr__(self) -> str:
        return f"{self.path}: {self.secret[:4]}… ({len(self.secret)} characters, {self.form}) near byte {self.offset}"


def forms(secret: str) -> dict[bytes, str]:
    """Return every byte string in which `secret` is looked for, each with the name of its form."""
    raw = secret.encode()
    found: dict[bytes, str] = {raw: "as it is"}

    def add(form: str, *values: str | bytes) -> None:
        for value in values:
            found.setdefault(value.encode() if isinstance(value, str) else value, form)

    for encoded in (quote(secret, safe=""), quote(secret), quote_plus(secret)):
        lower = re.sub(r"%[0-9A-F]{2}", lambda m: m[0].lower(), encoded)
        add("URL-encoded", encoded, lower, quote(encoded, safe=""))
    escaped = json.dumps(secret)[1:-1]
    slashed = escaped.replace("/", "\\/")
    unicoded = re.sub(r"[^0-9A-Za-z._-]", lambda m: f"\\u{ord(m[0]):04x}", secret)
    for text in (escaped, slashed, unicoded):
        add("JSON-escaped", text, json.dumps(text)[1:-1])
    add("HTML-escaped", html.escape(secret), secret.replace("+", "&#43;").replace("=", "&#61;"))
    for lead in range(3):
        # Inside a longer base64 text the secret starts at one of three offsets; its first and last characters
        # then mix with what stands beside it, so only the characters that are the secret's alone are kept.
        whole = (len(raw) + lead) // 3 * 3 - lead
        core = base64.b64encode(b"\0" * lead + raw[:whole])[4 if lead else 0 :]
        add("base64", core, core.translate(bytes.maketrans(b"+/", b"-_")), core.replace(b"/", b"\\/"))
    add("hexadecimal", raw.hex(), raw.hex().upper())
    return found


class _Needles:
    """All forms of all secrets, arranged for the search."""

    def __init__(self, secrets: Iterable[str]) -> None:
        every: dict[bytes, tuple[str, str]] = {}
        for secret in secrets:
            if len(secret) < SHORTEST:
                raise SecretTooShort(
                    f"a secret of {len(secret)} characters cannot be told from ordinary text"
                )
            for needle, form in forms(secret).items():
                every.setdefault(needle, (form, secret))
        self.size = min((len(n) for n in every), default=SHORTEST)
        self.size = min(self.size, _LONGEST_HEAD)
        self.by_head: dict[bytes, list[tuple[bytes, str, str]]] = {}
        for needle, (form, secret) in every.items():
            self.by_head.setdefault(needle[: self.size], []).append((needle, form, secret))
        alphabet = b"".join(re.escape(bytes([c])) for c in sorted(set().union(*every)))
        self.runs = re.compile(b"[%s]{%d,}" % (alphabet, self.size)) if every else None
        self.seen: set[bytes] = set()

    def find(self, data: bytes | mmap.mmap, start: int, end: int) -> Iterator[tuple[str, str, int]]:
        """Yield (secret, form, offset) of each distinct secret in `data[start:end]`."""
        if self.runs is None:
            return
        size, by_head, heads = self.size, self.by_head, self.by_head.keys()
        for match in self.runs.finditer(data, start, end):
            run = match[0]
            if run in self.seen:
                continue
            candidates = heads & {run[i : i + size] for i in range(len(run) - size + 1)}
            clean = True
            for head in candidates:
                for needle, form, secret in by_head[head]:
                    at = run.find(needle)
                    if at >= 0:
                        clean = False
                        yield secret, form, match.start() + at
            if clean and len(run) < 4096:  # longer ones hardly come twice, and would fill the memory
                self.seen.add(run)


def _extents(file: BinaryIO, size: int) -> Iterator[tuple[int, int]]:
    """Yield (start, end) of what was really written: a sparse file of gigabytes takes no time."""
    if not hasattr(os, "SEEK_DATA"):
        yield 0, size
        return
    end = 0
    while end < size:
        try:
            start = os.lseek(file.fileno(), end, os.SEEK_DATA)
        except OSError as error:
            if error.errno != errno.ENXIO:  # a file system that cannot tell
                yield end, size
            return  # nothing but a hole is left
        end = os.lseek(file.fileno(), start, os.SEEK_HOLE)
        yield start, end


def _contents(path: Path) -> Iterator[tuple[str, bytes | mmap.mmap, int, int]]:
    """Yield (name, bytes, start, end) for what is in the file, then for what its archive members hold."""
    size = path.stat().st_size
    if size == 0:
        return
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        for start, end in _extents(file, size):
            yield str(path), data, start, end
        magic = data[:4]
    if magic == b"PK\x03\x04":
        try:
            with zipfile.ZipFile(path) as archive:
                for member in archive.infolist():
                    content = archive.read(member)
                    yield f"{path}!{member.filename}", content, 0, len(content)
        except (zipfile.BadZipFile, zlib.error, RuntimeError, NotImplementedError):
            return  # damaged or encrypted: its bytes were searched as they are
    elif magic[:2] == b"\x1f\x8b":
        try:
            content = gzip.decompress(path.read_bytes())
            yield f"{path}!", content, 0, len(content)
        except (OSError, EOFError, zlib.error):
            return


def _may_hold_secrets(path: Path) -> bool:
    return path.name in MAY_HOLD_SECRETS and not path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO)


def search(roots: Iterable[Path], secrets: Iterable[str]) -> list[Leak]:
    """Search every regular file below `roots`, also their names. Symbolic links are not followed."""
    needles = _Needles(secrets)
    leaks: dict[tuple[str, str, str], Leak] = {}
    files = sorted({p for root in roots for p in ([root] if root.is_file() else root.rglob("*"))})
    for path in files:
        name_bytes = str(path).encode(errors="surrogateescape")
        for secret, form, _ in needles.find(name_bytes, 0, len(name_bytes)):
            leaks[str(path), secret, form] = Leak(str(path), f"{form}, in the name", 0, secret)
        try:
            if path.is_symlink() or not path.is_file() or _may_hold_secrets(path):
                continue
            for name, data, start, end in _contents(path):
                for secret, form, offset in needles.find(data, start, end):
                    leaks.setdefault((name, secret, form), Leak(name, form, offset, secret))
        except FileNotFoundError:
            continue  # removed while we searched
    return list(leaks.values())
