"""Undoing what the ledger says this user created, in the order the services accept. May be run again at any time."""

from __future__ import annotations

import contextlib
import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..errors import ChangeNotConfirmed, NotFound, RamroleError, ServiceError
from ..ledger import Entry, plan
from ..render import html_table, text_table
from .calls import checking
from .context import Context, asking
from .credentials import forget_role_of
from .preflight import Need
from .settings import KIND as SETTING
from .settings import put_back

__all__ = ["CleanUp", "Created", "Elsewhere", "Step", "Undone", "clean_up", "created", "describe", "planned"]

# Why each kind is undone where it is. Source: https://www.alibabacloud.com/help/en/ram/developer-reference/api-ram-2015-05-01-deleterole
_WHY = {
    SETTING: "any time: nothing else hangs on it",
    "attachment": "first: an instance must not be left with a role that is gone",
    "grant": "before the policy and the role: neither can be deleted while the role holds the policy",
    "policy": "once no role holds it: else DeleteConflict.Policy.Role",
    "role": "once it holds no policy: else DeleteConflict.Role.Policy",
    "object": "any time: nothing else hangs on it",
}


@dataclass(frozen=True)
class Step:
    """One thing this user created, and what undoing it does.

    `since` is UTC, ISO 8601. `certain` is False where a process ended before it wrote down how the call ended: then it may
    exist. `why` says why it comes where it comes; `may` whether the caller's own permissions allow undoing it. `details` are
    what undoing needs (the region of an attachment, the bucket of an object).
    """

    id: str
    kind: str
    name: str
    what: str
    since: str
    certain: bool
    why: str
    may: str = ""
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Elsewhere:
    """How many things are noted of another mode, account or world: they are not touched from here."""

    mode: str
    account_id: str
    world: str
    count: int

    def __str__(self) -> str:
        things = "1 thing" if self.count == 1 else f"{self.count:,} things"
        if self.mode == "live":
            where = f"the live account {self.account_id}".rstrip()
            connect = 'rr.connect("live") as someone of that account'
        else:
            where = f"the sandbox's world {self.world!r} (account {self.account_id})"
            connect = "rr.connect() while the sandbox has that world"
        are = "is" if self.count == 1 else "are"
        return f"{things} of {where} {are} not touched from here; connect there: {connect}"


@dataclass(frozen=True)
class Created:
    """What this user created here and has not undone, in the order a clean-up undoes it; and what is noted elsewhere."""

    steps: tuple[Step, ...]
    elsewhere: tuple[Elsewhere, ...] = ()

    EMPTY = "Nothing to clean up: you created nothing here that is still there."

    def __len__(self) -> int:
        return len(self.steps)

    def __iter__(self) -> Iterator[Step]:
        return iter(self.steps)

    def rows(self) -> list[list[str]]:
        """Return the rows that are shown, one for each of `HEAD`."""
        return [
            [
                str(number),
                step.what,
                step.since[:19].replace("T", " ") + " UTC",
                "certain" if step.certain else "may exist",
                step.why,
                step.may,
            ]
            for number, step in enumerate(self.steps, 1)
        ]

    HEAD = ("step", "undo", "created", "is it there", "why in this order", "may you")

    def __repr__(self) -> str:
        return "\n".join([text_table(self.HEAD, self.rows()) or self.EMPTY, *map(str, self.elsewhere)])

    def _repr_html_(self) -> str:
        table = html_table(self.HEAD, self.rows(), title="What you created here", empty=self.EMPTY)
        others = html_table(("not from here",), [[str(other)] for other in self.elsewhere])
        return f"<div>{table}{others if self.elsewhere else ''}</div>"


@dataclass(frozen=True)
class Undone:
    """What became of one thing: `told` is `done`, `gone already`, why it failed, or that it was not tried."""

    what: str
    told: str
    ok: bool
    code: str = ""
    request_id: str = ""
    next_step: str = ""


_HEAD = ("undo", "result", "code", "request id", "what to do")


@dataclass(frozen=True)
class CleanUp:
    """What a clean-up did, thing by thing. `cancelled`: the user stopped it. What is left stays for the next run."""

    items: tuple[Undone, ...]
    left: int
    cancelled: bool = False

    @property
    def ok(self) -> bool:
        """Whether nothing is left."""
        return self.left == 0

    @property
    def results(self) -> tuple[tuple[str, str], ...]:
        """Each thing in words with what became of it."""
        return tuple((item.what, item.told) for item in self.items)

    @property
    def summary(self) -> str:
        """How much was done and how much is left."""
        if not self.items:
            return "nothing to clean up"
        done = sum(item.ok for item in self.items)
        stopped = "cancelled: " if self.cancelled else ""
        rest = f", {self.left:,} left: running it again goes on from there" if self.left else ""
        return f"{stopped}{done:,} of {len(self.items):,} undone{rest}"

    def _rows(self) -> list[list[str]]:
        return [[i.what, i.told, i.code, i.request_id, i.next_step] for i in self.items]

    def __repr__(self) -> str:
        return text_table(_HEAD, self._rows()) or "nothing to clean up"

    def _repr_html_(self) -> str:
        return html_table(_HEAD, self._rows(), title=f"Clean-up: {self.summary}", empty="nothing to clean up")


