"""The instances panel: which instances there are, and their roles and metadata modes, many at once.

`cloud.instances.attach(role, ids)`, `.detach(ids)`, `.replace(role, ids)`, `.set_hardening(on, ids)`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import TYPE_CHECKING, Any

import ipywidgets as widgets

from ..cloud.batches import Attachments, BatchResult
from ..cloud.context import Change
from ..cloud.hardening import harden_change
from ..cloud.instance import BoundInstance
from ..cloud.preflight import Need
from ..cloud.roles import check_role_name, document_text
from ..errors import InputError, RamroleError, nearest
from ..jobs import Job, JobContext
from ..policy import MAX_ATTACH_SESSION_POLICY
from ..render import html_table, text_table
from ..snippets import Action, AttachRole, CleanUp, DetachRole, SetHardening
from .elements import DataTable
from .fields import Checked, choice, heading, note, text_area
from .panel import Panel, fold, row

if TYPE_CHECKING:
    from ..cloud.session import Cloud

__all__ = ["InstancesPanel"]

_EVERYWHERE = "all regions"
_COLUMNS = (
    ("name", "name"),
    ("id", "id"),
    ("region", "region"),
    ("status", "status"),
    ("system", "system"),
    ("network", "network"),
    ("metadata", "metadata"),
    ("role", "role"),
)
_MAY = ("you may", "permission", "for", "why")
# What is read when a panel is made, so that a name given in a cell is known in the next line.
_FIRST_READING_SECONDS = 30.0
# A notebook file should not carry thousands of rows.
_MOST_ROWS = 100
_MOST_CODE = 20
# The name of no role: what a permission must cover while none is chosen.
_ANY = "*"

_GAP = (
    "Replacing is detaching and then attaching: no call does both. In between an instance has no role, and programs on it "
    "that fetch credentials fail for that moment. What cannot get the new role gets its old one back."
)
_GAP_AFTER = (
    "where a role was replaced there was none for a moment: a fetch that failed then works when tried again"
)
_SESSION_LABEL = "Session policy (for Attach alone; it narrows what the role may do on these instances)"


@dataclass(frozen=True)
class _Lack:
    """A permission that the caller lacks, or of which that cannot be told: on an instance or for a role."""

    mark: str
    action: str
    on: str
    why: str


@dataclass(frozen=True)
class _Picture:
    vms: tuple[BoundInstance, ...] = ()
    roles: Mapping[str, str] = field(default_factory=dict)
    regions: tuple[str, ...] = ()
    assumable: tuple[str, ...] = ()
    region: str = ""
    # What the caller lacks, by instance id and by role name.
    lacks: Mapping[str, tuple[_Lack, ...]] = field(default_factory=dict)
    role_lacks: Mapping[str, tuple[_Lack, ...]] = field(default_factory=dict)
    trouble: str = ""

    def named(self) -> str:
        """Return in words how many instances and roles there are."""
        held = sum(1 for role in self.roles.values() if role)
        return f"{len(self.vms):,} instances, {held:,} with a role"


class InstancesPanel(Panel):
    """Choose instances in a table, and attach, detach or replace their role, or set how they serve metadata.

    Parameters: `cloud` the session; `role` the role chosen at the start; `instances` ids or names selected at the start.
    In one line: `cloud.instances.attach(role, ids)`, `.detach(ids)`, `.replace(role, ids)`, `.set_hardening(on, ids)`.
    """

    TITLE = "Instances"
    FOLLOWS = True

    def __init__(self, cloud: Cloud, role: str = "", instances: Iterable[str] = ()) -> None:
        self._wanted_role = check_role_name(role) if role else ""
        self._wanted = (instances,) if isinstance(instances, str) else tuple(instances)
        super().__init__(cloud)

    # -- controls --------------------------------------------------------------------------------------------

    def _controls(self) -> Sequence[widgets.Widget]:
        self.region = choice("Region", [_EVERYWHERE], _EVERYWHERE)
        self.region.observe(lambda _: self._something_changed(), names=["value"])
        self.table = DataTable(
            columns=[{"key": key, "title": title} for key, title in _COLUMNS],
            selectable="many",
            caption="Instances",
            page_size=20,
            empty="The instances are being read …",
        )
        self.table.observe(lambda _: self._tell_permissions(), names=["selected"])
        self.role = choice("Role", [], None)
        self.role.layout.min_width = "14em"
        self.role.observe(lambda _: self._tell_permissions(), names=["value"])
        self._role_now = widgets.HTML()
        self.session_policy = text_area(_SESSION_LABEL, "", rows=4)
        self._policy_check = Checked(self.session_policy, _policy_said)
        self._permissions = widgets.HTML()
        self._attach = self.button("Attach role", self.attach, main=True)
        self._replace = self.button("Replace role", self.replace)
        self._detach = self.button("Detach role", self.detach)
        self._harden = self.button("Security hardening mode only", lambda: self.harden(True))
        self._soften = self.button("Both modes", lambda: self.harden(False))
        return (
            row(self.region, self.button("Look again", self.refresh)),
            self.table,
            self._permissions,
            heading("Role of the selected instances"),
            row(self.role, self._attach, self._replace, self._detach),
            self._role_now,
            note(_GAP),
            fold("session policy", self.session_policy, self._policy_check.said),
            heading("How the selected instances serve metadata"),
            row(self._harden, self._soften),
        )

    # -- choosing --------------------------------------------------------------------------------------------

    def select(self, *ids_or_names: str) -> InstancesPanel:
        """Select exactly these instances, by id or name. Raises InputError where one is not shown."""
        if self._picture is None and self._looking is not None:
            self._looking.wait(_FIRST_READING_SECONDS)
        self.table.selected = self._ids(ids_or_names)
        return self

    @property
    def selected(self) -> list[BoundInstance]:
        """The instances selected, as they were when last read."""
        known = {vm.instance_id: vm for vm in self._shown.vms}
        return [known[i] for i in self.table.selected if i in known]

    def _ids(self, wanted: Iterable[str]) -> list[str]:
        shown = self._shown.vms
        found = []
        for name in wanted:
            ids = [vm.instance_id for vm in shown if name in (vm.instance_id, vm.name)]
            if len(ids) > 1:
                raise InputError(
                    f"{len(ids)} instances are called {name!r}.", next_step=f"use an id: {', '.join(ids[:5])}"
                )
            if not ids:
                known = [text for vm in shown for text in (vm.instance_id, vm.name) if text]
                where = "" if self.region.value == _EVERYWHERE else f" in {self.region.value}"
                raise InputError(
                    f"There is no instance {name!r}{where}.{nearest(str(name), known)}",
                    next_step="take one of the table; it shows one region, or all",
                )
            found += ids
        return found

    def _chosen(self) -> list[BoundInstance]:
        # What is selected comes from the browser: only what the kernel has read counts.
        vms = self.selected
        if not vms:
            raise InputError(
                "No instance is selected.",
                next_step='check some in the table, or panel.select("web-1")',
            )
        return vms

    def _role_name(self) -> str:
        if not self.role.value:
            wanted = (
                f"The role {self._wanted_role!r} cannot be chosen"
                if self._wanted_role
                else "No role is chosen"
            )
            raise InputError(
                f"{wanted}.",
                reason="" if not self._wanted_role else "no role of this name exists that ECS may assume",
                next_step=f'create one: cloud.roles.create("{self._wanted_role or "EcsRamRole"}")',
            )
        return str(self.role.value)

    # -- actions ---------------------------------------------------------------------------------------------

    def attach(self) -> Job[Any]:
        """Give the selected instances the chosen role: `cloud.instances.attach(role, ids, session_policy=…)`."""
        vms, role = self._chosen(), self._role_name()
        policy = self.session_policy.value.strip()
        if policy:
            _policy_said(policy)
        return self._many(
            f"attach role {role} to {_counted(vms)}",
            lambda how: self.cloud.instances.attach(role, vms, session_policy=policy or None, **how),
            _together(AttachRole(role, region, ids, policy) for region, ids in _by_region(vms)),
        )

    def detach(self) -> Job[Any]:
        """Take the role from the selected instances: `cloud.instances.detach(ids)`."""
        vms = self._chosen()
        return self._many(
            f"detach the role of {_counted(vms)}",
            lambda how: self.cloud.instances.detach(vms, **how),
            _together(self._detaching(vms)),
        )

    def replace(self) -> Job[Any]:
        """Give the selected instances the chosen role in the place of theirs: `cloud.instances.replace(role, ids)`.

        Between detaching and attaching an instance has no role, and fetches on it fail.
        """
        vms, role = self._chosen(), self._role_name()
        others = [vm for vm in vms if self._shown.roles.get(vm.instance_id) != role]
        attaching = [AttachRole(role, region, ids) for region, ids in _by_region(others)]
        return self._many(
            f"replace the role of {_counted(vms)} by {role}; each is without a role for a moment",
            lambda how: self.cloud.instances.replace(role, vms, **how),
            _together([*self._detaching(others), *attaching]),
            after=_GAP_AFTER,
        )

    def harden(self, on: bool = True) -> Job[Any]:
        """Serve metadata in security hardening mode only, or in both modes: `cloud.instances.set_hardening(on, ids)`."""
        vms = self._chosen()
        # By id: whether one is so already is read anew, and not taken from what is shown.
        ids = [vm.instance_id for vm in vms]
        modes = "security hardening mode only" if on else "both modes"
        return self._many(
            f"serve the metadata of {_counted(vms)} in {modes}",
            lambda how: self.cloud.instances.set_hardening(on, ids, **how),
            _together(SetHardening(vm.instance_id, vm.region_id, on) for vm in vms[:_MOST_CODE]),
        )

    def _many(
        self,
        name: str,
        call: Callable[[dict[str, Any]], BatchResult],
        code: Action | None,
        *,
        after: str = "",
    ) -> Job[Any]:
        def work(ctx: JobContext) -> BatchResult:
            def told(done: int, total: int) -> None:
                ctx.progress(done, total, "instances")

            return call({"progress": told, "cancel": lambda: ctx.cancelled})

        def said(result: BatchResult) -> str | tuple[str, str]:
            words = f"{result.what}: {result.summary}" + (f"; {after}" if after else "")
            if result.ok:
                return words
            return words, "cancelled" if result.not_tried else "failed"

        return self.act(name, work, code=code, done=said)

    def _detaching(self, vms: Sequence[BoundInstance]) -> list[Action]:
        held = self._shown.roles
        roles = dict.fromkeys(role for vm in vms if (role := held.get(vm.instance_id)))
        return [
            DetachRole(role, region, ids)
            for role in roles
            for region, ids in _by_region([vm for vm in vms if held.get(vm.instance_id) == role])
        ]

    # -- reading ---------------------------------------------------------------------------------------------

    @property
    def _shown(self) -> _Picture:
        return self._picture or _Picture()

    def _read(self) -> _Picture:
        instances = self.cloud.instances
        region = "" if self.region.value == _EVERYWHERE else str(self.region.value)
        vms = tuple(instances.all(region_id=region))
        trouble = ""
        try:
            assumable = tuple(self.cloud.roles.for_ecs())
        except RamroleError as error:  # the instances are worth showing all the same
            assumable, trouble = (), f"The roles cannot be listed: {error.what}"
        roles = instances.roles(vms) if vms else {}
        lacks, role_lacks = self._lacks(vms, assumable)
        regions = tuple(instances.regions())
        return _Picture(vms, roles, regions, assumable, region, lacks, role_lacks, trouble)

    def _lacks(
        self, vms: Sequence[BoundInstance], roles: Sequence[str]
    ) -> tuple[dict[str, tuple[_Lack, ...]], dict[str, tuple[_Lack, ...]]]:
        """Say of all that may be clicked here what the caller lacks for it, so that choosing needs no more reading."""
        batch, preflight = Attachments(self.cloud.context), self.cloud.context.preflight

        def lacking(needs: Iterable[Need], on: str) -> tuple[_Lack, ...]:
            told = [preflight.tell(need) for need in needs]
            return tuple(_Lack(mark, action, on, why) for mark, action, why in told if mark[0] != "✓")

        def of(change: Change, *, role: bool) -> list[Need]:
            return [need for need in change.needs if (":role/" in need.resource) == role]

        lacks = {
            vm.instance_id: lacking(
                [
                    *of(batch.attach_change(_ANY, [vm]), role=False),
                    *batch.detach_change([vm]).needs,
                    *harden_change([vm], on=True).needs,
                ],
                vm.name or vm.instance_id,
            )
            for vm in vms
        }
        one_each = list({vm.region_id: vm for vm in vms}.values())
        role_lacks = {
            role: lacking(of(batch.attach_change(role, one_each), role=True), f"role {role}")
            for role in dict.fromkeys([*roles, self._wanted_role or _ANY])
        }
        return lacks, role_lacks

    # -- what it shows ---------------------------------------------------------------------------------------

    def _draw(self, picture: _Picture) -> None:
        rows = _rows(picture)
        with self.table.hold_sync():
            self.table.empty = "There is no instance here that you may see."
            if rows != self.table.rows:
                self.table.rows = rows
            self.table.caption = picture.named()
        regions = [_EVERYWHERE, *picture.regions]
        if tuple(regions) != tuple(self.region.options):
            chosen = self.region.value
            self.region.options = regions
            self.region.value = chosen if chosen in regions else _EVERYWHERE
        self._offer(picture)
        self._tell_permissions()
        if self._wanted and not picture.region:
            wanted, self._wanted = self._wanted, ()
            self._select_at_start(wanted)

    def _select_at_start(self, wanted: Sequence[str]) -> None:
        try:
            self.table.selected = self._ids(wanted)
        except InputError as error:
            self._ended_badly(error)

    def _offer(self, picture: _Picture) -> None:
        if tuple(picture.assumable) != tuple(self.role.options):
            chosen = self.role.value or self._wanted_role
            self.role.options = picture.assumable
            first = next(iter(picture.assumable), None) if not self._wanted_role else None
            self.role.value = chosen if chosen in picture.assumable else first
        told = picture.trouble
        if not told and self._wanted_role and self._wanted_role not in picture.assumable:
            told = (
                f"The role {self._wanted_role} is not offered: none of this name exists that ECS may assume."
            )
        elif not told and not picture.assumable:
            told = "There is no role yet that ECS may assume: create one first."
        self._role_now.value = f'<div class="rr-note">{escape(told)}</div>' if told else ""

    def _tell_permissions(self) -> None:
        rows = self._missing()
        if rows:
            self._permissions.value = html_table(
                _MAY, rows, title="Before you click: what your own permissions say"
            )
        elif self.selected:
            self._permissions.value = (
                '<div class="rr-note">✓ Your permissions allow each action on what is selected.</div>'
            )
        else:
            self._permissions.value = ""

    def _missing(self) -> list[list[str]]:
        """Return a row for each permission that lacks, or cannot be told, for what is selected (nothing: for all)."""
        picture = self._shown
        role = str(self.role.value or self._wanted_role or _ANY)
        found: dict[tuple[str, str], list[_Lack]] = {}
        for vm in self.selected or picture.vms:
            for lack in picture.lacks.get(vm.instance_id, ()):
                found.setdefault((lack.mark, lack.action), []).append(lack)
        for lack in picture.role_lacks.get(role, ()):
            found.setdefault((lack.mark, lack.action), []).append(lack)
        return [
            [mark, action, _named([lack.on for lack in lacks]), lacks[0].why]
            for (mark, action), lacks in found.items()
        ]

    def _body_rows(self) -> tuple[list[list[str]], str]:
        rows = self.table.visible_rows()
        chosen = set(self.table.selected)
        shown = [["✓" if r["id"] in chosen else "", *self.table.cells(r)] for r in rows[:_MOST_ROWS]]
        more = len(rows) - len(shown)
        return shown, f"and {more:,} more: cloud.instances lists them all" if more > 0 else ""

    def _body_html(self) -> str:
        rows, more = self._body_rows()
        head = ("selected", *(title for _, title in _COLUMNS))
        named = self._shown.named() if self._picture is not None else ""
        table = html_table(head, rows, title=named, empty=self.table.empty)
        more = f"<p>{escape(more)}</p>" if more else ""
        return f"{table}{more}{self._permissions.value}{self._role_now.value}"

    def _body_text(self) -> str:
        rows, more = self._body_rows()
        head = ("selected", *(title for _, title in _COLUMNS))
        missing = text_table(_MAY, self._missing())
        named = self._shown.named() if self._picture is not None else ""
        parts = (named, text_table(head, rows) or self.table.empty, more, missing)
        return "\n".join(part for part in parts if part)


def _rows(picture: _Picture) -> list[dict[str, Any]]:
    return [
        {
            "id": vm.instance_id,
            "name": vm.name or vm.instance_id,
            "region": vm.region_id,
            "status": vm.status,
            "system": vm.os_type,
            "network": vm.network_type,
            "metadata": _metadata(vm),
            "role": picture.roles.get(vm.instance_id) or "–",
        }
        for vm in picture.vms
    ]


def _metadata(vm: BoundInstance) -> str:
    if vm.http_endpoint == "disabled":
        return "switched off"
    return "hardened only" if vm.http_tokens == "required" else "both modes"


def _by_region(vms: Sequence[BoundInstance]) -> list[tuple[str, tuple[str, ...]]]:
    found: dict[str, list[str]] = {}
    for vm in vms:
        found.setdefault(vm.region_id, []).append(vm.instance_id)
    return [(region, tuple(ids)) for region, ids in found.items()]


def _together(actions: Iterable[Action]) -> Action | None:
    several = tuple(actions)
    return several[0] if len(several) == 1 else CleanUp(several) if several else None


def _counted(vms: Sequence[BoundInstance]) -> str:
    return (vms[0].name or vms[0].instance_id) if len(vms) == 1 else f"{len(vms):,} instances"


def _named(names: Iterable[str]) -> str:
    """Name things in a table: three at most."""
    several = list(dict.fromkeys(names))
    return ", ".join(several[:3]) + (f" and {len(several) - 3:,} more" if len(several) > 3 else "")


def _policy_said(value: str) -> str:
    if not value.strip():
        return ""
    document_text(value, "session")
    if len(value) > MAX_ATTACH_SESSION_POLICY:
        raise InputError(
            f"The session policy has {len(value):,} characters; {MAX_ATTACH_SESSION_POLICY:,} is the limit.",
            next_step="shorten it, or narrow the role's own policy instead",
        )
    return f"a legal policy document, {len(value):,} of {MAX_ATTACH_SESSION_POLICY:,} characters"
