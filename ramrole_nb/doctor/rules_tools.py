"""Rules about tools: what hurts, and does not break the way from the instance to the object."""

from __future__ import annotations

from .evidence import Evidence
from .findings import Finding, found
from .rules import facts_of
from .surroundings import MINIMUM, older

# Seconds a download takes longer without crcmod's extension before it is a cause: 5 MiB/s were measured.
_SLOW_SECONDS, _SLOW_RATE = 1.0, 5.1 * 1024 * 1024

# -- what hurts and breaks nothing ---------------------------------------------------------------------------------


def sdk_too_old(e: Evidence) -> Finding | None:
    """The SDK or the CLI is too old for security hardening mode."""
    versions = {
        "alibabacloud_credentials": e.around.packages.get("alibabacloud_credentials", ""),
        "aliyun": e.around.cli,
    }
    for name, version in versions.items():
        if older(version, MINIMUM[name]):
            tool = "the Alibaba Cloud CLI" if name == "aliyun" else name
            sentence = (
                f"{tool} {version} is older than {MINIMUM[name]}: it cannot use security hardening mode."
            )
            command = "aliyun upgrade" if name == "aliyun" else None
            return found(
                "client-too-old",
                sentence,
                facts_of(e),
                {"version": version, "least": MINIMUM[name]},
                command=command,
            )
    return None


# ipywidgets' front end for JupyterLab by the kernel's major version.
# Source: https://ipywidgets.readthedocs.io/en/stable/user_install.html
_FRONT = {"8": "3", "7": "1"}


def widgets(e: Evidence) -> Finding | None:
    """The front end and the kernel's ipywidgets do not fit."""
    kernel = e.around.packages.get("ipywidgets", "")
    if not kernel:
        return None
    if e.around.notebook == "VS Code" and kernel == "8.1.9":
        sentence = "ipywidgets 8.1.9 renders nothing in VS Code; 8.1.8 does."
        return found("widgets-out-of-step", sentence, evidence={"ipywidgets": kernel, "front end": "VS Code"},
                     command="python -m pip install 'ipywidgets<8.1.9'")  # fmt: skip
    front = e.around.front_packages
    if front is None:
        return None
    has, needs = front.get("jupyterlab_widgets", ""), _FRONT.get(kernel.partition(".")[0], "")
    if needs and has.partition(".")[0] != needs:
        what = f"jupyterlab_widgets {has}" if has else "no jupyterlab_widgets"
        sentence = (
            f"The kernel has ipywidgets {kernel}, and JupyterLab runs with {what}: it needs {needs}.x there."
        )
        return found("widgets-out-of-step", sentence, evidence={"ipywidgets in the kernel": kernel, "in JupyterLab": what},
                     command=f"python -m pip install 'jupyterlab_widgets=={needs}.*'  # where JupyterLab runs")  # fmt: skip
    if e.around.packages.get("anywidget") and not front.get("anywidget"):
        sentence = "The kernel has anywidget, and the environment that JupyterLab runs in has not: tables stay blank."
        return found(
            "widgets-out-of-step",
            sentence,
            command="python -m pip install anywidget  # where JupyterLab runs",
        )
    return None


def slow_crc(e: Evidence) -> Finding | None:
    """Checking this object with oss2 would take long."""
    if e.around.crc_extension is not False or e.size is None or e.size / _SLOW_RATE < _SLOW_SECONDS:
        return None
    return crc_finding(e, f"; checking {e.size:,} bytes takes oss2 about {e.size / _SLOW_RATE:.0f} s longer")


def crc_finding(e: Evidence, cost: str) -> Finding:
    """Return the finding of a crcmod without its extension."""
    sentence = f"crcmod runs without its C extension, so oss2's own check of a download is about 60 times slower{cost}."
    return found("crc-slow", sentence, evidence={"crcmod": e.around.packages.get("crcmod", "")})