def describe(entry: Entry) -> str:
    """Say in words what undoing an entry does."""
    details = entry.details
    words = {
        SETTING: f"set {details.get('option', '')}={details.get('was', '')} on {entry.name} as before",
        "attachment": f"detach role {details.get('role', '')} from {entry.name}",
        "grant": f"revoke {entry.name} from role {details.get('role', '')}",
        "policy": f"delete policy {entry.name}",
        "role": f"delete role {entry.name}",
        "object": f"delete oss://{details.get('bucket', '')}/{entry.name}",
    }
    unsure = " (if it was set)" if entry.kind == SETTING else " (if it exists)"
    return words.get(entry.kind, f"remove {entry.kind} {entry.name}") + ("" if entry.certain else unsure)


def planned(context: Context) -> list[Entry]:
    """Return the open entries of this mode, account and world, in the order they would be undone."""
    return plan(context.ledger.open_entries())


def created(context: Context) -> Created:
    """Return what is open in the ledger, with whether the caller's permissions allow undoing it. Changes nothing."""
    here = planned(context)
    ledger = context.ledger
    others = Counter((entry.mode, entry.account_id, entry.world) for entry in ledger.entries() if entry.open)
    others.pop((ledger.mode, ledger.account_id, ledger.world), None)
    may = _permissions(context, here)
    steps = tuple(
        Step(
            entry.id,
            entry.kind,
            entry.name,
            describe(entry),
            entry.time,
            entry.certain,
            _WHY.get(entry.kind, "last: how it is undone is not known to this version"),
            may.get(entry.id, ""),
            dict(entry.details),
        )
        for entry in here
    )
    return Created(steps, tuple(Elsewhere(*place, count) for place, count in sorted(others.items())))


def _permissions(context: Context, entries: Sequence[Entry]) -> dict[str, str]:
    """Say of each entry whether the caller may undo it. Objects are left out: bucket policies and ACLs count there, too."""
    found: dict[str, str] = {}
    try:
        with checking():
            for entry in entries:
                if need := _need(context, entry):
                    mark, action, _ = context.preflight.tell(need)
                    found[entry.id] = mark if mark.startswith("✓") else f"{mark}: {action}"
    except RamroleError as error:  # showing never raises
        return {entry.id: f"? cannot tell: {error.what}" for entry in entries}
    return found


def _need(context: Context, entry: Entry) -> Need | None:
    account, details = context.preflight.account_id, entry.details
    role = f"acs:ram:*:{account}:role/"
    if entry.kind == SETTING:
        vm = f"acs:ecs:{details.get('region_id', '*')}:{account}:instance/{entry.name}"
        return Need("ecs:ModifyInstanceMetadataOptions", vm)
    if entry.kind == "attachment":
        vm = f"acs:ecs:{details.get('region_id', '*')}:{account}:instance/{entry.name}"
        return Need("ecs:DetachInstanceRamRole", vm)
    if entry.kind == "grant":
        return Need("ram:DetachPolicyFromRole", role + str(details.get("role", "*")))
    if entry.kind == "policy":
        return Need("ram:DeletePolicy", f"acs:ram:*:{account}:policy/{entry.name}")
    return Need("ram:DeleteRole", role + entry.name) if entry.kind == "role" else None


def clean_up(
    context: Context,
    progress: Callable[[int, int, str], None] | None = None,
    *,
    only: Callable[[Entry], bool] | None = None,
    cancel: Callable[[], bool] | None = None,
    confirm: Callable[[Sequence[str]], bool] | None = None,
) -> CleanUp:
    """Undo everything in the ledger (or the entries `only` picks). What fails is said, and stays for the next run.

    `progress(done, total, words)` is told before each; `cancel()` true stops before the next one. `confirm(plan)` is asked
    once, with exactly what will be undone; in a live session it takes the place of the session's own question. Raises
    ChangeNotConfirmed (nobody agreed) before anything is changed.
    """
    entries = [entry for entry in planned(context) if only is None or only(entry)]
    if not entries:
        return CleanUp((), 0)
    _confirmed(context, [describe(entry) for entry in entries], confirm)
    items: list[Undone] = []
    stopped = False
    for at, entry in enumerate(entries):
        words = describe(entry)
        stopped = stopped or (cancel is not None and cancel())
        if stopped:
            items.append(Undone(words, "not tried: cancelled", ok=False, code="Cancelled"))
            continue
        if progress is not None:
            progress(at, len(entries), words)
        try:
            told = _undo(context, entry)
        except RamroleError as error:
            items.append(_failed(words, error))
        else:
            context.ledger.undone(entry)
            items.append(Undone(words, told, ok=True))
    return CleanUp(tuple(items), sum(not item.ok for item in items), stopped)


