"""`ramrole lab`: the sandbox up, the notebooks in place, JupyterLab open at the first of them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from .errors import InputError
from .lessons.shipped import shipped_notebooks

__all__ = ["copy_notebooks", "lab_command", "lab_environment", "run_lab", "shipped_notebooks"]

FIRST = "00_start_here.ipynb"
DEFAULT_FOLDER = "ramrole-notebooks"


def copy_notebooks(target: Path) -> list[Path]:
    """Copy what is not there yet into `target`, and return what was copied; a file someone works in stays as it is.

    Raises InputError where the folder cannot be written.
    """
    source = shipped_notebooks()
    copied = []
    try:
        target.mkdir(parents=True, exist_ok=True)
        for path in sorted(source.iterdir()):
            if path.suffix in {".ipynb", ".py"} and path.is_file() and not (target / path.name).exists():
                shutil.copyfile(path, target / path.name)
                copied.append(target / path.name)
    except OSError as error:
        raise InputError(
            f"The notebooks cannot be written to {target}: {error.strerror or error}.",
            next_step="name another folder: ramrole lab --dir FOLDER",
        ) from None
    return copied


def lab_command(folder: Path, *, browser: bool, port: int) -> list[str]:
    """Return the command that serves JupyterLab on `folder`, opened at the first notebook.

    Nothing it does leaves the machine: no news, no check for updates, no extension catalogue.
    """
    command = [
        sys.executable,
        "-m",
        "jupyterlab",
        "--ServerApp.ip=127.0.0.1",
        f"--ServerApp.root_dir={folder}",
        f"--LabApp.default_url=/lab/tree/{FIRST}",
        "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
        "--LabApp.extension_manager=readonly",
    ]
    command += [] if browser else ["--no-browser"]
    command += [f"--ServerApp.port={port}"] if port else []
    if sys.platform != "win32":
        # Terminals would be login shells where this command's output is no terminal, and /etc/profile sets PATH anew.
        settings = {"shell_command": [os.environ.get("SHELL") or shutil.which("bash") or "sh"]}
        command.append(f"--ServerApp.terminado_settings={settings!r}")
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        command.append("--allow-root")
    return command


def lab_environment(state: Path, environment: Mapping[str, str]) -> dict[str, str]:
    """Return JupyterLab's environment: kernels find the same sandbox, and our settings turn news off.

    Terminals and kernels find `ramrole` and this very `python` first, also where the environment was not activated.
    """
    config = str(Path(__file__).parent / "jupyter_config")
    paths = [config, *filter(None, [environment.get("JUPYTER_CONFIG_PATH")])]
    bin_folder = str(Path(sys.executable).parent)  # not resolved: a virtual environment's python is a link
    found = [
        bin_folder,
        *(p for p in environment.get("PATH", os.defpath).split(os.pathsep) if p != bin_folder),
    ]
    return {
        **environment,
        "PATH": os.pathsep.join(found),
        "RAMROLE_STATE": str(state),
        "JUPYTER_CONFIG_PATH": os.pathsep.join(paths),
    }


def run_lab(folder: Path, *, browser: bool, port: int, state: Path) -> int:
    """Become JupyterLab (on Windows: run it), so that whoever ends this command ends it; returns its exit code."""
    command = lab_command(folder, browser=browser, port=port)
    environment = lab_environment(state, os.environ)
    if sys.platform == "win32":
        return subprocess.run(command, env=environment, check=False).returncode
    return os.execve(command[0], command, environment)
