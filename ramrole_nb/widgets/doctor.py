"""The doctor panel: say what is wrong on the way from an instance to an object. `rr.diagnose(instance, object)`."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any

import ipywidgets as widgets

from ..cloud.looks import SIGNATURES
from ..doctor.diagnose import diagnose, parse_object
from ..errors import RamroleError
from ..jobs import Job
from ..render import html_table
from .elements import CodeBlock
from .fields import choice, text_field
from .panel import Panel, _tree, fold, row

if TYPE_CHECKING:
    from ..cloud.session import Cloud
    from ..doctor.findings import Diagnosis, Finding
    from ..jobs import JobContext

__all__ = ["DoctorPanel"]

_LOOKS = ("looked at", "state", "seen", "time")
_READS = ("Get", "List", "Describe", "Head")
_STALE = "Something was changed since then: diagnose again."


@dataclass(frozen=True)
class _Picture:
    instances: tuple[str, ...] = ()
    diagnosis: Diagnosis | None = None
    made: str = ""
    stale: bool = False


class DoctorPanel(Panel):
    """Diagnose an instance, its role and credential, and an object.

    Parameters: `cloud` the session; `instance` (id or name; live and empty: the machine this runs on) and `object`
    (`oss://bucket/key`) fill in the fields. It changes nothing. In one line: `rr.diagnose(instance, object, cloud=cloud)`.
    """

    TITLE = "Doctor"
    FOLLOWS = True

    def __init__(self, cloud: Cloud, instance: str = "", object: str = "") -> None:  # noqa: A002 - as in rr.diagnose
        self._first = (instance, object)
        self._found: Diagnosis | None = None
        self._made, self._mark = "", 0
        self._drawn_key: tuple[int, bool] | None = None
        self._typed = ""
        super().__init__(cloud)

    # -- controls --------------------------------------------------------------------------------------------

    def _controls(self) -> Sequence[widgets.Widget]:
        instance, target = self._first
        self.instance = widgets.Combobox(
            value=instance,
            description="Instance",
            placeholder="id or name",
            ensure_option=False,
            style={"description_width": "initial"},
            layout=widgets.Layout(width="22em", max_width="100%"),
        )
        self.object = text_field(
            "Object", target, placeholder="oss://sandbox-photos/testfolder/example.png", width="36em"
        )
        self.role = text_field("Role the program names", "", placeholder="EcsRamRole")
        self.full = widgets.Checkbox(
            value=False, description="Go on after the first cause", indent=False, layout={"width": "auto"}
        )
        self.endpoint = text_field("Endpoint", "", placeholder="oss-cn-beijing.aliyuncs.com", width="30em")
        self.signature = choice("Signature", list(SIGNATURES), "V4")
        self._results = widgets.VBox(layout=widgets.Layout(width="100%"))
        self._looks = widgets.HTML()
        return (
            row(self.instance, self.object),
            fold("how your program does it", row(self.role), row(self.endpoint, self.signature)),
            row(self.button("Diagnose", self.diagnose, main=True), self.full),
            self._results,
            self._looks,
        )

    # -- the action ------------------------------------------------------------------------------------------

    def diagnose(self) -> Job[Any]:
        """Look for what is wrong: `rr.diagnose(instance, object, cloud=cloud, full=…, role=…)`. Nothing is changed."""
        instance, target = self.instance.value.strip(), self.object.value.strip()
        role, endpoint = self.role.value.strip(), self.endpoint.value.strip()
        full, signature = bool(self.full.value), str(self.signature.value)
        if target:
            parse_object(target)
        typed = _typed(instance, target, full, role, endpoint, signature)

        def work(ctx: JobContext) -> Diagnosis:
            found = diagnose(
                instance or None,
                target or None,
                cloud=self.cloud,
                full=full,
                role=role or None,
                endpoint=endpoint,
                signature=signature,
                progress=ctx.progress,
                cancel=lambda: ctx.cancelled,
            )
            ctx.check()
            self._mark = self.cloud.wire.mark
            self._made, self._typed, self._found = time.strftime("%H:%M:%S"), typed, found
            return found

        if not self.model.busy:  # what was found before does not stand above a search that runs
            self._found = None
            self._draw(_Picture(self._shown.instances))
        return self.act("diagnose", work, done=_said, quiet=True)

    # -- what it shows ---------------------------------------------------------------------------------------

    @property
    def _shown(self) -> _Picture:
        return self._picture or _Picture()

    def _read(self) -> _Picture:
        try:
            names = tuple(vm.name or vm.instance_id for vm in self.cloud.instances)
        except RamroleError:  # that is what the diagnosis is for
            names = self._shown.instances
        changed = any(
            call.ok and call.service != "IMDS" and not call.action.startswith(_READS)
            for call in self.cloud.wire.since(self._mark)
        )
        return _Picture(names, self._found, self._made, changed and self._found is not None)

    def _draw(self, picture: _Picture) -> None:
        if tuple(self.instance.options) != picture.instances:
            self.instance.options = picture.instances
        found = picture.diagnosis
        key = (id(found), picture.stale)
        if self._drawn_key == key:
            return  # a reading that follows others' calls leaves what one reads, or copies from, alone
        self._drawn_key = key
        old = self._results.children
        parts: list[widgets.Widget] = []
        if found is None:
            parts.append(widgets.HTML(f'<div class="rr-note">{_NOTHING}</div>'))
        else:
            parts.append(widgets.HTML(self._head_html(picture, found)))
            several = len(found.findings) > 1
            for number, finding in enumerate(found.findings, 1):
                parts += _card(finding, f"Cause {number}" if several else "Cause")
            for finding in found.advice:
                parts += _card(finding, title="Worth mending")
            parts.append(CodeBlock(title="The same, typed", code=self._typed))
        self._results.children = parts
        self._looks.value = "" if found is None else _looks_html(found)
        for widget in old:
            for part in _tree(widget):
                part.close()

    def _head_html(self, picture: _Picture, found: Diagnosis) -> str:
        mark = "✕" if found.findings else "?" if found.could_not_tell else "✓"
        count = f"{len(found.findings)} causes, outermost first" if len(found.findings) > 1 else ""
        said = count or ("One cause" if found.findings else found.verdict)
        stale = f'<div class="rr-note"><strong>{_STALE}</strong></div>' if picture.stale else ""
        about = f"{found.asked}, {found.seconds:.1f} s, at {picture.made}"
        return (
            f'<div class="rr-part" role="heading" aria-level="4"><strong>{mark} {escape(said)}</strong></div>'
            f'<div class="rr-note">{escape(about)}</div>{stale}'
        )

    def _body_html(self) -> str:
        shown = self._shown
        if shown.diagnosis is None:
            return f"<p>{_NOTHING}</p>"
        stale = f"<p><strong>{_STALE}</strong></p>" if shown.stale else ""
        return stale + shown.diagnosis.to_html()

    def _body_text(self) -> str:
        shown = self._shown
        if shown.diagnosis is None:
            return _NOTHING
        return "\n".join([*([_STALE] if shown.stale else []), shown.diagnosis.to_text()])


_LINK = "text-decoration:underline"
_NOTHING = "Nothing was diagnosed yet."


def _said(found: Diagnosis) -> tuple[str, str]:
    if found.findings:
        return f"cause found: {found.verdict}", "info"
    return found.verdict, "info" if found.could_not_tell else "done"


def _typed(instance: str, target: str, full: bool, role: str, endpoint: str, signature: str) -> str:
    """Return the call that does the same."""
    words = [repr(instance or None), *([repr(target)] if target else []), "cloud=cloud"]
    words += ["full=True"] if full else []
    words += [f"{name}={value!r}" for name, value in (("role", role), ("endpoint", endpoint)) if value]
    words += [f"signature={signature!r}"] if signature != "V4" else []
    return f"rr.diagnose({', '.join(words)})"


def _card(finding: Finding, title: str = "Cause") -> list[widgets.Widget]:
    """Return a finding as widgets: what, the fixes to copy, and where to read more."""
    facts = html_table(("fact", "seen"), finding.evidence) if finding.evidence else ""
    told = (("What to do", finding.fix_words), ("Console", finding.fix_console))
    where = "".join(f'<div class="rr-note">{label}: {escape(how)}</div>' for label, how in told if how)
    link = escape(finding.link)
    anchor = f'<a href="{link}" target="_blank" rel="noopener" style="{_LINK}">{link}</a>'
    page = f'<div class="rr-note">{anchor}</div>' if link else ""
    parts: list[widgets.Widget] = [
        widgets.HTML(
            f'<div class="rr-part"><strong>{escape(title)}: {escape(finding.sentence)}</strong></div>'
            f'<div class="rr-note">{escape(finding.cause)}</div>{facts}'
        )
    ]
    if finding.fix_call:
        parts.append(CodeBlock(title="Fix in Python", code=finding.fix_call))
    if finding.fix_command:
        parts.append(CodeBlock(title="Fix in the shell", code=finding.fix_command))
    if where or page:
        parts.append(widgets.HTML(where + page))
    inner = widgets.VBox(parts, layout=widgets.Layout(width="100%"))
    inner.add_class("rr-fold")
    return [inner]


def _looks_html(found: Diagnosis) -> str:
    rows = [
        [probe.name, probe.mark, probe.saw, f"{probe.ms:.0f} ms" if probe.ms else ""]
        for probe in found.probes
    ]
    return html_table(_LOOKS, rows, title="What was looked at, from the outside in")
