"""The notebooks as they are shipped with the package."""

from __future__ import annotations

import contextlib
import itertools
from pathlib import Path

from ..errors import InputError, RamroleError

__all__ = ["copy_beside", "shipped_notebooks"]

FIRST = "00_start_here.ipynb"


def shipped_notebooks() -> Path:
    """Return the folder of the notebooks: inside an installed package, or beside the package in a checkout."""
    package = Path(__file__).parent.parent
    for folder in (package / "_notebooks", package.parent / "notebooks"):
        if (folder / FIRST).is_file():
            return folder
    raise RamroleError(
        "The notebooks are not where this installation should have them.",
        next_step="install the package again: pip install --force-reinstall ramrole_nb",
    )


def copy_beside(number: str, version: str, folder: Path) -> Path:
    """Copy a lesson's notebook into `folder` as `NN_name.<version>.ipynb`, and return it; nothing is overwritten.

    A copy that is the same already is returned as it is; one that somebody worked in gets a numbered neighbour.
    """
    found = sorted(shipped_notebooks().glob(f"{number}_*.ipynb"))
    if not found:
        raise RamroleError(
            f"This installation ships no notebook {number}.", next_step="update it: pip install -U ramrole_nb"
        )
    source = found[0]
    wanted = source.read_bytes()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for at in itertools.count(1):
            target = folder / f"{source.stem}.{version}{f'-{at}' if at > 1 else ''}.ipynb"
            with contextlib.suppress(FileExistsError):
                with open(target, "xb") as file:
                    file.write(wanted)
                return target
            if target.read_bytes() == wanted:
                return target
    except OSError as error:
        trouble = error.strerror or str(error)
    raise InputError(
        f"The notebook cannot be written to {folder}: {trouble}.",
        next_step="name another folder: lesson.matching_copy('FOLDER')",
    )
