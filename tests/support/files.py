"""Which files belong to the project."""

from __future__ import annotations

import shutil
import subprocess
from functools import cache
from pathlib import Path

__all__ = ["ROOT", "tracked"]

ROOT = Path(__file__).resolve().parent.parent.parent

# Where there is no git (an unpacked source distribution), everything but these.
_NOT_OURS = {
    "__pycache__",
    ".git",
    ".venv",
    ".mypy_cache",
    ".ruff_cache",
    ".pytest_cache",
    ".hypothesis",
    "dist",
}


@cache
def tracked() -> tuple[Path, ...]:
    """Return every file that is, or is about to be, in the repository: tracked, or new and not ignored."""
    if shutil.which("git") and (ROOT / ".git").exists():
        command = [
            "git",
            "-c",
            f"safe.directory={ROOT}",
            "ls-files",
            "-z",
            "--cached",
            "--others",
            "--exclude-standard",
        ]
        listed = (
            subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout.decode().split("\0")
        )
        paths = [ROOT / name for name in listed if name]
    else:
        paths = [p for p in ROOT.rglob("*") if not _NOT_OURS & set(p.relative_to(ROOT).parts)]
    return tuple(sorted(p for p in paths if p.is_file() and not p.is_symlink()))
