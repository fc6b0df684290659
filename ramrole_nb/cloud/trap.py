"""The mixed-triple trap, measured: key, secret and token read one by one may be of two credentials.

The page's Python sample reads them with three getters, each of which takes the credential of its own moment. Around a
rotation such a triple is made of two credentials, and every service refuses it. Here the sandbox is made to rotate
very often, so that it shows within seconds, and then put back. Sources:
https://github.com/aliyun/credentials-go/pull/49, https://github.com/aliyun/aliyun-log-python-sdk/pull/273
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any, Self

from ..errors import InputError, RamroleError
from ..jobs import JobContext
from ..redact import redact
from ..render import text_card
from .metadata import MetadataClient

if TYPE_CHECKING:
    from .instance import BoundInstance

__all__ = ["LIFETIME", "TrapResult", "mixed_triples"]

#: With less than 15 minutes left the SDK fetches anew at every call, so that rotations are seen at all.
LIFETIME = 600.0
_LONGEST = 3.0
_START = 30.0  # seconds for the other Python to come up
_GRACE = 10.0  # beyond the time asked for, for its last requests


@dataclass(frozen=True, repr=False)
class TrapResult:
    """How many triples were mixed, of how many taken.

    `ours` this package's provider, `page` the page's three getters, `tool` the same SDK's `get_credential()`.
    `rotation` and `lifetime` in seconds are what the sandbox was set to for the run, `seconds` how long it ran. A
    triple counts as mixed when the service refused it (sts:GetCallerIdentity).
    """

    ours_mixed: int
    ours_total: int
    page_mixed: int
    page_total: int
    rotation: float
    tool_mixed: int = 0
    tool_total: int = 0
    lifetime: float = LIFETIME
    seconds: float = 0.0

    @property
    def lines(self) -> list[tuple[str, int, int]]:
        """What is compared: (way, mixed, total)."""
        return [
            ("the page's three getters", self.page_mixed, self.page_total),
            ("the same SDK's get_credential()", self.tool_mixed, self.tool_total),
            ("this package: vm.credentials()", self.ours_mixed, self.ours_total),
        ]

    @property
    def conditions(self) -> str:
        """What the sandbox was set to, in a sentence."""
        return (
            f"For {self.seconds:.1f} s the sandbox served a new credential every {self.rotation * 1000:.0f} ms, valid "
            f"{self.lifetime / 60:.0f} minutes; now it is as before. The real service rotates about every 5.5 hours, so "
            "there a program meets this rarely, and then cannot explain it: one call refused, the next one fine."
        )

    @property
    def lesson(self) -> str:
        """What follows, in a sentence."""
        return (
            "Read the credential once, whole: get_credential() gives key, secret and token of one moment. A mixed triple "
            "is refused with SignatureDoesNotMatch or InvalidSecurityToken.MismatchWithAccessKey."
        )

    def __repr__(self) -> str:
        facts = [(way, _share(mixed, total)) for way, mixed, total in self.lines]
        return text_card("Mixed triples", [*facts, ("how", self.conditions), ("what to do", self.lesson)])

    def _repr_html_(self) -> str:
        rows = "".join(
            f'<tr><th scope="row" style="text-align:left;font-weight:normal;padding:2px 16px 2px 0">{escape(way)}</th>'
            f'<td style="padding:2px 12px 2px 0;text-align:left">{_bar(mixed, total, way)}</td>'
            f'<td style="text-align:left;padding:2px 0">{escape(_share(mixed, total))}</td></tr>'
            for way, mixed, total in self.lines
        )
        return (
            "<div><p><strong>Mixed triples: key, secret and token of two credentials</strong></p>"
            f'<table style="border-collapse:collapse"><tbody>{rows}</tbody></table>'
            f"<p>{escape(self.lesson)}</p><p>{escape(self.conditions)}</p></div>"
        )


def mixed_triples(
    vm: BoundInstance, seconds: float = 2.0, *, rotation: float = 0.05, ctx: JobContext | None = None
) -> TrapResult:
    """Measure how often the page's three getters return a mixed triple while credentials rotate, and ours.

    Needs the sandbox: for `seconds` (0.2 to 3) a new credential is served every `rotation` seconds (0.01 to 1), on
    all instances; then both knobs are put back, also after an error or a cancel. The measuring is done in a process
    of its own, which tells nothing but counts. Raises InputError (a live session; values out of range),
    NoRoleAttached and other MetadataErrors, Cancelled, and what a service refuses for another reason than a mixed
    triple.
    """
    _check(vm, seconds, rotation)
    sandbox, context = vm.context.sandbox, vm.context
    proxy = context.endpoints.metadata_proxy(vm.instance_id)
    role = MetadataClient(proxy, instance_id=vm.instance_id).credentials().role_name
    endpoints = context.endpoints
    told = {
        "mode": endpoints.mode,
        "scheme": endpoints.scheme,
        "proxy": endpoints.proxy,
        "region": vm.region_id or context.region_id,
        "instance": vm.instance_id,
        "metadata": proxy,
        "role": role,
        "seconds": seconds,
    }
    with _Measuring(told, context.environment("")) as measuring:
        measuring.wait_for("ready", _START, ctx)
        before = sandbox.knobs()
        started = time.monotonic()
        try:
            sandbox.knobs(credential_rotation=rotation, credential_lifetime=LIFETIME)
            measuring.go()
            counts = measuring.wait_for("end", seconds + _GRACE, ctx, total=seconds)
        finally:
            took = time.monotonic() - started
            measuring.close()
            sandbox.knobs(
                credential_rotation=before["credential_rotation"],
                credential_lifetime=before["credential_lifetime"],
            )
            _leave_none_behind(proxy, vm.instance_id, rotation)
    return TrapResult(rotation=rotation, seconds=took, **counts)


def _leave_none_behind(proxy: str, instance_id: str, rotation: float) -> None:
    """Have the last of the short-lived credentials replaced, so that nobody is given it after the run."""
    time.sleep(rotation)
    with contextlib.suppress(RamroleError):  # no service to ask: then nobody is given one
        MetadataClient(proxy, instance_id=instance_id, timeout=2.0).credentials()


def _check(vm: BoundInstance, seconds: float, rotation: float) -> None:
    if vm.context.sandbox is None:
        raise InputError(
            "The trap needs the sandbox: a live metadata service cannot be made to rotate.",
            reason="it rotates about every 5.5 hours, and only around that moment a triple is mixed",
            next_step='in a session of its own: rr.connect("sandbox")',
        )
    for name, value, low, high in (("seconds", seconds, 0.2, _LONGEST), ("rotation", rotation, 0.01, 1.0)):
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not low <= value <= high:
            raise InputError(
                f"{name} is {low:g} to {high:g} seconds, not {value!r}.",
                next_step="for example: mixed_triples(vm, seconds=2)",
            )


class _Measuring:
    """The process that measures. It reads what it needs from its standard input and writes a line of JSON at a time."""

    def __init__(self, told: dict[str, Any], environment: dict[str, str]) -> None:
        paths = os.pathsep.join(path for path in sys.path if path)
        self._process = subprocess.Popen(
            [sys.executable, "-W", "ignore", "-m", "ramrole_nb.cloud.trap_measure"],
            env={**environment, "PYTHONPATH": paths},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            encoding="utf-8",
        )
        self._lines: queue.Queue[str] = queue.Queue()
        self._reader = threading.Thread(target=self._read, name="ramrole-trap", daemon=True)
        self._reader.start()
        self._send(json.dumps(told))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End it; a second time does nothing."""
        self._process.kill()
        self._process.wait()
        self._reader.join()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()

    def _read(self) -> None:
        for line in self._process.stdout or ():
            self._lines.put(line)
        self._lines.put("")

    def _send(self, line: str) -> None:
        with contextlib.suppress(OSError):  # it has ended: the reader tells
            if self._process.stdin is not None:
                self._process.stdin.write(line + "\n")
                self._process.stdin.flush()

    def go(self) -> None:
        """Have it begin."""
        self._send("go")

    def wait_for(
        self, kind: str, timeout: float, ctx: JobContext | None, *, total: float = 0.0
    ) -> dict[str, int]:
        """Wait for a line of this kind and return the counts in it, showing the progress of those before it."""
        until = time.monotonic() + timeout
        while time.monotonic() < until:
            if ctx is not None:
                ctx.check()
            try:
                line = self._lines.get(timeout=0.05)
            except queue.Empty:
                continue
            found = json.loads(line) if line.startswith("{") else {"error": "it ended without a word"}
            if "error" in found:
                raise RamroleError(
                    "Measuring the trap failed.",
                    reason=redact(found["error"]),
                    next_step=found.get("step", ""),
                )
            counts = {name: int(value) for name, value in found.items() if name not in ("kind", "seconds")}
            if found["kind"] == kind:
                return counts
            if ctx is not None and total:
                taken = counts["page_total"]
                ctx.progress(
                    int(found["seconds"] * 1000),
                    int(total * 1000),
                    f"{taken} triples taken of each, {counts['page_mixed']} of the page's are mixed",
                )
        raise RamroleError(
            "Measuring the trap takes too long.", next_step="try again when this computer is less busy"
        )


def _share(mixed: int, total: int) -> str:
    percent = f" ({100 * mixed / total:.0f} %)" if total else ""
    return f"{mixed} of {total} mixed{percent}" + (", all refused" if mixed else "")


def _bar(mixed: int, total: int, way: str) -> str:
    told = f"{way}: {_share(mixed, total)}"
    scale = f'min="0" max="{max(1, total)}" low="0" high="0.5" optimum="0"'
    return (
        f'<meter {scale} value="{mixed}" aria-label="{escape(told)}" style="width:12em">'
        f"{'█' * round(20 * mixed / max(1, total)) or '▏'}</meter>"
    )
