"""Roles, and the permission policies granted to them.

Source: https://www.alibabacloud.com/help/en/ram/developer-reference/api-ram-2015-05-01-createrole and siblings.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from ..errors import Conflict, InputError, NotFound, RamroleError, nearest
from ..models import Policy, Role
from ..policy import (
    MAX_CUSTOM_POLICY,
    MalformedPolicyDocument,
    NamedDocument,
    parse_policy,
    same_meaning,
    trust_for_service,
    trusts_service,
)
from ..render import html_card, html_table, text_card, text_table
from .assumable import Assumable
from .context import Change, Context
from .effective import read_documents
from .preflight import Need
from .showing import ServiceTable

__all__ = ["BoundRole", "Roles", "check_role_name"]


_ROLE_NAME = re.compile(r"[A-Za-z0-9.\-]{1,64}")


def check_role_name(name: str) -> str:
    """Return a legal role name: 1 to 64 letters, digits, `.` and `-`. Raises InputError."""
    if not isinstance(name, str) or not _ROLE_NAME.fullmatch(name):
        hint = re.sub(r"[^A-Za-z0-9.\-]+", "-", str(name)).strip("-")[:64]
        raise InputError(
            f"{name!r} is no role name.",
            reason="a role name is 1 to 64 letters, digits, '.' and '-'; an underscore or a space is not allowed",
            next_step=f"for example {hint!r}" if hint else "for example 'EcsRamRole'",
        )
    return name


_SERVICE = re.compile(r"\s*([a-z0-9\-]+)(?:\.aliyuncs\.com)?\s*", re.I)


def document_text(document: str | Mapping[str, Any], kind: str) -> str:
    """Return a checked document as text. Raises InputError naming the place of the fault."""
    if kind == "trust" and isinstance(document, str) and (named := _SERVICE.fullmatch(document)):
        service = f"{named[1].lower()}.aliyuncs.com"
        raise InputError(
            f"{document!r} is no trust policy: it is the name of a service, and a document is wanted.",
            next_step=f"pass the document that trusts it: rr.policy.trust_for_service({service!r})",
        )
    try:
        parse_policy(document, kind=kind)  # type: ignore[arg-type]
    except MalformedPolicyDocument as error:
        problem = error
    else:
        return document if isinstance(document, str) else json.dumps(document)
    raise InputError(
        f"The {'trust policy' if kind == 'trust' else 'policy'} is malformed: {problem.message}",
        reason=f"at {problem.path}" if problem.path else "",
        next_step="see https://www.alibabacloud.com/help/en/ram/policy-structure-and-syntax",
    )


class HeldPolicies(list[Policy]):
    """The policies a role holds."""

    _HEAD = ("policy", "type", "description")
    _EMPTY = "no policy: the role may do nothing"

    def _rows(self) -> list[list[str]]:
        return [[policy.name, policy.type, policy.description] for policy in self]

    def __repr__(self) -> str:
        return text_table(self._HEAD, self._rows()) or self._EMPTY

    def _repr_html_(self) -> str:
        return html_table(self._HEAD, self._rows(), empty=self._EMPTY)


@dataclass(frozen=True, repr=False)
class BoundRole(Role):
    """A role of the session's account, with what can be done with it."""

    context: Context = field(repr=False, compare=False, kw_only=True)

    def _needs(self, action: str, *policies: str) -> tuple[Need, ...]:
        account = self.arn.split(":")[3]
        needs = [Need(action, f"acs:ram:*:{account}:role/{self.name}")]
        return (*needs, *(Need(action, resource) for resource in policies))

    def _policy_arn(self, name: str, kind: str) -> str:
        owner = "system" if kind == "System" else self.arn.split(":")[3]
        return f"acs:ram:*:{owner}:policy/{name}"

    # -- permissions -----------------------------------------------------------------------------------------

    def policies(self) -> HeldPolicies:
        """Return the policies the role holds, in the order they were granted: a list that shows itself as a table."""
        found = self.context.calls.ram("ListPoliciesForRole", role_name=self.name)
        return HeldPolicies(
            Policy(p["PolicyName"], p["PolicyType"], p.get("Description", ""), p.get("DefaultVersion", ""))
            for p in found.get("Policies", {}).get("Policy", [])
        )

    def documents(self) -> tuple[NamedDocument, ...]:
        """Return the documents of the policies the role holds, as `rr.policy.evaluate` takes them; nothing is changed.

        Raises AccessDenied, and RamroleError where one of them could not be read: a verdict without it may be wrong.
        """
        found = read_documents(self.context.calls, self.name)
        if found.unread:
            raise RamroleError(
                f"Not every policy of role {self.name} could be read.",
                reason="; ".join(found.unread),
                next_step="have ram:GetPolicy granted to yourself, or pass the documents you have",
            )
        return found.documents

    def grant(self, policy: str | Mapping[str, Any]) -> Policy:
        """Grant a policy: a name (a system policy, else a custom one), or a document.

        A document becomes a custom policy named `<Role>-<8 hex of its content>`, so granting it again changes nothing.
        Returns the policy. Raises InputError, PreflightRefused, NotFound, AccessDenied.
        """
        if isinstance(policy, Mapping) or (isinstance(policy, str) and policy.lstrip().startswith("{")):
            found = self._custom_policy(document_text(policy, "identity"))
        else:
            found = self._named_policy(policy)
        context = self.context
        with context.calls.checking():
            held = self.policies()
        if any((policy.name, policy.type) == (found.name, found.type) for policy in held):
            return found
        arn = self._policy_arn(found.name, found.type)
        context.before(
            Change(f"grant {found.name} to role {self.name}", self._needs("ram:AttachPolicyToRole", arn))
        )
        with context.creating("grant", found.name, role=self.name, policy_type=found.type):
            context.calls.ram(
                "AttachPolicyToRole", policy_type=found.type, policy_name=found.name, role_name=self.name
            )
        return found

    def _named_policy(self, name: str) -> Policy:
        if not isinstance(name, str) or not re.fullmatch(r"[A-Za-z0-9\-]{1,128}", name):
            raise InputError(
                f"{name!r} is neither a policy name nor a policy document.",
                reason="a policy name is 1 to 128 letters, digits and '-'; a document begins with {",
                next_step=f"for example cloud.roles[{self.name!r}].grant('AliyunOSSReadOnlyAccess')",
            )
        for kind in ("System", "Custom"):
            try:
                with self.context.calls.checking():
                    found = self.context.calls.ram("GetPolicy", policy_name=name, policy_type=kind)
            except NotFound:
                continue
            document = found.get("DefaultPolicyVersion", {}).get("PolicyDocument", "")
            return Policy(
                name,
                kind,
                found["Policy"].get("Description", ""),
                found["Policy"]["DefaultVersion"],
                document,
            )
        names = [p.name for p in Roles(self.context).policies()]
        raise NotFound(
            f"There is no policy {name!r}.{nearest(name, names)}",
            code="EntityNotExist.Policy",
            service="Ram",
            action="GetPolicy",
            status=404,
            next_step="search them: cloud.roles.policies('OSS')",
        )

    def _custom_policy(self, text: str) -> Policy:
        if len(text) > MAX_CUSTOM_POLICY:
            raise InputError(
                f"The policy has {len(text)} characters; {MAX_CUSTOM_POLICY} is the limit.",
                next_step="leave out white space, or split it into two policies",
            )
        content = json.dumps(json.loads(text), sort_keys=True, separators=(",", ":"))
        digest = hashlib.sha256(content.encode()).hexdigest()[:8]
        name = f"{self.name.replace('.', '-')[:119]}-{digest}"
        context = self.context
        try:
            with context.calls.checking():
                found = context.calls.ram("GetPolicy", policy_name=name, policy_type="Custom")
        except NotFound:
            pass
        else:
            held = found.get("DefaultPolicyVersion", {}).get("PolicyDocument", "")
            if same_meaning(held, text):
                return Policy(name, "Custom", document=held)
            raise Conflict(
                f"The custom policy {name} exists with another content.",
                code="EntityAlreadyExists.Policy",
                service="Ram",
                action="CreatePolicy",
                status=409,
                next_step=f"delete it, or grant it by its name: cloud.roles[{self.name!r}].grant({name!r})",
            )
        account = self.arn.split(":")[3]
        need = Need("ram:CreatePolicy", f"acs:ram:*:{account}:policy/*")
        context.before(Change(f"create policy {name}", (need,)))
        with context.creating("policy", name):
            context.calls.ram(
                "CreatePolicy",
                policy_name=name,
                policy_document=text,
                description=f"Granted to {self.name} by ramrole_nb",
            )
        return Policy(name, "Custom", document=text)

    def revoke(self, name: str) -> None:
        """Take a policy from the role. Raises NotFound where the role does not hold it."""
        held = {policy.name: policy for policy in self.policies()}
        if name not in held:
            raise NotFound(
                f"Role {self.name} does not hold {name!r}.{nearest(str(name), held)}",
                code="EntityNotExist.Role.Policy",
                service="Ram",
                action="DetachPolicyFromRole",
                status=404,
                next_step=f"see what it holds: cloud.roles[{self.name!r}].policies()",
            )
        policy, context = held[name], self.context
        arn = self._policy_arn(name, policy.type)
        context.before(
            Change(f"revoke {name} from role {self.name}", self._needs("ram:DetachPolicyFromRole", arn))
        )
        context.calls.ram(
            "DetachPolicyFromRole", policy_type=policy.type, policy_name=name, role_name=self.name
        )
        context.gone("grant", name, role=self.name)

    # -- trust -----------------------------------------------------------------------------------------------

    @property
    def trusts_ecs(self) -> bool:
        """Whether ECS may assume the role, so that instances can have it.

        A role of a list does not carry its trust policy (ListRoles does not tell it): then it is looked up.
        """
        document = self.trust_policy
        if not document:
            with self.context.calls.checking():
                document = Roles(self.context)[self.name].trust_policy
        return trusts_service(document, "ecs.aliyuncs.com")

    def set_trust(self, document: str | Mapping[str, Any]) -> BoundRole:
        """Change the trust policy and return the role as it is now."""
        text = document_text(document, "trust")
        self.context.before(
            Change(f"change the trust policy of role {self.name}", self._needs("ram:UpdateRole"))
        )
        self.context.calls.ram("UpdateRole", role_name=self.name, new_assume_role_policy_document=text)
        return replace(self, trust_policy=text)

    # -- the end ---------------------------------------------------------------------------------------------

    def delete(self, *, revoke: bool = False) -> None:
        """Delete the role; with `revoke`, take its policies from it first. Raises Conflict where it holds some."""
        changes = [Change(f"delete role {self.name}", self._needs("ram:DeleteRole"))]
        held = self.policies() if revoke else []
        for policy in held:
            arn = self._policy_arn(policy.name, policy.type)
            what = f"revoke {policy.name} from role {self.name}"
            changes.insert(-1, Change(what, self._needs("ram:DetachPolicyFromRole", arn)))
        context = self.context
        context.before(*changes)
        for policy in held:
            context.calls.ram(
                "DetachPolicyFromRole", policy_type=policy.type, policy_name=policy.name, role_name=self.name
            )
            context.gone("grant", policy.name, role=self.name)
        try:
            context.calls.ram("DeleteRole", role_name=self.name)
        except Conflict as error:
            if error.code == "DeleteConflict.Role.Policy" and (places := self._places()):
                detach = ", ".join(f"cloud.instances[{place!r}].detach()" for place in places)
                error.next_step = (
                    f"first detach it from {', '.join(places)}, which would be left with none that works: {detach}; "
                    f"then cloud.roles[{self.name!r}].delete(revoke=True)"
                )
            raise
        context.gone("role", self.name)

    def _places(self) -> list[str]:
        """Return the names (else ids) of the instances that have it, in the session's region and where it was attached here.

        Not in all regions: it is for an error's next step, and that comes at once. What cannot be read is left out.
        """
        from .instances import Instances

        context = self.context
        noted = [e for e in context.ledger.open_entries() if e.kind == "attachment"]
        regions = [str(e.details.get("region_id", "")) for e in noted if e.details.get("role") == self.name]
        found: list[str] = []
        for region_id in dict.fromkeys([context.region_id, *filter(None, regions)]):
            with contextlib.suppress(RamroleError), context.calls.checking():
                instances = Instances(context)
                vms = instances.all(region_id=region_id)
                held = instances.roles(vms)
                found += [vm.name or vm.instance_id for vm in vms if held[vm.instance_id] == self.name]
        return found

    def __repr__(self) -> str:
        return text_card(f"Role {self.name}", self._facts())

    def _repr_html_(self) -> str:
        return html_card(f"Role {self.name}", self._facts())

    def _facts(self) -> list[tuple[str, str]]:
        try:
            trusted = "ECS (ecs.aliyuncs.com)" if self.trusts_ecs else "not ECS: instances cannot have it"
        except RamroleError as error:  # showing never raises
            trusted = f"not known: {error.what}"
        return [
            ("ARN", self.arn),
            ("trusts", trusted),
            ("created", self.created),
            ("description", self.description),
        ]


