"""One ECS instance and its role: attach, detach, replace, hardening, credentials, identity.

Source: https://www.alibabacloud.com/help/en/ecs/developer-reference/api-ecs-2014-05-26-attachinstanceramrole and siblings.
"""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ..errors import BadSignature, Conflict, PartialFailure, RamroleError, ServerFault
from ..models import Attachment, CallerIdentity, Instance, ItemResult, StsCredentials
from ..render import html_card
from .batches import Attachments, held_roles, role_name, trusted_role
from .calls import Calls, is_checking
from .context import Change, Context
from .credentials import InstanceCredentials, provider_for
from .metadata import HARDENED, MetadataClient, MetadataStep
from .preflight import Need, Preflight
from .roles import BoundRole
from .settings import Noted, metadata_options

if TYPE_CHECKING:
    from .method_run import MethodRuns
    from .trap import TrapResult

__all__ = ["BoundInstance"]

# The cloud is eventually consistent: Terraform polls up to five minutes (https://github.com/aliyun/terraform-provider-alicloud).
SETTLE_SECONDS = 60.0


@dataclass(frozen=True, repr=False)
class BoundInstance(Instance):
    """An instance of the session's account, with what can be done with it."""

    context: Context = field(repr=False, compare=False, kw_only=True)

    # -- its role --------------------------------------------------------------------------------------------

    @property
    def typed(self) -> str:
        """How it is written in a next step, so that it can be typed as it stands."""
        return f"cloud.instances[{(self.name or self.instance_id)!r}]"

    @property
    def role_name(self) -> str:
        """The name of the role attached now (empty: none)."""
        return held_roles(self.context, self.region_id, [self.instance_id])[self.instance_id]

    def _checked_role_name(self) -> str:
        with self.context.calls.checking():
            return self.role_name

    @property
    def attachment(self) -> Attachment:
        """Which role it has now."""
        return Attachment(self.instance_id, self.role_name)

    def attach(
        self, role: BoundRole | str, *, session_policy: str | Mapping[str, Any] | None = None
    ) -> BoundInstance:
        """Give the instance a role; the same role again changes nothing.

        Needs ecs:AttachInstanceRamRole on instance and role, and ram:PassRole: checked first. `session_policy` narrows
        what the role may do here (at most 1024 characters). Raises Conflict where another role is attached, and
        PreflightRefused, InvalidRequest, NotFound, AccessDenied.
        """
        name = role_name(role)
        held = self._checked_role_name()
        if held == name and session_policy is None:
            return self
        if held:
            replace = f"replace it: {self.typed}.replace_role({name!r}), or take it off first: {self.typed}.detach()"
            raise Conflict(
                f"{self.instance_id} already has the role {held!r}; an instance has one role at most.",
                service="Ecs",
                action="AttachInstanceRamRole",
                reason="a session policy is given with the attachment and is not changed later"
                if held == name
                else "",
                next_step=replace
                if held != name
                else f"take it off first: {self.typed}.detach(), then attach it again",
            )
        result = Attachments(self.context).checked_attach(name, [self], session_policy)
        if not result.ok:
            what = f"{self.instance_id} did not get the role {name!r}."
            raise self._item_failed(what, "AttachInstanceRamRole", result.failed[0])
        _wait_until(lambda: self._checked_role_name() == name, f"{self.instance_id} to show the role {name}")
        return self

    def detach(self) -> BoundInstance:
        """Take the role from the instance; none attached: nothing to do.

        Credentials it already gave out stay valid until they expire.
        """
        held = self.role_name
        if held:
            result = Attachments(self.context).checked_detach([self])
            if not result.ok:
                what = f"{self.instance_id} still has the role {held!r}, or lost it meanwhile."
                raise self._item_failed(what, "DetachInstanceRamRole", result.failed[0])
            _wait_until(lambda: not self._checked_role_name(), f"{self.instance_id} to show no role")
        return self

    def replace_role(self, role: BoundRole | str) -> BoundInstance:
        """Give the instance another role: detach, then attach. Between the two it has none, and fetches fail.

        Permissions for both halves are checked before the first. If attaching fails, the old role is put back, without the
        session policy it may have had: the API does not tell one, so then attach it again yourself.
        """
        name = role_name(role)
        held = self._checked_role_name()
        if held == name:
            return self
        if not held:
            return self.attach(name)
        batch = Attachments(self.context)
        context = self.context
        context.before(batch.detach_change([self]), batch.attach_change(name, [self]))
        trusted_role(context, name)
        batch.detach([self])
        failure: RamroleError | None = None
        try:
            result = batch.attach(name, [self], "")
        except RamroleError as error:
            failure = error
        else:
            if not result.ok:
                item = result.failed[0]
                failure = PartialFailure(
                    f"{self.instance_id} did not get the role {name!r}.",
                    results=result.items,
                    reason=f"{item.code}: {item.message}",
                    next_step=f"look at what is attached: {self.typed}.role_name",
                )
        if failure is not None:
            failure.what += f" {self._put_back(held)}"
            raise failure
        _wait_until(lambda: self._checked_role_name() == name, f"{self.instance_id} to show the role {name}")
        return self

    def _put_back(self, role_name: str) -> str:
        """Attach the role it had before; return in words how that went."""
        try:
            result = Attachments(self.context).attach(role_name, [self], "")
        except RamroleError as error:
            return f"Putting {role_name!r} back failed too, so it has no role: {error.what}"
        if not result.ok:
            return f"Putting {role_name!r} back failed too: {result.failed[0].message}"
        return f"{role_name!r} was put back."

    def _item_failed(self, what: str, action: str, item: ItemResult) -> Conflict:
        """Return the error of an item that failed in a call that succeeded."""
        return Conflict(
            what,
            code=item.code,
            message=item.message,
            request_id=item.request_id,
            service="Ecs",
            action=action,
            status=200,
            next_step=f"look at what is attached: {self.typed}.role_name",
        )

    # -- metadata --------------------------------------------------------------------------------------------

    @property
    def metadata(self) -> MetadataClient:
        """Its metadata service, to be asked step by step in either mode."""
        proxy = self.context.endpoints.metadata_proxy(self.instance_id)
        return MetadataClient(
            proxy,
            instance_id=self.instance_id,
            called=self.name,
            why_silent=self._why_silent,
            record=self._record,
        )

    def _why_silent(self) -> tuple[str, str]:
        """Return why its metadata service cannot answer, and the next step, where ECS tells it (else two empty texts)."""
        status, network = self.status, self.network_type
        with contextlib.suppress(RamroleError, KeyError, IndexError), self.context.calls.checking():
            found = self.context.calls.ecs(
                "DescribeInstances", self.region_id, instance_ids=json.dumps([self.instance_id])
            )
            row = found["Instances"]["Instance"][0]
            status, network = row["Status"], row.get("InstanceNetworkType", "")
        if status and status != "Running":
            start = f"aliyun ecs StartInstance --InstanceId {self.instance_id}"
            return (
                f"the instance is {status}: no program runs there",
                f"start it: {start}, or ECS console > Instances > Start",
            )
        if network == "classic":
            return "the instance is in a classic network", "use an instance in a VPC, or migrate this one"
        return "", ""

    def _record(self, step: MetadataStep) -> None:
        self.context.wire.record(
            "IMDS",
            f"{step.method} {step.path.removeprefix('/latest/')}",
            {"instance_id": self.instance_id, **dict(step.headers)},
            status=step.status,
            request_id="",
            started=time.perf_counter() - step.ms / 1000,
            caller="the instance",
            error="" if step.status == 200 else f"HTTP {step.status}",
            check=is_checking(),
        )

    def provider(self, mode: str = HARDENED) -> InstanceCredentials:
        """This process's one credentials provider of the instance, for the SDKs."""
        return provider_for(lambda: self.metadata, self.provider_key(), mode, label=self.instance_id)

    def provider_key(self) -> str:
        """Return what this process keeps its provider under."""
        return f"{self.context.endpoints.metadata_proxy(self.instance_id)}#{self.instance_id}"

    def credentials(self, *, mode: str = HARDENED, refresh: bool = False) -> StsCredentials:
        """Return the temporary credential of its role, masked when shown; `refresh` fetches a new answer now.

        Raises NoRoleAttached, WrongRoleName, HardenedOnly, TokenRefused, MetadataUnreachable.
        """
        provider = self.provider(mode)
        return provider.refresh() if refresh else provider.current()

    def identity(self) -> CallerIdentity:
        """Return who a program on the instance is (sts:GetCallerIdentity with the role's credential)."""
        context = self.context
        calls = Calls(
            context.endpoints,
            context.region_id,
            self.provider(),
            context.wire,
            f"role on {self.name or self.instance_id}",
        )
        try:
            return Preflight(calls).identity()
        except BadSignature:  # expired by the service's clock, or of a sandbox that was put back since
            self.provider().refresh()
        return Preflight(calls).identity()

    def set_hardening(self, on: bool = True) -> BoundInstance:
        """Serve metadata in security hardening mode only (`on`), or in both modes. Returns the instance as it is then.

        The former setting is in the ledger, so `cloud.clean_up()` puts it back.
        """
        return self._set_option("HttpTokens", "required" if on else "optional")

    def set_metadata(self, on: bool = True) -> BoundInstance:
        """Switch the instance's metadata service on, or off. Off, no program on it gets a credential.

        The former setting is in the ledger, so `cloud.clean_up()` puts it back.
        """
        return self._set_option("HttpEndpoint", "enabled" if on else "disabled")

    def _set_option(self, changed: str, value: str) -> BoundInstance:
        context = self.context
        need = Need("ecs:ModifyInstanceMetadataOptions", self.arn())
        context.before(Change(f"set {changed}={value} on {self.instance_id}", (need,)))
        was = metadata_options(context, [self])[self.instance_id]
        values = {**was, changed: value}
        endpoint, tokens = values["HttpEndpoint"], values["HttpTokens"]
        noted = Noted(context, changed, value, [self], {self.instance_id: was[changed]})
        try:
            context.calls.ecs(
                "ModifyInstanceMetadataOptions",
                self.region_id,
                instance_id=self.instance_id,
                http_endpoint=endpoint,  # the API takes both at once
                http_tokens=tokens,
            )
        except ServerFault:
            raise  # no answer is no refusal: it may be set, so the entry stays open
        except RamroleError:
            noted.ended(refused=[self.instance_id])
            raise
        noted.ended(done=[self.instance_id])
        fields = {k: v for k, v in self.__dict__.items() if k != "context"}
        return BoundInstance(**{**fields, "http_endpoint": endpoint, "http_tokens": tokens}, context=context)

    # -- the vendor page's methods, and its trap -------------------------------------------------------------

    def three_methods(self, role_name: str = "", *, mode: str = HARDENED) -> MethodRuns:
        """Fetch the credential by each of the page's three methods, and show the requests each made.

        The Credentials tool, the metadata service itself, the Alibaba Cloud CLI (where it is installed). `role_name`
        empty: found by itself. Raises InputError, MetadataUnreachable.
        """
        from .methods import fetch_all

        return fetch_all(self, role_name, mode=mode)

    def mixed_triples(self, seconds: float = 2.0) -> TrapResult:
        """Show how often reading key, secret and token one by one mixes two credentials, as the page's sample does.

        In the sandbox, which rotates credentials every 50 ms for `seconds`. Raises InputError live.
        """
        from .trap import mixed_triples

        return mixed_triples(self, seconds)

    def arn(self) -> str:
        """Return the ARN that permissions on the instance are checked on."""
        return f"acs:ecs:{self.region_id}:{self.context.preflight.account_id}:instance/{self.instance_id}"

    def _facts(self) -> list[tuple[str, str]]:
        mode = (
            "security hardening mode only"
            if self.http_tokens == "required"
            else "normal and security hardening mode"
        )
        return [
            ("id", self.instance_id),
            ("region", self.region_id),
            ("status", self.status),
            ("system", self.os_type),
            ("network", self.network_type),
            ("metadata", mode),
            ("role", self._shown_role()),
        ]

    def _shown_role(self) -> str:
        try:
            return self.role_name or "none"
        except RamroleError as error:  # showing never raises
            return f"not known: {error.what}"

    def __repr__(self) -> str:
        return (
            f"Instance {self.name or self.instance_id} ({self.instance_id}, {self.region_id}, {self.status})"
        )

    def _repr_html_(self) -> str:
        return html_card(f"Instance {self.name or self.instance_id}", self._facts())


def _wait_until(holds: Callable[[], bool], what: str) -> None:
    deadline, pause = time.monotonic() + SETTLE_SECONDS, 0.05
    while not holds():
        if time.monotonic() > deadline:
            raise RamroleError(
                f"Waited {SETTLE_SECONDS:.0f} s for {what}; it has not come yet.",
                reason="changes take time to be seen everywhere",
                next_step="look again in a minute; nothing has to be done twice",
            )
        time.sleep(pause)
        pause = min(3.0, pause * 2)
