"""The start panel: the whole way in six clicks, from a role to a picture and back to nothing. Each is one library call."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING, Any

import ipywidgets as widgets

from ..cloud.roles import check_role_name
from ..cloud.world import Picture
from ..errors import InputError
from ..jobs import Job, JobContext
from ..snippets import AttachRole, CreateRole, DownloadObject, FetchCredentials, GrantPolicy
from .panel import Panel, row

if TYPE_CHECKING:
    from ..cloud.cleanup import CleanUp
    from ..cloud.objects import DownloadedFile
    from ..cloud.session import Cloud

__all__ = ["StartPanel"]

_POLICY = "AliyunOSSReadOnlyAccess"


class StartPanel(Panel):
    """Create a role, grant it, attach it, fetch its credential, download a picture, clean up: a button each.

    Parameters: `cloud` the session; the names it uses. The picture of who holds what is redrawn after each step, the next
    step lit; any order may be tried, and a step too early says what is missing. In one line each:
    `cloud.roles.create(role)`, `role.grant(policy)`, `vm.attach(role)`, `vm.credentials()`,
    `bucket.using(vm).download(key)`, `cloud.clean_up()`.
    """

    TITLE = "Start here"
    FOLLOWS = True

    def __init__(
        self,
        cloud: Cloud,
        *,
        role: str = "EcsRamRole",
        instance: str = "web-1",
        bucket: str = "sandbox-photos",
        key: str = "testfolder/example.png",
    ) -> None:
        self._role, self._instance, self._bucket, self._key = check_role_name(role), instance, bucket, key
        self._fetched = self._downloaded = False
        self._region = cloud.region_id
        super().__init__(cloud)

    def _controls(self) -> Sequence[widgets.Widget]:
        self._next = widgets.HTML()
        self._shown = widgets.HTML(layout=widgets.Layout(width="auto"))
        self._steps = {
            "role": self.button("1. Create the role", self.create),
            "grant": self.button("2. Let it read OSS", self.grant),
            "attach": self.button(f"3. Attach it to {self._instance}", self.attach),
            "credentials": self.button("4. Fetch its credential", self.credentials),
            "download": self.button("5. Download the picture", self.download),
        }
        self._clean = self.button("6. Clean up", self.clean_up)
        return row(*self._steps.values(), self._clean), self._next, self._shown

    # -- the steps -------------------------------------------------------------------------------------------

    def create(self) -> Job[Any]:
        """Create the role: `cloud.roles.create(role)`."""
        return self.act(
            f"create role {self._role}",
            lambda _: self.cloud.roles.create(self._role),
            code=lambda role: CreateRole(role.name, role.trust_policy),
            done=f"role {self._role} is there: ECS may assume it, and it may do nothing yet",
        )

    def grant(self) -> Job[Any]:
        """Let the role read OSS: `role.grant("AliyunOSSReadOnlyAccess")`."""

        def work(_: JobContext) -> Any:
            self._comes_after("role")
            return self.cloud.roles[self._role].grant(_POLICY)

        return self.act(
            f"grant {_POLICY} to {self._role}",
            work,
            code=GrantPolicy(self._role, _POLICY, "System"),
            done=f"role {self._role} may list and read in OSS, and nothing else",
            quiet=True,
        )

    def attach(self) -> Job[Any]:
        """Give the instance the role: `vm.attach(role)`."""

        def work(_: JobContext) -> Any:
            self._comes_after("role")
            return self.cloud.instances[self._instance].attach(self._role)

        return self.act(
            f"attach {self._role} to {self._instance}",
            work,
            code=lambda vm: AttachRole(self._role, vm.region_id, (vm.instance_id,)),
            done=f"{self._instance} has the role {self._role}",
            quiet=True,
        )

    def credentials(self) -> Job[Any]:
        """Fetch the instance's temporary credential: `vm.credentials()`. It is shown masked."""

        def work(_: JobContext) -> Any:
            self._comes_after("role", "attach")
            found = self.cloud.instances[self._instance].credentials()
            self._fetched = True
            return found

        return self.act(
            f"fetch the credential of {self._instance}",
            work,
            code=lambda found: FetchCredentials(found.role_name, found.instance_id, found.mode),
            done="one temporary credential, fetched from the metadata service; no AccessKey was involved",
        )

    def download(self) -> Job[Any]:
        """Download the picture with it: `bucket.using(vm).download(key)`. An existing file of that name is replaced."""

        def work(ctx: JobContext) -> DownloadedFile:
            self._comes_after("role", "grant", "attach")
            bucket = self.cloud.buckets[self._bucket].using(self.cloud.instances[self._instance])
            found = bucket.download(
                self._key, overwrite=True, progress=ctx.progress, cancel=lambda: ctx.cancelled
            )
            self._downloaded, self._region = True, bucket.region_id
            return found

        return self.act(
            f"download {self._key}",
            work,
            code=lambda path: DownloadObject(self._bucket, self._key, self._region, True, path.name),
            done=f"oss://{self._bucket}/{self._key} is here, signed by the role on {self._instance}",
        )

    def clean_up(self) -> Job[Any]:
        """Undo all that was created here: `cloud.clean_up()`."""

        def work(ctx: JobContext) -> CleanUp:
            done = self.cloud.clean_up(ctx.progress)
            self._fetched = self._downloaded = False
            return done

        return self.act("clean up", work, done="nothing that you created here is left")

    def _comes_after(self, *steps: str) -> None:
        """Raise InputError, naming the button, where one of these steps is not done yet. Part of a job."""
        if self.step in steps:
            self._look()  # perhaps somebody else has done it
        if (now := self.step) in steps:
            raise InputError(
                f"This step comes later: “{self._steps[now].description}” is not done yet.",
                next_step=f"press {self._steps[now].description}",
            )

    # -- what it shows ---------------------------------------------------------------------------------------

    @property
    def step(self) -> str:
        """The step to take now (empty: all are done)."""
        picture: Picture | None = self._picture
        role = next((seen for seen in picture.roles if seen.name == self._role), None) if picture else None
        if role is None:
            return "role"
        if not role.policies:
            return "grant"
        if not any(self._instance in (vm.name, vm.instance_id) for vm in role.instances):
            return "attach"
        if not self._fetched:
            return "credentials"
        return "" if self._downloaded else "download"

    def _read(self) -> Picture:
        return self.cloud.picture()

    def _draw(self, picture: Picture) -> None:
        now = self.step
        if (
            now == "role" and self._fetched and not self.model.busy
        ):  # taken away elsewhere: nothing of it is left
            self._fetched = self._downloaded = False
            self._outcome.value = ""
            self._say("", "info")
        for name, button in self._steps.items():
            button.button_style = "primary" if name == now else ""
        self._clean.button_style = "" if now else "primary"
        self._next.value = f'<div class="rr-note">{escape(self._hint())}</div>'
        self._shown.value = picture.html(now, self._role if now != "role" else "")

    def _hint(self) -> str:
        now = self.step
        said = self._steps[now].description if now else self._clean.description
        return f"Next: {said}."

    def _body_html(self) -> str:
        if self._picture is None:
            return "<p>not read yet</p>"
        now = self.step
        return f"<p>{escape(self._hint())}</p>{self._picture.html(now, self._role if now != 'role' else '')}"

    def _body_text(self) -> str:
        if self._picture is None:
            return "not read yet"
        now = self.step
        return f"{self._hint()}\n{self._picture.text(now, self._role if now != 'role' else '')}"