class Roles(ServiceTable):
    """The account's roles: iterate over them, look one up by name, create one."""

    _TITLE, _HEAD, _EMPTY = "Roles", ("role", "description", "created"), "no roles yet"

    def __init__(self, context: Context) -> None:
        self._context = context
        self._assumable = Assumable(context)

    def _bound(self, found: Mapping[str, Any]) -> BoundRole:
        return BoundRole(
            name=found["RoleName"],
            arn=found["Arn"],
            role_id=found.get("RoleId", ""),
            trust_policy=found.get("AssumeRolePolicyDocument", "") or "",
            description=found.get("Description", "") or "",
            max_session_duration=int(found.get("MaxSessionDuration", 3600) or 3600),
            created=found.get("CreateDate", ""),
            context=self._context,
        )

    def create(
        self,
        name: str,
        *,
        trust: str | Mapping[str, Any] | None = None,
        description: str = "",
        max_session_duration: int = 3600,
    ) -> BoundRole:
        """Create a role that ECS may assume (or with another trust policy), and return it.

        A role of this name whose trust policy means the same is returned as it is; another one is a Conflict.
        `max_session_duration` in seconds, 3600 to 43200. Raises InputError, PreflightRefused, Conflict, AccessDenied.
        """
        check_role_name(name)
        text = document_text(trust if trust is not None else trust_for_service("ecs.aliyuncs.com"), "trust")
        if len(description) > 1024:
            raise InputError("A description has at most 1024 characters.", next_step="shorten it")
        if not 3600 <= max_session_duration <= 43_200:
            raise InputError(
                f"A session lasts 3600 to 43200 seconds, not {max_session_duration}.",
                next_step="leave it out for 3600",
            )
        with self._context.calls.checking():
            existing = self.get(name)
        if existing is not None:
            if same_meaning(existing.trust_policy, text):
                return existing
            raise Conflict(
                f"A role {name!r} exists, with another trust policy.",
                code="EntityAlreadyExists.Role",
                service="Ram",
                action="CreateRole",
                status=409,
                reason=f"it says {existing.trust_policy}",
                next_step=f"take another name, or change it: cloud.roles[{name!r}].set_trust(...)",
            )
        context = self._context
        need = Need("ram:CreateRole", f"acs:ram:*:{context.preflight.account_id}:role/*")
        context.before(Change(f"create role {name}", (need,)))
        params: dict[str, Any] = {"role_name": name, "assume_role_policy_document": text}
        if description:
            params["description"] = description
        if max_session_duration != 3600:
            params["max_session_duration"] = max_session_duration
        if context.tags:
            params["tag"] = [{"key": key, "value": value} for key, value in context.tags.items()]
        with context.creating("role", name):
            found = context.calls.ram("CreateRole", **params)
        return self._bound({"AssumeRolePolicyDocument": text, **found["Role"]})

    def get(self, name: str) -> BoundRole | None:
        """Return a role, or None."""
        try:
            return self._bound(self._context.calls.ram("GetRole", role_name=check_role_name(name))["Role"])
        except NotFound:
            return None

    def __getitem__(self, name: str) -> BoundRole:
        role = self.get(name)
        if role is None:
            names = [known.name for known in self]
            raise NotFound(
                f"There is no role {name!r}.{nearest(name, names)}",
                code="EntityNotExist.Role",
                service="Ram",
                action="GetRole",
                status=404,
                next_step=f"create it: cloud.roles.create({name!r})",
            )
        return role

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and bool(_ROLE_NAME.fullmatch(name)) and self.get(name) is not None

    def __iter__(self) -> Iterator[BoundRole]:
        return map(self._bound, self._listed())

    def for_ecs(self) -> list[str]:
        """Return the names of the roles that ECS may assume, so that instances can have them.

        ListRoles leaves trust policies out, so each role is asked for once (again only after it was changed).
        """
        found = self._assumable.among(list(self._listed()))
        return [name for name, trusts in found.items() if trusts]

    def _listed(self) -> Iterator[Mapping[str, Any]]:
        marker: str | None = None
        while True:
            found = self._context.calls.ram("ListRoles", max_items=1000, marker=marker)
            yield from found.get("Roles", {}).get("Role", [])
            marker = found.get("Marker")
            if not found.get("IsTruncated") or not marker:
                return

    def policies(self, search: str = "", *, kind: str = "") -> list[Policy]:
        """Return the policies one may grant whose name or description contains `search`; `kind` System or Custom."""
        found: list[Policy] = []
        marker: str | None = None
        while True:
            answer = self._context.calls.ram(
                "ListPolicies", policy_type=kind or None, max_items=1000, marker=marker
            )
            for row in answer.get("Policies", {}).get("Policy", []):
                policy = Policy(
                    row["PolicyName"],
                    row["PolicyType"],
                    row.get("Description", "") or "",
                    row.get("DefaultVersion", ""),
                    attachment_count=int(row.get("AttachmentCount", 0) or 0),
                )
                if search.lower() in f"{policy.name} {policy.description}".lower():
                    found.append(policy)
            marker = answer.get("Marker")
            if not answer.get("IsTruncated") or not marker:
                return found

    def _rows(self) -> list[list[str]]:
        return [[role.name, role.description, role.created] for role in self]
