"""What checks look at: the state of the world, read with the session's own calls, and nothing else.

Nothing here changes anything. Its calls do not show on the learner's wire, and what it asks of a metadata service is
marked, so that a check never takes its own look for the learner's doing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from ..cloud.calls import Calls
from ..cloud.credentials import StaticCredentials
from ..cloud.metadata import HARDENED, MetadataClient
from ..cloud.sdk import oss_bucket
from ..cloud.session import Cloud
from ..cloud.wire import Wire
from ..errors import AccessDenied, InputError, MetadataError, MetadataUnreachable, NotFound, SandboxError
from ..models import StsCredentials
from ..policy import Decision, MalformedPolicyDocument, NamedDocument, Request, evaluate, parse_policy
from .shown import CANNOT_TELL, NOT_ATTEMPTED, NOT_YET

if TYPE_CHECKING:
    from ..cloud.instance import BoundInstance
    from ..cloud.roles import BoundRole

__all__ = ["GUIDED_INSTANCE", "GUIDED_ROLE", "Look", "OnlyOnInstance", "Stop", "Tries"]

# What the guided path of the notebooks uses; exercises use other ones.
GUIDED_ROLE, GUIDED_INSTANCE, GUIDED_POLICY = "EcsRamRole", "web-1", "AliyunOSSReadOnlyAccess"

# Says to the sandbox's journal that a check was asking.
_AGENT = "ramrole_nb-check"
# Seconds; off the instance nothing answers at 100.100.100.200 at all.
_HERE_TIMEOUT = 0.4


class Stop(Exception):
    """Ends a check with an outcome other than correct."""

    def __init__(
        self, outcome: str, message: str, missing: tuple[str, ...] = (), next_step: str = ""
    ) -> None:
        super().__init__(message)
        self.outcome, self.message, self.missing, self.next_step = outcome, message, missing, next_step


class OnlyOnInstance(Stop):
    """Only a program on the instance can do this, or tell."""

    def __init__(self, vm: BoundInstance) -> None:
        name = vm.name or vm.instance_id
        super().__init__(
            CANNOT_TELL,
            f"Only a program on {name} can ask its metadata service, and this one runs elsewhere.",
            next_step=f"run the code below on {name}",
        )


class _Marked(MetadataClient):
    """A metadata client whose requests say that a check is asking."""

    def request(
        self, method: str, path: str, headers: dict[str, str], *, secret_answer: bool = False
    ) -> tuple[int, str]:
        return super().request(method, path, {**headers, "User-Agent": _AGENT}, secret_answer=secret_answer)


@dataclass(frozen=True)
class Tries:
    """Reads of one bucket with an instance's own credential, tried for real."""

    bucket: str
    client: Any
    calls: Calls

    def reads(self, key: str) -> bool:
        """Tell whether an object may be read, by asking for its head (which needs oss:GetObject)."""
        try:
            self.calls.oss("HeadObject", {"key": key}, lambda: self.client.head_object(key))
        except AccessDenied:
            return False
        return True