def _failed(words: str, error: RamroleError) -> Undone:
    return Undone(
        words,
        "failed ✕: " + error.what + (f" {error.reason}" if error.reason else ""),
        ok=False,
        code=getattr(error, "code", ""),
        request_id=getattr(error, "request_id", ""),
        next_step=error.next_step or "see the reason, then clean up again",
    )


def _confirmed(
    context: Context, plan: Sequence[str], confirm: Callable[[Sequence[str]], bool] | None
) -> None:
    """Pass the session's gate; where `confirm` is given, that is who answers its question, and it is asked in any case."""
    if confirm is None:
        context.confirm(plan)
        return
    answers: list[bool] = []

    def ask(_: str) -> bool:
        answers.append(bool(confirm(plan)))
        return answers[-1]

    before = asking.set(ask)
    try:
        context.confirm(plan)
    finally:
        asking.reset(before)
    if not answers and not ask(""):
        raise ChangeNotConfirmed(
            f"Not done: {'; '.join(plan)}.",
            plan=plan,
            reason="the answer was no",
            next_step="nothing has to be done",
        )


def _undo(context: Context, entry: Entry) -> str:
    calls, details = context.calls, entry.details
    try:
        if entry.kind == SETTING:
            return put_back(context, entry)
        if entry.kind == "attachment":
            return _detach_role(context, entry)
        if entry.kind == "grant":
            calls.ram(
                "DetachPolicyFromRole",
                policy_type=details["policy_type"],
                policy_name=entry.name,
                role_name=details["role"],
            )
        elif entry.kind == "policy":
            calls.ram("DeletePolicy", policy_name=entry.name)
        elif entry.kind == "role":
            _delete_role(context, entry.name)
        elif entry.kind == "object":
            from .objects import BoundBucket

            BoundBucket(context, details["bucket"]).run(
                "DeleteObject", {"key": entry.name}, lambda bucket: bucket.delete_object(entry.name)
            )
        else:
            raise RamroleError(f"The ledger names a {entry.kind!r}, which this version cannot undo.")
    except NotFound:
        return "gone already"
    except KeyError as error:
        raise RamroleError(f"The ledger's entry lacks {error}, so it cannot be undone.") from None
    return "done"


def _detach_role(context: Context, entry: Entry) -> str:
    region_id, role = entry.details["region_id"], entry.details["role"]
    ids = json.dumps([entry.name])
    found = context.calls.ecs("DescribeInstanceRamRole", region_id, instance_ids=ids)
    rows = found.get("InstanceRamRoleSets", {}).get("InstanceRamRoleSet", [])
    if not any(row.get("RamRoleName") == role for row in rows):
        return "gone already"  # detached, or replaced by a role that is not this entry's
    answer = context.calls.ecs("DetachInstanceRamRole", region_id, instance_ids=ids, ram_role_name=role)
    for item in answer["DetachInstanceRamRoleResults"]["DetachInstanceRamRoleResult"]:
        if str(item.get("Success")).lower() == "false":
            raise RamroleError(
                f"{entry.name} still has the role {role!r}.", reason=str(item.get("Message", ""))
            )
    # An instance whose metadata cannot be asked from here raises: nothing is held of it.
    with contextlib.suppress(RamroleError):
        forget_role_of(f"{context.endpoints.metadata_proxy(entry.name)}#{entry.name}")
    return "done"


def _delete_role(context: Context, name: str) -> None:
    """Delete a role of ours; what it was granted elsewhere would keep it, so that is revoked first."""
    listed = context.calls.ram("ListPoliciesForRole", role_name=name).get("Policies", {}).get("Policy", [])
    for policy in listed:
        try:
            context.calls.ram(
                "DetachPolicyFromRole",
                policy_type=policy["PolicyType"],
                policy_name=policy["PolicyName"],
                role_name=name,
            )
        except NotFound:
            continue
    try:
        context.calls.ram("DeleteRole", role_name=name)
    except ServiceError as error:
        if error.code != "EntityNotExist.Role":
            raise
