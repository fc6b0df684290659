"""What a bucket gives, and how it is shown: a listing, a downloaded file."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..models import ObjectInfo
from ..render import html_table, text_table
from ..render.preview import Preview, bytes_needed, preview

__all__ = ["DownloadedFile", "Listing"]

# Rows of a listing that a cell shows: a thousand would be slow to draw, and nobody reads them.
_MOST_ROWS = 100
_LISTING_HEAD = ("key", "size", "modified", "class")


class DownloadedFile(type(Path())):  # type: ignore[misc]
    """The path of a downloaded, verified file; a notebook shows the picture, the first rows or the first lines.

    `size` in bytes, `crc64` decimal, `seconds` the transfer took, `verified` what was checked.
    """

    size: int = 0
    crc64: str = ""
    seconds: float = 0.0
    verified: str = ""
    request_id: str = ""

    def preview(self) -> Preview:
        """Return what can be shown of the file, as HTML and as text: at most 4 MB of picture, or some kilobytes of text."""
        shown = self.relative_to(Path.cwd()) if self.is_relative_to(Path.cwd()) else self
        facts = [
            ("saved as", str(shown)),
            ("size", f"{self.size:,} bytes"),
            ("verified", self.verified),
            ("CRC64", self.crc64),
            ("took", f"{self.seconds:.2f} s"),
        ]
        head = b""
        try:
            if most := bytes_needed(self.name):
                with self.open("rb") as file:
                    head = file.read(most)
        except OSError:  # moved away since: what was there is still told
            facts.append(("now", "it is no longer there"))
        return preview(self.name, head, self.size, facts=facts)

    def _repr_mimebundle_(self, **_: Any) -> dict[str, Any]:
        found = self.preview()
        return {"text/plain": found.text, "text/html": found.html}


@dataclass(frozen=True)
class Listing:
    """Objects and folders below a prefix, in the order of their names; `truncated`: there are more than were asked for."""

    bucket: str
    prefix: str
    objects: tuple[ObjectInfo, ...]
    folders: tuple[str, ...]
    truncated: bool = False

    def __iter__(self) -> Iterator[ObjectInfo]:
        return iter(self.objects)

    def __len__(self) -> int:
        return len(self.objects)

    @property
    def where(self) -> str:
        """What is listed, as `oss://bucket/prefix`."""
        return f"oss://{self.bucket}/{self.prefix}"

    def counted(self) -> str:
        """Return in words how much there is, e.g. `2 folders and 1,000 objects, and more`."""
        parts = [(len(self.folders), "folder"), (len(self.objects), "object")]
        counted = [f"{number:,} {word}{'s' if number != 1 else ''}" for number, word in parts if number]
        more = ", and more" if self.truncated else ""
        return (" and ".join(counted) or "nothing") + more

    def rows(self, most: int | None = None) -> list[list[str]]:
        """Return the folders and then the objects as (key, size, modified, class), at most `most` of them."""
        rows = [[folder, "folder", "", ""] for folder in self.folders[:most]]
        left = None if most is None else most - len(rows)
        return rows + [
            [o.key, f"{o.size:,} bytes", o.last_modified, o.storage_class] for o in self.objects[:left]
        ]

    def _left_out(self) -> str:
        count = len(self.objects) + len(self.folders)
        if count <= _MOST_ROWS and not self.truncated:
            return ""
        first = f"the first {_MOST_ROWS} rows of " if count > _MOST_ROWS else ""
        step = "; list(prefix, limit=…) returns more" if self.truncated else ""
        return f"{first}{self.counted()}{step}"

    def __repr__(self) -> str:
        table = text_table(_LISTING_HEAD, self.rows(_MOST_ROWS)) or f"nothing below {self.where}"
        left_out = self._left_out()
        return f"{table}\n({left_out})" if left_out else table

    def _repr_html_(self) -> str:
        left_out = self._left_out()
        title = f"{self.where} ({left_out})" if left_out else self.where
        return html_table(_LISTING_HEAD, self.rows(_MOST_ROWS), title=title, empty="nothing here")
