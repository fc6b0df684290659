"""The clean-up panel: what this user created here, and the button that takes it away again. `cloud.clean_up()`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import ipywidgets as widgets

from ..cloud.cleanup import CleanUp, Created, Step
from ..errors import Cancelled
from ..jobs import Job, JobContext
from ..snippets import Action, DeletePolicy, DeleteRole, DetachRole, RevokePolicy
from ..snippets import CleanUp as CleanUpCode
from .fields import note
from .panel import Panel, row

if TYPE_CHECKING:
    from ..cloud.session import Cloud

__all__ = ["CleanUpPanel"]

_ORDER = (
    "Undone from the top down: settings, detach, revoke, delete. RAM refuses to delete a role that holds a policy, and a "
    "policy that a role holds; an attached role it may delete, and the instance then has none that works. What fails stays "
    "in the list, and cleaning up again goes on from there. Credentials that were already given out stay valid until they "
    "expire."
)


# A longer plan that stands above already is not told twice: the answer's buttons would be out of sight.
_MOST_LINES = 10


class CleanUpPanel(Panel):
    """Show what this user created here and has not undone, and undo it.

    Parameters: `cloud` the session. In one line: `cloud.ledger()` shows it, `cloud.clean_up()` undoes it.
    """

    TITLE = "Clean up"
    FOLLOWS = True

    def __init__(self, cloud: Cloud) -> None:
        super().__init__(cloud)

    # -- controls --------------------------------------------------------------------------------------------

    def _controls(self) -> Sequence[widgets.Widget]:
        self._list = widgets.HTML()
        self._start = self.button("Clean up", self.clean_up, main=True)
        self._again = self.button("Look again", self.refresh)
        return (note(_ORDER), self._list, row(self._start, self._again))

    # -- actions ---------------------------------------------------------------------------------------------

    def clean_up(self, *, yes: bool = False) -> Job[Any]:
        """Undo what is listed: `cloud.clean_up()`. The panel asks first, once; with `yes` only a live session asks."""

        def work(ctx: JobContext) -> CleanUp:
            def ask(plan: Sequence[str]) -> bool:
                ctx.progress(0, len(plan), "waiting for your answer")
                if not self._ask_here(self._question_text(plan), ctx):
                    raise Cancelled("Nothing was removed.", reason="you chose to do nothing")
                return True

            steps.extend(self.cloud.ledger())
            return self.cloud.clean_up(
                ctx.progress,
                cancel=lambda: ctx.cancelled,
                confirm=None if yes else ask,
            )

        steps: list[Step] = []
        return self.act("clean up", work, code=lambda _: _code(steps), done=_said)

    def _question_text(self, plan: Sequence[str]) -> str:
        things = "1 thing" if len(plan) == 1 else f"{len(plan):,} things"
        where = f"from {self.cloud.label} (signed by {self.cloud.provenance})"
        if len(plan) > _MOST_LINES and list(plan) == [step.what for step in self._shown]:
            return f"This removes {things} {where}: all that is listed above, from the top down."
        return "\n".join([f"This removes {things} {where}:", *(f"  - {line}" for line in plan)])

    # -- what it shows ---------------------------------------------------------------------------------------

    @property
    def _shown(self) -> Created:
        return Created(()) if self._picture is None else self._picture

    def _read(self) -> Created:
        return self.cloud.ledger()

    def _draw(self, picture: Created) -> None:
        self._list.value = picture._repr_html_()
        count = len(picture)
        self._start.description = f"Clean up ({count:,})" if count else "Clean up"

    def _body_html(self) -> str:
        return self._shown._repr_html_()

    def _body_text(self) -> str:
        return repr(self._shown)


def _said(report: CleanUp) -> str | tuple[str, str]:
    if report.ok:
        return report.summary
    return report.summary.removeprefix("cancelled: "), "cancelled" if report.cancelled else "failed"


def _code(steps: Sequence[Step]) -> Action | None:
    actions = tuple(action for step in steps if (action := _action(step)) is not None)
    return CleanUpCode(actions) if actions else None


def _action(step: Step) -> Action | None:
    """Return the action in the snippets' terms; None for what they do not know (objects)."""
    details = step.details
    role = str(details.get("role", ""))
    if step.kind == "attachment":
        return DetachRole(role, str(details.get("region_id", "")), (step.name,))
    if step.kind == "grant":
        return RevokePolicy(role, step.name, str(details.get("policy_type", "Custom")))
    if step.kind == "policy":
        return DeletePolicy(step.name)
    return DeleteRole(step.name) if step.kind == "role" else None
