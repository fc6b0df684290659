"""The role panel: create a role, say who may assume it and what it may do. `cloud.roles.create(...)`, `role.grant(...)`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape
from typing import TYPE_CHECKING, Any

import ipywidgets as widgets

from .. import policy as policies
from ..cloud.preflight import Need
from ..cloud.roles import BoundRole, check_role_name, document_text
from ..errors import InputError
from ..jobs import Job
from ..policy import trust_for_service, trusts_service
from ..render import html_table, text_table
from ..snippets import CreateRole, GrantDocument, GrantPolicy, RevokePolicy, SetTrust
from .fields import Checked, choice, choose, heading, text_area, text_field
from .panel import Panel, fold, row

if TYPE_CHECKING:
    from ..cloud.session import Cloud
    from ..models import Policy

__all__ = ["RolePanel"]

_ACCESS = {
    "list and read": policies.read_objects,
    "list, read and write": policies.read_write_objects,
    "list names only": policies.bucket_list,
}
_HELD = ("policy", "type", "description")
_MAY = ("you may", "permission", "why")


@dataclass(frozen=True)
class _Picture:
    role: BoundRole | None = None
    held: tuple[Policy, ...] = ()
    grantable: tuple[Policy, ...] = ()
    permissions: tuple[tuple[str, str, str], ...] = field(default=())


class RolePanel(Panel):
    """Create and grant a role.

    Parameters: `cloud` the session; `name`, `policy` and `bucket` fill in the fields. In one line:
    `cloud.roles.create(name)`, `role.grant(policy)`, `role.revoke(policy)`, `role.set_trust(document)`.
    """

    TITLE = "Role"
    FOLLOWS = True

    def __init__(
        self, cloud: Cloud, name: str = "", *, policy: str = "AliyunOSSReadOnlyAccess", bucket: str = ""
    ) -> None:
        self._first_name, self._first_policy, self._first_bucket = name, policy, bucket
        self._all_policies: tuple[Policy, ...] = ()
        super().__init__(cloud)

    # -- controls --------------------------------------------------------------------------------------------

    def _controls(self) -> Sequence[widgets.Widget]:
        self.name = text_field("Role name", self._first_name, placeholder="EcsRamRole")
        self._name_check = Checked(self.name, _name_said)
        self.name.observe(lambda _: self._something_changed(), names=["value"])
        self.trust = text_area(
            "Trust policy (who may assume it)", _pretty(trust_for_service("ecs.aliyuncs.com")), rows=13
        )
        self._trust_check = Checked(self.trust, _trust_said)
        self._role_now = widgets.HTML()
        self.search = text_field("Find a policy", self._first_policy)
        self.search.observe(lambda _: self._offer(), names=["value"])
        self.policy = choice("Policy", [])
        self.bucket = text_field("Bucket", self._first_bucket, placeholder="sandbox-photos")
        self.prefix = text_field("Prefix", "", placeholder="empty: the whole bucket")
        self.access = choice("Access", list(_ACCESS), "list and read")
        self.document = text_area("Policy document", "", rows=16)
        self._document_check = Checked(self.document, _document_said)
        self._held = widgets.HTML()
        self.held = choice("Held policy", [])
        self._permissions = widgets.HTML()
        self._create = self.button("Create role", self.create, main=True)
        self._save_trust = self.button("Save trust policy", self.save_trust)
        self._grant = self.button("Grant policy", self.grant, main=True)
        self._write = self.button("Write the document", self.write_document)
        self._grant_document = self.button("Grant document", self.grant_document, main=True)
        self._revoke = self.button("Revoke policy", self.revoke)
        self._revoking = row(self.held, self._revoke)
        return (
            row(self.name, self._name_check.said),
            self._role_now,
            fold("trust policy", self.trust, self._trust_check.said, row(self._save_trust)),
            row(self._create, self.button("Look again", self.refresh)),
            self._permissions,
            heading("What it may do"),
            self._held,
            self._revoking,
            row(self.search, self.policy, self._grant),
            fold(
                "a policy of your own, for one bucket",
                row(self.bucket, self.prefix, self.access, self._write),
                self.document,
                self._document_check.said,
                row(self._grant_document),
            ),
        )

    # -- actions ---------------------------------------------------------------------------------------------

    def create(self) -> Job[Any]:
        """Create the role: `cloud.roles.create(name, trust=document)`."""
        name, trust = check_role_name(self.name.value.strip()), self.trust.value
        document_text(trust, "trust")
        return self.act(
            f"create role {name}",
            lambda _: self.cloud.roles.create(name, trust=trust),
            code=CreateRole(name, _pretty(trust)),
            done=f"role {name} is there",
            quiet=True,
        )

    def save_trust(self) -> Job[Any]:
        """Change the trust policy of the role: `role.set_trust(document)`."""
        name, trust = check_role_name(self.name.value.strip()), self.trust.value
        document_text(trust, "trust")
        return self.act(
            f"change the trust policy of {name}",
            lambda _: self.cloud.roles[name].set_trust(trust),
            code=SetTrust(name, _pretty(trust)),
            done=f"role {name} has this trust policy",
            quiet=True,
        )

    def grant(self) -> Job[Any]:
        """Grant the chosen policy: `role.grant(name)`."""
        if not self.policy.value:
            raise InputError(
                "No policy is chosen.", next_step="search one by a word of its name, such as OSS"
            )
        name, chosen = check_role_name(self.name.value.strip()), str(self.policy.value)
        return self.act(
            f"grant {chosen} to {name}",
            lambda _: self.cloud.roles[name].grant(chosen),
            code=lambda granted: GrantPolicy(name, granted.name, granted.type),
            done=f"role {name} holds {chosen}",
            quiet=True,
        )

    def write_document(self) -> None:
        """Write the document for the bucket, prefix and access chosen: `rr.policy.read_objects(bucket, prefix)`."""
        try:
            text = _ACCESS[str(self.access.value)](self.bucket.value.strip(), self.prefix.value.strip())
        except ValueError as error:
            raise InputError(
                "The document cannot be written.", reason=str(error), next_step="correct the field"
            ) from None
        self.document.value = _pretty(text)
        self._say("the document is written: look at it, change it if you like, then grant it", "info")

    def grant_document(self) -> Job[Any]:
        """Grant the document as a custom policy: `role.grant(document)`."""
        name, document = check_role_name(self.name.value.strip()), self.document.value
        document_text(document, "identity")
        return self.act(
            f"grant a custom policy to {name}",
            lambda _: self.cloud.roles[name].grant(document),
            code=lambda granted: GrantDocument(name, granted.name, _pretty(document)),
            done=lambda granted: f"role {name} holds {granted.name}",
            quiet=True,
        )

    def revoke(self) -> Job[Any]:
        """Take the chosen policy from the role: `role.revoke(name)`."""
        name, chosen = check_role_name(self.name.value.strip()), str(self.held.value or "")
        if not chosen:
            raise InputError("The role holds no policy to take away.", next_step="nothing has to be done")
        kind = next((p.type for p in self._shown.held if p.name == chosen), "System")
        return self.act(
            f"revoke {chosen} from {name}",
            lambda _: self.cloud.roles[name].revoke(chosen),
            code=RevokePolicy(name, chosen, kind),
            done=f"role {name} no longer holds {chosen}",
            quiet=True,
        )

    # -- what it shows ---------------------------------------------------------------------------------------

    @property
    def _shown(self) -> _Picture:
        return self._picture or _Picture()

    def _read(self) -> _Picture:
        name = self.name.value.strip()
        role = None
        if self._name_check.ok:
            role = self.cloud.roles.get(name)
        if not self._all_policies:
            self._all_policies = tuple(self.cloud.roles.policies())
        held = tuple(role.policies()) if role is not None else ()
        return _Picture(role, held, self._all_policies, self._may(name))

    def _may(self, name: str) -> tuple[tuple[str, str, str], ...]:
        preflight = self.cloud.context.preflight
        account = preflight.account_id
        arn = f"acs:ram:*:{account}:role/{name or '*'}"
        needs = (
            Need("ram:CreateRole", f"acs:ram:*:{account}:role/*"),
            Need("ram:AttachPolicyToRole", arn),
            Need("ram:DetachPolicyFromRole", arn),
            Need("ram:CreatePolicy", f"acs:ram:*:{account}:policy/*"),
            Need("ram:UpdateRole", arn),
        )
        return tuple(preflight.tell(need) for need in needs)

    def _draw(self, picture: _Picture) -> None:
        self._role_now.value = self._role_html(picture)
        self._held.value = html_table(_HELD, _held_rows(picture), empty="no policy yet: it may do nothing")
        names = [policy.name for policy in picture.held]
        choose(self.held, names)
        self._revoking.layout.display = "" if names else "none"
        self._offer()
        missing = [line for line in picture.permissions if not line[0].startswith("✓")]
        self._permissions.value = (
            html_table(_MAY, missing, title="Before you click: what your own permissions say")
            if missing
            else '<div class="rr-note">✓ Your permissions allow each of these actions.</div>'
        )

    def _offer(self) -> None:
        words = self.search.value.lower().split()
        found = [
            p.name for p in self._all_policies if all(w in f"{p.name} {p.description}".lower() for w in words)
        ]
        choose(self.policy, found)

    def _role_html(self, picture: _Picture) -> str:
        if picture.role is None:
            return '<div class="rr-note">No role of this name yet.</div>' if self._name_check.ok else ""
        trusts = "trusts ECS" if picture.role.trusts_ecs else "does not trust ECS: instances cannot have it"
        told = f"Role {picture.role.name} exists ({picture.role.arn}) and {trusts}."
        return f'<div class="rr-note">{escape(told)}</div>'

    def _body_html(self) -> str:
        shown = self._shown
        role = shown.role._repr_html_() if shown.role is not None else self._role_html(shown)
        return role + html_table(
            _HELD, _held_rows(shown), title="What it may do", empty="no policy yet: it may do nothing"
        )

    def _body_text(self) -> str:
        shown = self._shown
        role = repr(shown.role) if shown.role is not None else "no role of this name yet"
        return f"{role}\n{text_table(_HELD, _held_rows(shown)) or 'no policy yet: it may do nothing'}"


def _held_rows(picture: _Picture) -> list[list[str]]:
    return [[policy.name, policy.type, policy.description] for policy in picture.held]


def _pretty(document: str) -> str:
    try:
        return json.dumps(json.loads(document), indent=2, ensure_ascii=False)
    except ValueError:
        return document


def _name_said(value: str) -> str:
    if not value.strip():
        raise InputError("a name of 1 to 64 letters, digits, '.' and '-'")
    check_role_name(value.strip())
    return "a legal name"


def _trust_said(value: str) -> str:
    document_text(value, "trust")
    if not trusts_service(value, "ecs.aliyuncs.com"):
        raise InputError("legal, but ECS may not assume it: instances cannot have the role.")
    return "legal, and ECS may assume it"


def _document_said(value: str) -> str:
    if not value.strip():
        return ""
    document_text(value, "identity")
    return "a legal policy document"
