"""The world panel: who holds what, redrawn as it changes, the step in hand lit. `cloud.picture()`, `cloud.reset()`."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING, Any

import ipywidgets as widgets

from ..cloud.world import Picture, check_step
from ..errors import Cancelled
from ..jobs import Job, JobContext
from .fields import note
from .panel import Panel, row

if TYPE_CHECKING:
    from ..cloud.session import Cloud

__all__ = ["WorldPanel"]

# What the banner's word means, for who meets it first.
_MEANS = {
    "sandbox": "A local cloud of your own: nothing here leaves this machine, and nothing here can break anything.",
    "live": "A real account: each change is shown first and waits for your yes.",
}
_RESET = (
    "Put the world back: all is as at the start. What you made since is gone, the notebooks' progress stays."
)
_NO_RESET = "A live account is not put back. What was created from here is undone by cloud.clean_up()."


class WorldPanel(Panel):
    """The picture of caller, roles, instances and buckets.

    Parameters: `cloud` the session; `step` which step of the way is lit ("role", "grant", "attach", "credentials",
    "download"; empty: none), at `role` (default: the one created here last). In one line: `cloud.picture()`, and for the
    button `cloud.reset()`. Raises InputError for a step that is none.
    """

    TITLE = "World"
    FOLLOWS = True

    def __init__(self, cloud: Cloud, step: str = "", *, role: str = "") -> None:
        self._step, self._role = check_step(step), role
        super().__init__(cloud)

    def _controls(self) -> Sequence[widgets.Widget]:
        self._account = widgets.HTML()
        self._shown = widgets.HTML(layout=widgets.Layout(width="auto"))
        again = self.button("Look again", self.refresh, tooltip="Read the picture anew: cloud.picture()")
        if self.cloud.can_reset:
            back = self.button(
                "Put the world back", self.reset, tooltip="As it was at the start: cloud.reset()"
            )
            return self._account, self._shown, row(again, back), note(_RESET)
        return self._account, self._shown, row(again), note(_NO_RESET)

    # -- actions ---------------------------------------------------------------------------------------------

    @property
    def step(self) -> str:
        """The step that is lit; assign another to light that one."""
        return self._step

    @step.setter
    def step(self, step: str) -> None:
        self.light(step, self._role)

    def light(self, step: str, role: str = "") -> None:
        """Light a step, at `role`: `cloud.picture().html(step, role)`. Raises InputError for a step that is none."""
        self._step, self._role = check_step(step), role
        with self._draw_lock:
            if self._picture is not None:
                self._draw(self._picture)

    def reset(self, *, ask: bool = True) -> Job[Any]:
        """Put the sandbox's world back: `cloud.reset()`. Asks in the panel first, unless `ask` is off."""

        def work(ctx: JobContext) -> Cloud:
            if ask and not self._ask_here(self._question_text(), ctx):
                raise Cancelled("Nothing was put back.", reason="the answer was to do nothing")
            return self.cloud.reset()

        return self.act("put the world back", work, done="the world is as it was at the start", quiet=True)

    def _question_text(self) -> str:
        gone = self.cloud.created()
        if not gone:
            return "Put the world back? You created nothing here; what others changed goes too."
        things = "created thing goes" if len(gone) == 1 else "created things go"
        return "\n".join(
            [f"Put the world back? Your {len(gone)} {things}:", *(f"  - {line}" for line in gone)]
        )

    # -- what it shows ---------------------------------------------------------------------------------------

    def _read(self) -> Picture:
        return self.cloud.picture()

    def _draw(self, picture: Picture) -> None:
        self._account.value = f'<div class="rr-note">{escape(self._account_text(picture))}</div>'
        self._shown.value = picture.html(self._step, self._role)

    def _account_text(self, picture: Picture) -> str:
        means = _MEANS.get(self.cloud.mode, "")
        # A live session is not told its account before the first call, so the banner does not have it.
        return means if picture.account_id in self.cloud.label else f"Account {picture.account_id}. {means}"

    def _body_html(self) -> str:
        if self._picture is None:
            return "<p>not read yet</p>"
        return (
            f"<p>{escape(self._account_text(self._picture))}</p>{self._picture.html(self._step, self._role)}"
        )

    def _body_text(self) -> str:
        if self._picture is None:
            return "not read yet"
        return f"{self._account_text(self._picture)}\n{self._picture.text(self._step, self._role)}"
