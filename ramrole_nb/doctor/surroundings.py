"""What this machine and this process look like: versions, variables, container, vendor. No network, nothing changed."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..redact import redact

__all__ = ["MINIMUM", "Surroundings", "look_around", "older"]

# The least versions for security hardening mode.
# Source: https://help.aliyun.com/zh/ecs/user-guide/attach-an-instance-ram-role-to-an-ecs-instance, and for the CLI
# https://www.alibabacloud.com/help/en/cli/ecs-ram-role (which says 3.3.0, where the page says 3.0.248).
MINIMUM = {"alibabacloud_credentials": "0.3.6", "aliyun": "3.0.248"}

_PROXIES = ("http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY")
_WIDGETS = ("ipywidgets", "jupyterlab_widgets", "anywidget")
_PACKAGES = ("alibabacloud_credentials", "oss2", "crcmod", *_WIDGETS)
# Asks another interpreter for the same. It prints one JSON object.
_ASK = (
    "import importlib.metadata as m, importlib.util as u, json, sys\n"
    "def v(n):\n"
    "    try: return m.version(n)\n"
    "    except m.PackageNotFoundError: return ''\n"
    "e = v('crcmod') and u.find_spec('crcmod._crcfunext') is not None\n"
    "print(json.dumps({'python': sys.version.split()[0], 'crc': e, 'packages': {n: v(n) for n in sys.argv[1:]}}))\n"
)


@dataclass
class Surroundings:
    """This process and its machine.

    `packages` maps a package to its version (empty: not there); `crc_extension`: whether oss2's CRC64 is compiled (None:
    crcmod is not there); `cli`: the Alibaba Cloud CLI's version; `proxies`: proxy variables, masked; `static_key`: what
    gives the SDKs a lasting key before the role (empty: nothing); `vendor`: what the machine's firmware says; `container`:
    what tells that this is one; `notebook`: the front end as far as it can be seen, `front_packages` its packages.
    """

    python: str = ""
    packages: dict[str, str] = field(default_factory=dict)
    crc_extension: bool | None = None
    cli: str = ""
    proxies: dict[str, str] = field(default_factory=dict)
    no_proxy: str = ""
    static_key: str = ""
    metadata_switched_off: bool = False
    vendor: str = ""
    container: str = ""
    notebook: str = ""
    front_packages: dict[str, str] | None = None


def look_around(
    python: str = "", front_end: str = "", environment: Mapping[str, str] | None = None
) -> Surroundings:
    """Look at this process, or at the environment of another interpreter (`python`: its path). At most 2 s each.

    `front_end`: the interpreter JupyterLab runs in (empty: the parent process, in a kernel that has one).
    """
    env = os.environ if environment is None else environment
    told = _ask(python) if python else _own()
    seen = Surroundings(python=told["python"], packages=told["packages"], crc_extension=told["crc"])
    seen.proxies = {name: redact(env[name]) for name in _PROXIES if env.get(name)}
    seen.no_proxy = env.get("no_proxy") or env.get("NO_PROXY") or ""
    seen.static_key = _static_key(env)
    seen.metadata_switched_off = env.get("ALIBABA_CLOUD_ECS_METADATA_DISABLED", "").lower() == "true"
    seen.vendor = _first_line("/sys/class/dmi/id/sys_vendor")
    seen.container = _container(env)
    seen.cli = _cli_version()
    if "VSCODE_PID" in env or "VSCODE_CWD" in env:
        seen.notebook = "VS Code"
    front_end = front_end or _server_python(env)
    if front_end:
        seen.notebook = seen.notebook or "JupyterLab"
        seen.front_packages = (
            dict(_ask(front_end)["packages"]) if front_end != sys.executable else dict(seen.packages)
        )
    return seen


def older(version: str, least: str) -> bool:
    """Tell whether a version is below another; one that cannot be read is not."""
    mine, theirs = ([int(part) for part in re.findall(r"\d+", text)[:4]] for text in (version, least))
    return bool(mine) and mine < theirs


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return ""


def _own() -> dict[str, Any]:
    packages = {name: _version(name) for name in _PACKAGES}
    return {"python": sys.version.split()[0], "packages": packages, "crc": _own_crc(packages["crcmod"])}


def _own_crc(version: str) -> bool | None:
    if not version:
        return None
    try:
        return importlib.util.find_spec("crcmod._crcfunext") is not None
    except (ImportError, ValueError):
        return False


def _ask(python: str) -> dict[str, Any]:
    nothing: dict[str, Any] = {"python": "", "packages": {}, "crc": None}
    try:
        done = subprocess.run(  # noqa: S603 - the interpreter the caller named, and code of ours
            [python, "-c", _ASK, *_PACKAGES], capture_output=True, text=True, check=False, timeout=2
        )
        found: dict[str, Any] = json.loads(done.stdout)
    except (OSError, ValueError, subprocess.SubprocessError):
        return nothing
    found["crc"] = None if found["crc"] == "" else bool(found["crc"])
    return nothing | found


def _static_key(env: Mapping[str, str]) -> str:
    """Return what gives the SDKs' default chain a lasting key before it comes to the role.

    Source: https://github.com/aliyun/credentials-python (order of the default chain)
    """
    if env.get("ALIBABA_CLOUD_ACCESS_KEY_ID") and env.get("ALIBABA_CLOUD_ACCESS_KEY_SECRET"):
        return "ALIBABA_CLOUD_ACCESS_KEY_ID"
    if env.get("ALIBABA_CLOUD_CLI_PROFILE_DISABLED", "").lower() == "true":
        return ""
    try:
        config = json.loads(
            (Path(env.get("HOME") or "~").expanduser() / ".aliyun" / "config.json").read_text("utf-8")
        )
        wanted = env.get("ALIBABA_CLOUD_PROFILE") or config.get("current")
        profile = next(row for row in config["profiles"] if row.get("name") == wanted)
        lasting = profile.get("mode") == "AK" and bool(profile.get("access_key_id"))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, StopIteration):
        return ""
    return f"the profile {wanted} of ~/.aliyun/config.json" if lasting else ""


def _first_line(path: str) -> str:
    try:
        return Path(path).read_text("utf-8", "replace").strip().splitlines()[0][:80]
    except (OSError, IndexError):
        return ""


def _container(env: Mapping[str, str]) -> str:
    if env.get("KUBERNETES_SERVICE_HOST"):
        return "KUBERNETES_SERVICE_HOST"
    return next((path for path in ("/.dockerenv", "/run/.containerenv") if Path(path).exists()), "")


def _cli_version() -> str:
    path = shutil.which("aliyun")
    if not path:
        return ""
    try:
        done = subprocess.run(  # noqa: S603 - found on PATH, and it only says its version
            [path, "version"], capture_output=True, text=True, check=False, timeout=1
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    found = re.search(r"\d+\.\d+\.\d+", done.stdout)
    return found[0] if found else ""


def _server_python(env: Mapping[str, str]) -> str:
    """Return the interpreter of the Jupyter server that started this kernel, where that can be seen."""
    parent = env.get("JPY_PARENT_PID", "")
    if "ipykernel" not in sys.modules or not parent.isdigit():
        return ""
    try:
        command = Path(f"/proc/{parent}/cmdline").read_bytes().split(b"\0")[0].decode()
    except (OSError, ValueError):
        return ""
    return command if Path(command).is_absolute() and "python" in Path(command).name else ""
