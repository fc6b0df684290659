"""`Cloud`: one session with Alibaba Cloud, live or sandbox. It is composed by `ramrole_nb.connect`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ..errors import MetadataError, RamroleError, SandboxError
from ..models import CallerIdentity
from ..render import html_card
from .cleanup import CleanUp, Created, clean_up, created, describe, planned
from .context import Context
from .credentials import forget_every_role
from .instances import BoundInstance, Instances
from .metadata import MetadataClient
from .objects import Buckets
from .roles import Roles
from .wire import Wire
from .world import Picture, look

__all__ = ["Cloud"]


class Cloud:
    """A session: roles, instances and buckets of one account, signed by one caller.

    `label` says in words what this is (sandbox or live, account, region); `reset` and `sandbox` are given by the
    composition where there is a world to put back.
    """

    def __init__(
        self,
        context: Context,
        *,
        label: str,
        provenance: str,
        reset: Callable[[str], dict[str, Any]] | None = None,
        sandbox: Any = None,
    ) -> None:
        self._context = context
        self.label = label
        self.provenance = provenance
        self._reset = reset
        self._sandbox = sandbox
        self.roles = Roles(context)
        self.instances = Instances(context)
        self.buckets = Buckets(context)

    # -- who and where ---------------------------------------------------------------------------------------

    @property
    def mode(self) -> str:
        """`sandbox` or `live`, for people."""
        return self._context.endpoints.mode

    @property
    def region_id(self) -> str:
        """The session's region."""
        return self._context.region_id

    @property
    def wire(self) -> Wire:
        """The calls just made."""
        return self._context.wire

    def identity(self) -> CallerIdentity:
        """Return who signs this session's calls."""
        return self._context.preflight.identity()

    def picture(self) -> Picture:
        """Return who holds what now: caller, roles with trust and policies, instances, the buckets each role reaches.

        It only reads, as look-ups on the wire; what the caller may not read is said in its place. Shown are the roles that
        ECS may assume, that are attached, or that were created here; the others are folded away.
        """
        return look(self._context, self.label, self.roles, self.instances, self.buckets)

    @property
    def here(self) -> BoundInstance:
        """The ECS instance this program runs on; only this asks the metadata service by itself.

        Raises MetadataUnreachable elsewhere.
        """
        client = MetadataClient(self._context.endpoints.metadata_proxy(""), timeout=1.0)
        try:
            token = client.token()
        except MetadataError as error:
            if not error.status:
                raise
            token = ""
        return self.instances[client.get("meta-data/instance-id", token).strip()]

    @property
    def sandbox(self) -> Any:
        """The sandbox's controls (knobs, journal). Raises SandboxError in a live session."""
        if self._sandbox is None:
            raise SandboxError(
                "This session is live: there is no sandbox to control.", next_step="rr.connect() for one"
            )
        return self._sandbox

    @property
    def preflight_notes(self) -> list[str]:
        """What the checks before changes could not tell."""
        return list(self._context.preflight.notes)

    # -- the end ---------------------------------------------------------------------------------------------

    def created(self) -> list[str]:
        """Return what this user created here and has not undone, in the order a clean-up would undo it."""
        return [describe(entry) for entry in planned(self._context)]

    def ledger(self) -> Created:
        """Return the same as a table: since when, whether it is certain, why in that order, and whether the caller may.

        It also counts what is noted of other accounts, modes and worlds, which a clean-up from here does not touch.
        """
        return created(self._context)

    def clean_up(
        self,
        progress: Callable[[int, int, str], None] | None = None,
        *,
        cancel: Callable[[], bool] | None = None,
        confirm: Callable[[Sequence[str]], bool] | None = None,
    ) -> CleanUp:
        """Undo everything this user created here (detach, revoke, delete), also after a crash. May be run again.

        `progress(done, total, words)` is told before each thing; `cancel()` true stops before the next one, and the result
        says what is left. `confirm(plan)` is asked once with what will be undone (default: only a live session asks).
        What fails is in the result and stays for the next run. Raises ChangeNotConfirmed.
        """
        return clean_up(self._context, progress, cancel=cancel, confirm=confirm)

    def reset(self, world: str = "") -> Cloud:
        """Put the sandbox's world back as it was at the start; keys and addresses stay. Raises SandboxError live."""
        if self._reset is None:
            raise SandboxError(
                "A live account is not reset.", next_step="cloud.clean_up() undoes what was created from here"
            )
        gone = planned(self._context)  # of the world that is replaced
        self.label = str(self._reset(world)["label"])
        for entry in gone:
            self._context.ledger.undone(entry)
        self._context.preflight.forget()
        forget_every_role()
        self.buckets = Buckets(self._context)
        self.wire.tell()
        return self

    @property
    def can_reset(self) -> bool:
        """Whether there is a world to put back; a live account has none."""
        return self._reset is not None

    @property
    def context(self) -> Context:
        """The shared parts of the session, for what works on several of them."""
        return self._context

    def __repr__(self) -> str:
        return f"{self.label}; signed by {self.provenance}"

    def _repr_html_(self) -> str:
        facts = [("region", self.region_id), ("signed by", self.provenance)]
        try:
            facts.insert(0, ("account", self._context.preflight.account_id))
        except RamroleError as error:
            facts.append(("identity", error.what))
        note = (
            "Nothing here leaves this machine."
            if self._sandbox is not None
            else "Changes are shown before they are made."
        )
        return html_card(self.label, facts, note=note)
