"""The credentials panel: the page's three methods to get a role's temporary credential, its expiry, the mixed-triple trap.

`vm.credentials()`, `vm.identity()`, and the functions of `ramrole_nb.cloud.methods` and `ramrole_nb.cloud.trap`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from html import escape
from typing import TYPE_CHECKING, Any

import ipywidgets as widgets

from ..cloud import methods
from ..cloud.instances import BoundInstance
from ..cloud.metadata import HARDENED, MODES
from ..cloud.method_run import MaskedCredential, MethodRun, MethodRuns
from ..cloud.seen import CHECKS, NOBODY_SEES, OURS, RequestsSeen
from ..cloud.trap import TrapResult, mixed_triples
from ..errors import InputError, RamroleError, nearest
from ..jobs import Job, JobContext
from ..models import CallerIdentity
from ..redact import mask_key_id
from ..render import html_card, html_table, text_card, text_table
from ..snippets import FetchCredentials, WhoAmI, all_code
from .elements import Countdown
from .fields import choice, note, text_field
from .outcome import error_html, error_text
from .panel import Panel, fold, row

if TYPE_CHECKING:
    from ..cloud.session import Cloud
    from ..models import StsCredentials

__all__ = ["CredentialsPanel"]

# A new credential is served half an hour before the old one ends; shorter lifetimes keep the proportion (imds.md).
_LATEST_ROTATION_SECONDS = 1_800.0
_COUNTED = ("program", "metadata requests")
_ENDED_UNSEEN = (
    "It was ended by hand, which a program cannot see: the next service refuses it, and a new one is fetched then "
    "(Who am I there?). Or press Refresh"
)
_NONE_HELD = "No credential is held yet: get one."
_THEN = "The next use is refused, and renews it by itself: press “Who am I there?”."
_TRAP_NOTE = (
    "The page's sample reads key, secret and token with three getters. Around a rotation the three can be of two "
    "credentials, and every service refuses such a mixed triple. For two seconds the sandbox rotates every 50 ms; then "
    "it is put back."
)
_TRAP_LIVE = "This can only be seen in the sandbox: a live metadata service cannot be made to rotate."


@dataclass(frozen=True)
class _Picture:
    running: tuple[BoundInstance, ...] = ()
    vm: BoundInstance | None = None
    role_name: str = ""
    why_not: str = ""  # why the instance's metadata cannot be asked from here
    held: StsCredentials | None = None
    counts: tuple[tuple[str, int], ...] = ()
    trouble: RamroleError | None = field(default=None)


class CredentialsPanel(Panel):
    """Get the temporary credential of an instance's role, in each way there is.

    Parameters: `cloud` the session; `instance` an id or a name. In one line: `vm.credentials(mode=…, refresh=…)`,
    `vm.identity()`, `fetch_all(vm)`, `compare_modes(vm)`, `mixed_triples(vm)`, `cloud.sandbox.expire()`.
    """

    TITLE = "Credentials"
    FOLLOWS = True

    def __init__(self, cloud: Cloud, instance: str = "web-1") -> None:
        self._wanted = instance
        self._seen: tuple[str, RequestsSeen] | None = None
        self._runs: dict[str, MethodRun] = {}
        self._expired_keys: set[str] = set()
        self._drawing = False
        super().__init__(cloud)

    # -- controls --------------------------------------------------------------------------------------------

    def _controls(self) -> Sequence[widgets.Widget]:
        self.instance = choice("Instance", [])
        self.mode = choice("Metadata mode", list(MODES), HARDENED)
        self.role = text_field("Role name", "", placeholder="empty: found by itself", width="26em")
        for chosen in (self.instance, self.mode):
            chosen.observe(lambda _: self._chosen(), names=["value"])
        self.countdown = Countdown(
            label="the held credential is valid for", over="the held credential has expired"
        )
        self._where, self._held, self._counts, self._side_by_side = (widgets.HTML() for _ in range(4))
        get = self.button("Get credential", self.get, main=True)
        anew = self.button("Refresh", self.fetch_anew, tooltip="Refresh: ask the metadata service now")
        who = self.button("Who am I there?", self.who)
        expire = self.button(
            "Expire now", self.expire, tooltip="Expire now: every temporary credential, in the sandbox"
        )
        each = [
            self.button(name, start)
            for name, start in (
                (methods.TOOL, self.run_tool),
                (methods.METADATA, self.run_metadata),
                (methods.CLI, self.run_cli),
                ("Compare the modes", self.compare),
            )
        ]
        every = self.button("Run all three methods", self.run_all, main=True)
        trap = self.button("Show the trap", self.show_trap)
        return (
            row(self.instance, self.mode),
            self._where,
            self._held,
            self.countdown,
            row(get, anew, who, expire),
            self._counts,
            fold("the three methods, side by side", row(self.role), row(every, *each), self._side_by_side),
            fold(
                "the mixed-triple trap",
                note(_TRAP_NOTE if self.cloud.context.sandbox is not None else _TRAP_LIVE),
                row(trap),
            ),
        )

    def _chosen(self) -> None:
        if self._drawing:
            return
        value = str(self.instance.value or self._wanted)
        if value != self._wanted:
            self._wanted = value
            self._runs = {}
        self._something_changed()

    # -- actions ---------------------------------------------------------------------------------------------

    def get(self) -> Job[Any]:
        """Use the credential, as a program does; a held one is used again: `vm.credentials(mode=mode)`."""
        return self._fetch("get the credential", refresh=False)

    def fetch_anew(self) -> Job[Any]:
        """Ask the metadata service now: `vm.credentials(mode=mode, refresh=True)`."""
        return self._fetch("refresh the credential", refresh=True)

    def _fetch(self, name: str, *, refresh: bool) -> Job[Any]:
        mode = str(self.mode.value)
        return self.act(
            f"{name} of {self._wanted}",
            lambda _: self._noted(methods.fetch_with_provider(self._vm(), mode=mode, refresh=refresh)),
            code=self._code_of,
            done=self._fetched,
        )

    def _fetched(self, run: MethodRun) -> str | tuple[str, str]:
        held = self._vm().provider(str(self.mode.value)).held
        if not run.requests and _key_of(held) in self._expired_keys:
            return f"{run.note}. {_ENDED_UNSEEN}", "info"
        return run.note + (f"; {_requests(run.metadata_requests)}" if run.requests else "")

    def who(self) -> Job[Any]:
        """Ask who a program on the instance is: `vm.identity()`."""
        told: list[str] = []

        def ask(_: object) -> CallerIdentity:
            vm = self._vm()
            methods.check_from_here(vm)
            before = _key_of(vm.provider().held)
            found = vm.identity()
            after = _key_of(vm.provider().held)
            told.append(f"a program on {vm.name or vm.instance_id} is {found.name}")
            if before and before != after:
                told.append(
                    f"the credential {before} was refused, so a new one was fetched by itself: {after}"
                )
            return found

        return self.act(
            f"ask who a program on {self._wanted} is",
            ask,
            code=lambda _: WhoAmI(self._instance_id()),
            done=lambda _: "; ".join(told),
        )

    def expire(self) -> Job[Any]:
        """Expire every temporary credential at once, in the sandbox: `cloud.sandbox.expire()`."""

        def end(_: object) -> str:
            vm = self._vm()
            count = self.cloud.sandbox.expire()
            self._expired_keys = {_key_of(vm.provider(mode).held) for mode in MODES} - {""}
            were = "1 temporary credential was" if count == 1 else f"{count} temporary credentials were"
            return f"{were} valid and {'is' if count == 1 else 'are'} expired now. {_THEN}"

        return self.act(
            "expire every temporary credential",
            end,
            done="every temporary credential is expired",
            show=_note_html,
        )

    def run_all(self) -> Job[Any]:
        """Run the three methods: `fetch_all(vm, role, mode=mode)`."""
        role, mode = self._asked()
        return self.act(
            f"run the three methods on {self._wanted}",
            lambda ctx: self._noted_all(methods.fetch_all(self._vm(), role, mode=mode, ctx=ctx)),
            code=lambda _: self._code_of(None),
            done=_said_of_all,
            show=lambda runs: runs.details_html(),  # the summary is in its own place
        )

    def run_tool(self) -> Job[Any]:
        """Run the Credentials tool: `fetch_with_tool(vm, role, mode=mode)`."""
        role, mode = self._asked()
        return self._method(
            methods.TOOL, lambda ctx: methods.fetch_with_tool(self._vm(), role, mode=mode, ctx=ctx)
        )

    def run_metadata(self) -> Job[Any]:
        """Ask the metadata service step by step: `fetch_with_metadata(vm, role, mode=mode)`."""
        role, mode = self._asked()
        return self._method(
            methods.METADATA, lambda _: methods.fetch_with_metadata(self._vm(), role, mode=mode)
        )

    def run_cli(self) -> Job[Any]:
        """Run the Alibaba Cloud CLI: `fetch_with_cli(vm, role)`."""
        role, _ = self._asked()
        return self._method(methods.CLI, lambda ctx: methods.fetch_with_cli(self._vm(), role, ctx=ctx))

    def _method(self, name: str, work: Callable[[Any], MethodRun]) -> Job[Any]:
        return self.act(
            f"{name} on {self._wanted}",
            lambda ctx: self._noted(work(ctx)),
            code=self._code_of,
            done=lambda run: (
                f"{name}: {run.outcome}" + (f", {_requests(run.metadata_requests)}" if run.requests else "")
            ),
        )

    def compare(self) -> Job[Any]:
        """Ask the metadata service in both modes: `compare_modes(vm, role)`."""
        role, _ = self._asked()
        return self.act(
            f"compare the modes of {self._wanted}",
            lambda _: methods.compare_modes(self._vm(), role),
            code=lambda _: self._code_of(None),
            done=lambda runs: runs.note,
        )

    def show_trap(self) -> Job[Any]:
        """Measure the mixed triples: `mixed_triples(vm)`. Takes two seconds and can be cancelled."""

        def measure(ctx: JobContext) -> TrapResult:
            try:
                return mixed_triples(self._vm(), ctx=ctx)
            finally:
                if self._seen is not None and self.cloud.context.sandbox is not None:
                    self._seen[1].skip()

        return self.act("measure mixed triples", measure, done=_said_of_trap)

    # -- helpers of the actions --------------------------------------------------------------------------------

    def _asked(self) -> tuple[str, str]:
        role = self.role.value.strip()
        if any(character in role for character in "/?#% \t"):
            raise InputError(
                f"{role!r} is no role's name.",
                reason="it has 1 to 64 letters, digits, '.' and '-'",
                next_step="leave it empty: the metadata service tells which role the instance has",
            )
        return role, str(self.mode.value)

    def _vm(self) -> BoundInstance:
        shown = self._shown.vm
        if shown is not None and self._wanted in (shown.instance_id, shown.name):
            return shown
        return self.cloud.instances[self._wanted]

    def _instance_id(self) -> str:
        return self._shown.vm.instance_id if self._shown.vm is not None else self._wanted

    def _noted(self, run: MethodRun) -> MethodRun:
        self._runs = {**self._runs, run.method: run}
        return run

    def _noted_all(self, runs: MethodRuns) -> MethodRuns:
        self._runs = {**self._runs, **{run.method: run for run in runs}}
        return runs

    def _code_of(self, run: MethodRun | None) -> FetchCredentials:
        found = run.credential.role_name if run is not None and run.credential is not None else ""
        role = self.role.value.strip() or found or self._shown.role_name
        return FetchCredentials(role, self._instance_id(), str(self.mode.value))

    def _progress_caption(self, job: Job[Any]) -> str:
        return job.progress.message

    # -- what it shows ---------------------------------------------------------------------------------------

    @property
    def _shown(self) -> _Picture:
        return self._picture or _Picture()

    def _read(self) -> _Picture:
        try:
            every = self.cloud.instances.all()
        except RamroleError as error:
            return _Picture(trouble=error)
        running = tuple(vm for vm in every if vm.status == "Running")
        wanted = self._wanted
        vm = next((vm for vm in every if wanted in (vm.instance_id, vm.name)), None)
        if vm is None:
            names = [name for other in running for name in (other.name, other.instance_id) if name]
            return _Picture(
                running,
                trouble=InputError(
                    f"There is no instance {wanted!r}.{nearest(wanted, names)}",
                    next_step="choose one of the list",
                ),
            )
        if vm not in running:
            return _Picture(
                running,
                vm,
                trouble=InputError(
                    f"{vm.name or vm.instance_id} is {vm.status.lower()}: no program runs there.",
                    next_step="start it, or choose another one",
                ),
            )
        trouble: RamroleError | None = None
        role_name = ""
        try:
            role_name = vm.role_name
        except RamroleError as error:
            trouble = error
        why_not = methods.why_not_from_here(vm)
        held = None if why_not else vm.provider(str(self.mode.value)).held
        return _Picture(running, vm, role_name, why_not, held, self._count(vm), trouble)

    def _count(self, vm: BoundInstance) -> tuple[tuple[str, int], ...]:
        if self._seen is None or self._seen[0] != vm.instance_id:
            self._seen = (vm.instance_id, RequestsSeen(vm.context, vm.instance_id))
        seen = self._seen[1]
        seen.take()
        return tuple(sorted(seen.counts.items()))

    def _draw(self, picture: _Picture) -> None:
        self._drawing = True
        try:
            options = [(_label(vm), vm.instance_id) for vm in picture.running]
            if tuple(options) != tuple(self.instance.options):
                self.instance.options = options
            wanted = picture.vm.instance_id if picture.vm is not None else None
            if wanted in [value for _, value in options]:
                self.instance.value = wanted
            elif picture.vm is None or picture.trouble is not None:
                self.instance.value = None
        finally:
            self._drawing = False
        held = picture.held
        if held is None:
            self.countdown.start(0)
        elif _key_of(held) in self._expired_keys:
            self.countdown.start(datetime.now(UTC).timestamp())
        else:
            self.countdown.start(held.expiration.timestamp(), rotates=_rotates(held))
        self._where.value = self._where_html(picture)
        self._held.value = self._held_html(picture)
        self._counts.value = self._counts_html(picture)
        self._side_by_side.value = self._runs_html()

    def _where_html(self, picture: _Picture) -> str:
        parts = [f'<div class="rr-note">{escape(text)}</div>' for text in _provenance(picture)]
        if picture.trouble is not None:
            parts.append(error_html(picture.trouble))
        if picture.why_not:
            parts.append(self._off_instance_html(picture))
        return "".join(parts)

    def _off_instance(self, picture: _Picture) -> tuple[list[tuple[str, str]], dict[str, str]]:
        """Return what the card "Run this on the instance" says, and the code, by title."""
        facts = [("why", picture.why_not), ("next step", "run one of these on the instance itself")]
        role, mode = self.role.value.strip() or picture.role_name, str(self.mode.value)
        region = picture.vm.region_id if picture.vm is not None else ""
        code = methods.by_hand(role, region_id=region, mode=mode)
        whole = all_code(FetchCredentials(role, self._instance_id(), mode))
        return facts, {
            **code,
            **{f"With everything around it: {title}": text for title, text in whole.items()},
        }

    def _off_instance_html(self, picture: _Picture) -> str:
        facts, code = self._off_instance(picture)
        folded = "".join(
            f"<details{' open' if title in (methods.TOOL, methods.METADATA, methods.CLI) else ''}>"
            f"<summary>{escape(title)}</summary><pre>{escape(text)}</pre></details>"
            for title, text in code.items()
        )
        return html_card("Run this on the instance", facts) + folded

    def _held_html(self, picture: _Picture) -> str:
        if picture.vm is None or picture.why_not:
            return ""
        if picture.held is None:
            return f'<div class="rr-note">{_NONE_HELD}</div>'
        return html_card("The credential held now", self._held_facts(picture.held))

    def _held_facts(self, held: StsCredentials) -> list[tuple[str, str]]:
        facts = [*MaskedCredential.of(held).facts(), ("from", _came_from(held))]
        if _key_of(held) in self._expired_keys:
            again = (
                "the next use fetches a new one" if held.mode == HARDENED else "press Refresh for a new one"
            )
            facts.append(("state", f"✕ expired by hand: the services refuse it; {again}"))
        return facts

    def _counts_html(self, picture: _Picture) -> str:
        if picture.vm is None:
            return ""
        return html_table(
            _COUNTED,
            _count_rows(picture),
            title=f"Metadata requests of {picture.vm.name or picture.vm.instance_id} since this panel was opened",
            empty="none yet",
        ) + _note_html(self._counted_by())

    def _counted_by(self) -> str:
        if self.cloud.context.sandbox is None:
            return NOBODY_SEES
        return "The trap's own are left out." if isinstance(self.model.result, TrapResult) else ""

    def _runs_html(self) -> str:
        if not self._runs:
            return '<div class="rr-note">No method has been run yet.</div>'
        return MethodRuns(tuple(self._in_order())).summary_html()

    def _in_order(self) -> list[MethodRun]:
        order = (methods.TOOL, methods.METADATA, methods.CLI, methods.PROVIDER)
        return [self._runs[method] for method in order if method in self._runs]

    def _body_html(self) -> str:
        shown = self._shown
        line = self.countdown.line()
        return (
            self._where_html(shown)
            + self._held_html(shown)
            + (f"<p>{escape(line)}</p>" if line else "")
            + self._counts_html(shown)
            + self._runs_html()
        )

    def _body_text(self) -> str:
        shown = self._shown
        parts = [*_provenance(shown)]
        if shown.trouble is not None:
            parts.append(error_text(shown.trouble))
        if shown.why_not:
            facts, code = self._off_instance(shown)
            parts.append(text_card("Run this on the instance", facts))
            parts += [f"-- {title}\n{text.rstrip()}" for title, text in code.items()]
        elif shown.held is not None:
            parts.append(text_card("The credential held now", self._held_facts(shown.held)))
            parts.append(self.countdown.line())
        elif shown.vm is not None:
            parts.append(_NONE_HELD)
        parts.append(text_table(_COUNTED, _count_rows(shown)) or "no metadata request yet")
        parts.append(self._counted_by())
        parts.append(
            text_table(("method", "outcome", "requests"), _run_rows(self._in_order()))
            or "no method has been run yet"
        )
        return "\n".join(part for part in parts if part)


def _note_html(text: str) -> str:
    """Return a sentence for the reader, or nothing."""
    return f'<div class="rr-note">{escape(text)}</div>' if text else ""


def _label(vm: BoundInstance) -> str:
    return (
        f"{vm.name} ({vm.instance_id}, {vm.region_id})" if vm.name else f"{vm.instance_id} ({vm.region_id})"
    )


def _provenance(picture: _Picture) -> list[str]:
    vm = picture.vm
    if vm is None:
        return []
    name = vm.name or vm.instance_id
    modes = (
        f"The metadata service of {name} answers in security hardening mode only (HttpTokens=required)."
        if vm.http_tokens == "required"
        else f"The metadata service of {name} answers in security hardening mode and in normal mode (HttpTokens=optional)."
    )
    if vm.http_endpoint == "disabled":
        modes = f"Metadata is disabled on {name} (HttpEndpoint=disabled): it answers nothing."
    role = (
        f"Role {picture.role_name} is attached to {name}: its credential comes from the metadata service, never from an "
        "AccessKey."
        if picture.role_name
        else f"No role is attached to {name}: there is no credential to get. Attach one: vm.attach(role)."
    )
    return [role, modes]


def _came_from(held: StsCredentials) -> str:
    return f"role {held.role_name} on {held.instance_id}, through the metadata service in {held.mode} mode; no AccessKey"


def _rotates(held: StsCredentials) -> float:
    """Return when the next credential is due, in epoch seconds; 0: the service does not tell when this one was made."""
    if held.last_updated is None:
        return 0.0
    lifetime = (held.expiration - held.last_updated).total_seconds()
    return held.expiration.timestamp() - min(_LATEST_ROTATION_SECONDS, lifetime / 12)


def _key_of(held: StsCredentials | None) -> str:
    return mask_key_id(held.access_key_id) if held is not None else ""


def _count_rows(picture: _Picture) -> list[list[str]]:
    names = {OURS: "this package (ramrole_nb)", CHECKS: "the checks of the exercises"}
    return [[names.get(maker, maker), str(count)] for maker, count in picture.counts]


def _run_rows(runs: list[MethodRun]) -> list[list[str]]:
    return [[run.method, run.outcome, str(run.metadata_requests) if run.ran else "–"] for run in runs]


def _requests(count: int) -> str:
    return f"{count} metadata request{'' if count == 1 else 's'}"


def _said_of_all(runs: MethodRuns) -> str:
    return "; ".join(
        f"{run.method}: {run.outcome}"
        + (f" ({_requests(run.metadata_requests)})" if run.ran and run.requests else "")
        for run in runs
    )


def _said_of_trap(result: TrapResult) -> str:
    return (
        f"the page's three getters: {result.page_mixed} of {result.page_total} mixed; "
        f"this package: {result.ours_mixed} of {result.ours_total}"
    )