class Look:
    """The world as a check sees it."""

    def __init__(self, cloud: Cloud) -> None:
        context = cloud.context
        self.cloud = cloud
        wire = Wire()
        old = context.calls
        calls = Calls(old.endpoints, old.region_id, old.provider, wire, old.caller)
        self._context = replace(context, wire=wire, calls=calls)
        self._own = Cloud(self._context, label=cloud.label, provenance=cloud.provenance)

    # -- ending a check ------------------------------------------------------------------------------------------

    @staticmethod
    def not_yet(message: str, *missing: str, next_step: str = "") -> Stop:
        """Return what ends the check: something was done, and `missing` does not hold yet."""
        return Stop(NOT_YET, message, missing or (message,), next_step)

    @staticmethod
    def not_attempted(message: str, next_step: str = "") -> Stop:
        """Return what ends the check: the world is as it was at the start."""
        return Stop(NOT_ATTEMPTED, message, (), next_step)

    @staticmethod
    def cannot_tell(message: str, next_step: str = "") -> Stop:
        """Return what ends the check: the answer cannot be found out from here."""
        return Stop(CANNOT_TELL, message, (), next_step)

    # -- roles -----------------------------------------------------------------------------------------------------

    def role(self, name: str) -> BoundRole | None:
        """Return a role, or None."""
        return self._own.roles.get(name)

    def role_names(self) -> list[str]:
        """Return the names of all roles."""
        return [role.name for role in self._own.roles]

    def documents(self, role: BoundRole) -> list[NamedDocument]:
        """Return the documents of the policies a role holds."""
        found = []
        for policy in role.policies():
            answer = self._context.calls.ram("GetPolicy", policy_name=policy.name, policy_type=policy.type)
            text = answer.get("DefaultPolicyVersion", {}).get("PolicyDocument", "")
            try:
                document = parse_policy(text)
            except MalformedPolicyDocument as error:
                raise self.cannot_tell(
                    f"The policy {policy.name} is not understood here: {error.message}"
                ) from None
            kind: Any = policy.type
            found.append(NamedDocument(policy.name, kind, document))
        return found

    def decide(
        self, role: BoundRole, documents: list[NamedDocument], action: str, resource: str, **context: str
    ) -> Decision:
        """Evaluate a call of a program that has the role; `context` keys with `_` for `:` (`oss_Prefix`)."""
        given: dict[str, str | None] = dict.fromkeys(("acs:CurrentTime", "acs:SourceIp"))
        given |= {"acs:SecureTransport": "true", "acs:PrincipalARN": role.arn}
        given |= {name.replace("_", ":", 1): value for name, value in context.items()}
        return evaluate(Request(action, resource, role.arn, given), documents)

    # -- instances -------------------------------------------------------------------------------------------------

    def vm(self, name: str) -> BoundInstance:
        """Return an instance; where the account has none of that name, the check cannot tell."""
        try:
            return self._own.instances[name]
        except NotFound as error:
            if error.code != "InvalidInstanceId.NotFound":
                raise
            raise self.cannot_tell(
                f"This exercise plays on the sandbox's instance {name!r}, and this account has none of that name.",
                next_step="rr.connect() is a sandbox that has it",
            ) from None
        except InputError as error:  # several of that name
            raise self.cannot_tell(error.what, next_step=error.next_step) from None

    def vms(self) -> list[BoundInstance]:
        """Return every instance."""
        return self._own.instances.all()

    def attached(self) -> dict[str, str]:
        """Return the role's name by the instance's name, of every instance that has one."""
        vms = self.vms()
        held = self._own.instances.roles(vms)
        return {vm.name or vm.instance_id: held[vm.instance_id] for vm in vms if held.get(vm.instance_id)}

    def credential(self, vm: BoundInstance) -> StsCredentials:
        """Fetch the credential a program on the instance gets now. Raises OnlyOnInstance, MetadataError."""
        endpoints = self._context.endpoints
        try:
            proxy = endpoints.metadata_proxy(vm.instance_id)
        except InputError:
            raise OnlyOnInstance(vm) from None
        if not proxy:
            self._must_be_here(vm)
        return _Marked(proxy, instance_id=vm.instance_id).credentials(mode=HARDENED)

    def must_reach(self, vm: BoundInstance) -> None:
        """Raise OnlyOnInstance where the instance's metadata service cannot be asked from here."""
        try:
            proxy = self._context.endpoints.metadata_proxy(vm.instance_id)
        except InputError:
            raise OnlyOnInstance(vm) from None
        if not proxy:
            self._must_be_here(vm)

    @staticmethod
    def _must_be_here(vm: BoundInstance) -> None:
        """Raise OnlyOnInstance unless this program runs on that very instance."""
        client = _Marked(timeout=_HERE_TIMEOUT)
        try:
            here = client.get("meta-data/instance-id", client.token()).strip()
        except MetadataUnreachable:
            here = ""
        except MetadataError:
            here = client.get("meta-data/instance-id").strip()  # no tokens there: normal mode
        if here != vm.instance_id:
            raise OnlyOnInstance(vm)

    def using(self, vm: BoundInstance, bucket: str) -> Tries:
        """Return reads of a bucket with the credential the instance's metadata service gives out now.

        It is fetched anew: what this process holds may be of a role that another program has replaced since.
        """
        held = self.credential(vm)
        endpoints = self._context.endpoints
        region = self._own.buckets[bucket].region_id
        provider = StaticCredentials(held.access_key_id, held.access_key_secret, held.security_token)
        client = oss_bucket(
            endpoints,
            region,
            bucket,
            provider,
            internal=vm.region_id == region,
            proxy=endpoints.metadata_proxy(vm.instance_id),
        )
        return Tries(bucket, client, Calls(endpoints, region, provider, Wire(), f"role on {vm.name}"))

    # -- objects and what happened ---------------------------------------------------------------------------------

    def bucket(self, name: str) -> Any:
        """Return a bucket; where the account has none of that name, the check cannot tell."""
        try:
            return self._own.buckets[name]
        except NotFound:
            raise self.cannot_tell(
                f"This exercise plays with the sandbox's bucket {name!r}, and this account has none of that name.",
                next_step="rr.connect() is a sandbox that has it",
            ) from None

    @cached_property
    def _journal(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        since = 0
        while True:
            page = self.cloud.sandbox.journal(since)["entries"]
            found += page
            if not page:
                return found
            since = page[-1]["seq"]

    def journal(self, service: str, *operations: str) -> Iterator[dict[str, Any]]:
        """Yield the sandbox's record of what programs did, oldest first; what checks did is left out.

        Raises Stop (cannot tell) in a live session, which keeps no such record.
        """
        if not self.has_journal:
            raise self.cannot_tell(
                "What programs did is not recorded in a live session, so it cannot be told from here.",
                next_step="ActionTrail's console shows it after some minutes",
            )
        for entry in self._journal:
            if (
                entry.get("service") == service
                and (not operations or entry.get("operation") in operations)
                and entry.get("headers", {}).get("user-agent") != _AGENT
            ):
                yield entry

    @property
    def has_journal(self) -> bool:
        """Whether there is a sandbox, so that what programs did can be seen."""
        try:
            return self.cloud.sandbox is not None
        except SandboxError:
            return False
