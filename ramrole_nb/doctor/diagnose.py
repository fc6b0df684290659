"""`diagnose`: what is wrong on the way from an instance to an object, from the outside in."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ..cloud.instances import BoundInstance
from ..cloud.looks import SIGNATURES
from ..errors import InputError, nearest
from .checks import advice, judge, open_questions
from .evidence import Asked
from .findings import Diagnosis, Probe
from .looking import Look
from .probes import PROBES

if TYPE_CHECKING:
    from ..cloud.session import Cloud

__all__ = ["diagnose", "parse_object"]

# The whole run, in seconds, when nothing answers at all.
_BUDGET = 9.0


def parse_object(text: str) -> tuple[str, str]:
    """Return (bucket, key) of `oss://bucket/key`; the key may be empty. Raises InputError."""
    found = re.fullmatch(r"oss://([^/]+)(?:/(.*))?", text, re.S) if isinstance(text, str) else None
    if found is None:
        hint = str(text).removeprefix("oss:").lstrip("/") if isinstance(text, str) else ""
        raise InputError(
            f"{text!r} names no object.",
            next_step=f"write it as 'oss://{hint}'" if hint else "write it as 'oss://bucket/folder/file.txt'",
        )
    return found[1], found[2] or ""


def diagnose(
    instance: BoundInstance | str | None = None,
    object: str | None = None,  # noqa: A002 - the word of the public interface
    *,
    cloud: Cloud | None = None,
    full: bool = False,
    role: str | None = None,
    endpoint: str = "",
    signature: str = "V4",
    provider: Any = None,
    python: str = "",
    front_end: str = "",
    progress: Callable[[int, int, str], None] | None = None,
    cancel: Callable[[], bool] | None = None,
) -> Diagnosis:
    """Look for what is wrong on the way from an instance, through its role and credential, to an object.

    Parameters: `instance` an instance, its id or name (None: live, the machine this runs on); `object` as
    `oss://bucket/key`, or `oss://bucket/folder/` for a listing (where there is no instance, it may come first); `cloud` the
    session that looks (default: the one of `instance`, else `rr.connect()`); `full` goes on after the first cause; `role`
    the role the program names, or that is to be attached.

    How your program does it, where it differs: `endpoint` (such as `oss-cn-beijing.aliyuncs.com`), `signature` (`V4` or
    `V1`), `provider` its credentials provider (of oss2 or the SDK), `python` the interpreter it runs in, `front_end` the
    interpreter JupyterLab runs in. `progress(done, total, name)` is told before each look; `cancel()` true stops.

    Returns a `Diagnosis` (HTML, text, Markdown, `to_dict()`). Nothing is changed: it reads, and of an object one byte.
    It ends within ten seconds, also where nothing answers. Raises InputError.

    Sources: the pages named in `doctor.causes`, and https://www.alibabacloud.com/help/en/ram/policy-evaluation-process.
    """
    if isinstance(instance, str) and instance.startswith("oss://"):  # no instance is called so
        if object:
            raise InputError(
                f"{instance!r} is an object, and an instance comes first.",
                next_step=f"the other way round: rr.diagnose({object!r}, {instance!r})",
            )
        instance, object = None, instance  # noqa: A001 - the word of the public interface
    bucket, key = parse_object(object) if object else ("", "")
    if signature not in SIGNATURES:
        raise InputError(
            f"There is no signature version {signature!r}.{nearest(str(signature), SIGNATURES)}",
            next_step="V4 (what a new account needs) or V1",
        )
    context = instance.context if isinstance(instance, BoundInstance) else None
    if cloud is not None:
        context = cloud.context
    if context is None:
        from ..connect import connect

        context = connect().context
    vm = instance if isinstance(instance, BoundInstance) else None
    named = "" if vm is not None or instance is None else str(instance)
    asked = Asked(vm.instance_id if vm is not None else named, bucket, key, role or "", endpoint, signature)
    look = Look(context, asked, vm=vm, provider=provider, python=python, front_end=front_end)
    return _run(look, full=full, progress=progress, cancel=cancel)


def _run(
    look: Look,
    *,
    full: bool,
    progress: Callable[[int, int, str], None] | None,
    cancel: Callable[[], bool] | None,
) -> Diagnosis:
    started = time.monotonic()
    probes: list[Probe] = []
    for number, step in enumerate(PROBES):
        if cancel is not None and cancel():
            look.seen.late += [left.name for left in PROBES[number:]]
            break
        if progress is not None:
            progress(number, len(PROBES), step.name)
        left = _BUDGET - (time.monotonic() - started)
        probes.append(look.run(step, min(step.seconds, left)))
        if not full and judge(look.seen, number):
            break
    if progress is not None:
        progress(len(PROBES), len(PROBES), "")
    return _diagnosis(look, probes, full=full, seconds=time.monotonic() - started)


def _diagnosis(look: Look, probes: list[Probe], *, full: bool, seconds: float) -> Diagnosis:
    asked = look.seen.asked
    findings = judge(look.seen, len(probes) - 1)
    names = [asked.instance or look.seen.instance_id, asked.bucket and f"oss://{asked.bucket}/{asked.key}"]
    if asked.role:
        names.append(f"role {asked.role}")
    mode, region = look.context.endpoints.mode, look.context.region_id
    return Diagnosis(
        findings=tuple(findings if full else findings[:1]),
        probes=tuple(probes),
        could_not_tell=tuple(open_questions(look.seen, findings)),
        advice=tuple(advice(look.seen)),
        asked=", ".join(name for name in names if name) or "this session",
        seconds=round(seconds, 3),
        where=f"{'SANDBOX' if mode == 'sandbox' else mode.upper()}, {region}",
    )
