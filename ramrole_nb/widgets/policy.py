"""The policy lab: what policies allow, why not, and the smallest change. `policy_lab(cloud, role, …)`, `rr.policy`."""

from __future__ import annotations

import json
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any

import ipywidgets as widgets

from ..cloud.effective import arn_of, compare_wire, policy_lab, read_documents, session_arn
from ..cloud.roles import check_role_name
from ..errors import InputError, RamroleError, nearest
from ..jobs import Job
from ..policy import (
    Cell,
    Change,
    MalformedPolicyDocument,
    Matrix,
    NamedDocument,
    Outcome,
    Problem,
    Smallest,
    from_calls,
    known_actions,
    lint,
    matrix,
    parse_policy,
    smallest_change,
    why_not,
)
from ..render import html_table, text_table
from .elements import CodeBlock
from .fields import Checked, choice, choose, heading, note, text_area, text_field
from .panel import Panel, _tree, fold, row

if TYPE_CHECKING:
    from ..cloud.session import Cloud

__all__ = ["PolicyPanel"]

_PASTED = "the documents pasted below"
_ACTIONS = ("oss:GetObject", "oss:ListObjects", "oss:PutObject", "oss:DeleteObject")
_FOUND = ("policy", "severity", "what is wrong", "where", "fix")
_TWO_IF_WIDE = "repeat(auto-fit, minmax(18em, 1fr))"
# More would be slow to draw and nobody reads it; the functions take any number.
_MOST_CELLS = 60


@dataclass(frozen=True)
class _Picture:
    roles: tuple[str, ...] = ()
    role: str = ""
    arn: str = ""
    documents: tuple[NamedDocument, ...] = ()
    unread: tuple[str, ...] = ()


class PolicyPanel(Panel):
    """See what policies allow, and why.

    Parameters: `cloud` the session; `role` the role to begin with; `actions` and `resources` (ARNs or `oss://bucket/key`)
    to decide; `bucket` fills in the resources. In one line: `policy_lab(cloud, role, actions, resources)` of
    `ramrole_nb.cloud.effective`; and of `rr.policy`: `matrix`, `why_not`, `smallest_change`, `lint`, `from_calls`.
    """

    TITLE = "Policy lab"
    FOLLOWS = True

    def __init__(
        self,
        cloud: Cloud,
        role: str = "",
        *,
        actions: Sequence[str] = _ACTIONS,
        resources: Sequence[str] = (),
        bucket: str = "my-bucket",
    ) -> None:
        self._first_role, self._first_actions = role, tuple(actions)
        self._first_resources = tuple(resources) or (
            f"oss://{bucket}",
            f"oss://{bucket}/testfolder/example.png",
        )
        self._decided: Matrix | None = None
        self._place: tuple[str, str] | None = None
        self._problem = ""
        # A reading ends in its job's thread while the user types.
        self._drawing = threading.RLock()
        self._cells: dict[tuple[str, str], widgets.Button] = {}
        super().__init__(cloud)

    # -- controls --------------------------------------------------------------------------------------------

    def _controls(self) -> Sequence[widgets.Widget]:
        first = [self._first_role] if self._first_role else []
        self.role = choice("Policies of", [*first, _PASTED], (first or [_PASTED])[0])
        self.actions = text_area("Actions (one a line)", "\n".join(self._first_actions), rows=5)
        self.resources = text_area("Resources (one a line)", "\n".join(self._first_resources), rows=5)
        self.context = text_field(
            "Condition keys", "", placeholder="acs:SecureTransport=true, oss:Prefix=a/", width="32em"
        )
        self.pasted = text_area("Policy document, or a JSON list of them", "", rows=10)
        self._asked_check = Checked(self.actions, lambda value: _actions_said(_lines(value)))
        self._pasted_check = Checked(self.pasted, _pasted_said)
        self._told = widgets.HTML()
        self._grid = widgets.GridBox([], layout=widgets.Layout(width="100%", overflow="auto", grid_gap="4px"))
        self._shown_cell = widgets.HTML()
        self._code_shown = CodeBlock(language="JSON")
        self._code_shown_box = widgets.VBox([self._code_shown], layout=widgets.Layout(display="none"))
        self.role.observe(lambda _: self._other_role(), names=["value"])
        for field in (self.actions, self.resources, self.context, self.pasted):
            field.observe(lambda _: self._decide_now(), names=["value"])
        for field in (self.actions, self.resources):
            field.layout.width = "auto"  # the panel's style sheet leaves room for the frame
        fields = widgets.GridBox(
            [self.actions, self.resources],
            layout=widgets.Layout(grid_template_columns=_TWO_IF_WIDE, grid_gap="4px 12px", width="100%"),
        )
        return (
            row(self.role, self.button("Decide", self.decide, main=True)),
            fold("documents to paste", self.pasted, self._pasted_check.said, opened=not self._first_role),
            fields,
            self._asked_check.said,
            row(self.context),
            self._told,
            self._grid,
            self._shown_cell,
            row(
                self.button("Why not?", self.explain_cell),
                self.button("Smallest change", self.change),
                self.button("Check the policies", self.check),
            ),
            heading("From what was seen"),
            note("The calls that this role signed in this session are on the wire."),
            row(
                self.button("Smallest policy for the wire", self.minimal),
                self.button("Compare with the wire", self.compare),
            ),
            self._code_shown_box,
        )

    # -- actions ---------------------------------------------------------------------------------------------

    def decide(self) -> Job[Any]:
        """Decide actions × resources: `policy_lab(cloud, role, actions, resources)`, or `rr.policy.matrix(documents, …)`."""
        actions, resources, context = self._asked()
        if self._is_pasted:
            documents = _pasted(self.pasted.value)
            return self.act(
                "decide", lambda _: matrix(documents, actions, map(arn_of, resources), context=context),
                done=_count, quiet=True,
            )  # fmt: skip
        name = check_role_name(str(self.role.value))
        return self.act(
            f"decide with the policies of {name}",
            lambda _: policy_lab(self.cloud, name, actions, resources, context=context),
            done=_count,
            quiet=True,
        )

    def choose_cell(self, action: str, resource: str) -> Cell:
        """Choose a cell of the matrix: its decision, with the deciding statement marked, is shown below it."""
        if self._decided is None:
            raise InputError("Nothing is decided yet.", next_step="press Decide")
        place = (action, arn_of(resource))
        decided = self._decided
        if place not in decided.cells:
            wrong, valid = (
                (action, decided.actions) if action not in decided.actions else (place[1], decided.resources)
            )
            hint = nearest(wrong, valid)
            raise InputError(f"The matrix has no {wrong!r}.{hint}", next_step="choose one of its cells")
        with self._drawing:
            self._place = place
            self._show_cell()
        return decided.cells[place]

    def explain_cell(self) -> Job[Any]:
        """Say of the chosen cell why it is not allowed: `rr.policy.why_not(request, documents)`."""
        cell = self._chosen()
        return self.act("explain", lambda _: why_not(cell.request, cell.documents), done="explained below")

    def change(self) -> Job[Any]:
        """Find the smallest change that allows the chosen cell: `rr.policy.smallest_change(request, documents)`."""
        cell = self._chosen()

        def done(change: Change) -> str:
            text = next((text for text in change.documents.values() if text), "")
            self._show_code(text, next((name for name, doc in change.documents.items() if doc), ""))
            return "the new document is above, ready to copy" if text else "see below"

        return self.act(
            "find the smallest change",
            lambda _: smallest_change(cell.request, cell.documents),
            done=done,
            show=lambda change: change.html(
                documents=False
            ),  # the document stands above, with its Copy button
        )

    def check(self) -> Job[Any]:
        """Look for mistakes in the policies: `rr.policy.lint(document)` for each."""
        if self._is_pasted:
            sources: list[tuple[str, Any]] = [(name, text) for name, text in _split(self.pasted.value)]
        else:
            sources = [(d.name, d.document.source_text) for d in self._shown.documents]
        if not sources:
            raise InputError(
                "There is no policy to check.", next_step="choose a role that holds one, or paste a document"
            )

        def work(_: object) -> _Found:
            return _Found(
                tuple((name, problem) for name, source in sources for problem in lint(source)), len(sources)
            )

        return self.act("check the policies", work, done=lambda found: found.sentence)

    def minimal(self) -> Job[Any]:
        """Write the smallest policy for the calls that the role signed: `rr.policy.from_calls(calls)`."""
        name = "" if self._is_pasted else str(self.role.value)

        def work(_: object) -> Smallest:
            calls = [call for call in self.cloud.wire.since(explain=True) if _of_role(call, name)]
            found = from_calls(calls)
            if not found.document:
                raise InputError(
                    f"No call of {name or 'a role'} that a policy allowed is on the wire.",
                    reason="; ".join(found.left_out[:3]),
                    next_step="use the role first: cloud.buckets[name].using(vm).list()",
                )
            return found

        def done(found: Smallest) -> str:
            self._show_code(
                json.dumps(json.loads(found.document), indent=2, ensure_ascii=False), "the smallest policy"
            )
            return f"the smallest policy for {len(found.calls)} different calls is written below"

        return self.act("write the smallest policy", work, done=done, quiet=True)

    def compare(self) -> Job[Any]:
        """Hold what the service answered beside the verdict: `compare_wire(cloud, role)`."""
        if self._is_pasted:
            raise InputError("Pasted documents have signed no call.", next_step="choose a role")
        name = check_role_name(str(self.role.value))
        return self.act(
            f"compare the calls of {name}",
            lambda _: compare_wire(self.cloud, name),
            done=lambda found: (
                f"{len(found)} calls compared, {sum(one.agrees is False for one in found)} differ"
            ),
        )

    # -- what it shows ---------------------------------------------------------------------------------------

    @property
    def matrix(self) -> Matrix | None:
        """The matrix shown; None: the fields do not say what to decide."""
        return self._decided

    @property
    def _is_pasted(self) -> bool:
        return self.role.value in (None, _PASTED)

    @property
    def _shown(self) -> _Picture:
        return self._picture or _Picture()

    def _read(self) -> _Picture:
        roles = {role.name: role.arn for role in self.cloud.roles}
        chosen = "" if self._is_pasted else str(self.role.value)
        if not chosen or chosen not in roles:
            return _Picture(tuple(roles), chosen)
        held = read_documents(self.cloud.context.calls, chosen)
        return _Picture(tuple(roles), chosen, roles[chosen], held.documents, held.unread)

    def _draw(self, picture: _Picture) -> None:
        first = [picture.role] if picture.role and picture.role not in picture.roles else []
        choose(self.role, [*first, *picture.roles, _PASTED])
        self._decide_now()

    def _other_role(self) -> None:
        self._decided, self._place = None, None
        self._something_changed()
        if self._is_pasted:
            self._decide_now()

    def _asked(self) -> tuple[list[str], list[str], dict[str, str]]:
        actions, resources = _lines(self.actions.value), _lines(self.resources.value)
        _actions_said(actions)
        if not resources:
            raise InputError("No resource is named.", next_step="write an ARN or oss://bucket/key")
        if len(actions) * len(resources) > _MOST_CELLS:
            raise InputError(
                f"{len(actions)} actions × {len(resources)} resources are more than the {_MOST_CELLS} cells shown here.",
                next_step="name fewer, or call policy_lab(...), which takes any number",
            )
        return actions, resources, _context_of(self.context.value)

    def _decide_now(self) -> None:
        """Decide anew with what was read and what is in the fields: a matter of milliseconds."""
        with self._drawing:
            self._decide_and_draw()

    def _decide_and_draw(self) -> None:
        shown = self._shown
        self._problem = ""
        try:
            actions, resources, context = self._asked()
            if self._is_pasted:
                documents = _pasted(self.pasted.value)
            elif shown.role == self.role.value:
                if shown.role not in shown.roles:
                    hint = nearest(shown.role, shown.roles)
                    raise InputError(f"There is no role {shown.role!r}.{hint}", next_step="choose another")
                documents = list(shown.documents)
            else:
                return
            principal = session_arn(shown.arn) if shown.arn and not self._is_pasted else ""
            keys = {"acs:PrincipalARN": principal, **context} if principal else context
            self._decided = matrix(
                documents, actions, map(arn_of, resources), context=keys, principal=principal
            )
        except RamroleError as error:
            self._decided = None
            self._problem = " ".join(part for part in (error.what, error.next_step) if part)
        if self._decided is None or self._place not in self._decided.cells:
            self._place = None
        self._told.value = f'<div class="rr-note">{escape(self._told_text())}</div>'
        self._draw_grid()
        self._show_cell()

    def _told_text(self) -> str:
        if self._problem:
            return f"✕ not yet: {self._problem}"
        if self._decided is None:
            return "Choose a role, or paste a policy document."
        held = ", ".join(self._decided.names) or "no policy: everything is refused"
        unread = (
            f" Not read: {'; '.join(self._shown.unread)}."
            if self._shown.unread and not self._is_pasted
            else ""
        )
        return f"Decided by {held}.{unread} Choose a cell to see the statement that decides."

    def _draw_grid(self) -> None:
        decided = self._decided
        wanted = list(decided.cells) if decided is not None else []
        if wanted != list(self._cells):
            old = self._grid.children
            self._cells = {place: self._cell_button(place) for place in wanted}
            children: list[widgets.Widget] = []
            if decided is not None and wanted:
                children = [_head("action"), *(_head(_short(r)) for r in decided.resources)]
                for action in decided.actions:
                    children += [_head(action), *(self._cells[action, r] for r in decided.resources)]
                columns = f"repeat({len(decided.resources)}, minmax(7.5em, 1fr))"
                self._grid.layout.grid_template_columns = f"minmax(6em, max-content) {columns}"
            self._grid.children = children
            for widget in old:
                for part in _tree(widget):
                    part.close()
        if decided is not None:
            for place, button in self._cells.items():
                label = decided.cells[place].label
                button.description = f"▸ {label}" if place == self._place else label
                button.tooltip = f"{place[0]} on {_short(place[1])}: {label}"
                cell = decided.cells[place]
                colours = _COLOURS[Outcome.IMPLICIT_DENY if cell.note else cell.decision.outcome]
                button.style.button_color, button.style.text_color = colours

    def _cell_button(self, place: tuple[str, str]) -> widgets.Button:
        made = widgets.Button(layout=widgets.Layout(width="auto"))
        made.on_click(lambda _: self.choose_cell(*place))
        return made

    def _show_cell(self) -> None:
        cell = self._decided.cells.get(self._place) if self._decided is not None and self._place else None
        self._shown_cell.value = cell.html() if cell is not None else ""
        self._draw_grid()

    def _chosen(self) -> Cell:
        if self._decided is None or self._place is None:
            refused = (
                [p for p, c in self._decided.cells.items() if not c.decision.allowed] if self._decided else []
            )
            if len(refused) == 1:
                return self.choose_cell(*refused[0])
            raise InputError("No cell is chosen.", next_step="choose a cell of the matrix first")
        return self._decided.cells[self._place]

    def _show_code(self, text: str, title: str) -> None:
        with self._code_shown.hold_sync():
            self._code_shown.title, self._code_shown.code = title, text
        self._code_shown_box.layout.display = "" if text else "none"

    def _body_html(self) -> str:
        cell = self._shown_cell.value
        decided = self._decided.html() if self._decided is not None else ""
        return f"{self._told.value}{decided}{cell}{self._written_html()}"

    def _written_html(self) -> str:
        code = self._code_shown.code
        return f"<p>{escape(self._code_shown.title)}:</p><pre>{escape(code)}</pre>" if code else ""

    def _body_text(self) -> str:
        cell = self._decided.cells.get(self._place) if self._decided is not None and self._place else None
        lines = [
            self._told_text(),
            self._decided.text() if self._decided is not None else "",
            cell.text() if cell is not None else "",
            f"{self._code_shown.title}:\n{self._code_shown.code}" if self._code_shown.code else "",
        ]
        return "\n".join(line for line in lines if line)


# Background and text: dark on pale reads well in light and dark, where JupyterLab's own button colours do not.
_COLOURS = {
    Outcome.ALLOW: ("#d9efdb", "#12451a"),
    Outcome.EXPLICIT_DENY: ("#f8d7d7", "#7a1212"),
    Outcome.IMPLICIT_DENY: ("#e6e6e6", "#333333"),
    Outcome.UNKNOWN: ("#fdeacc", "#5c3a00"),
}


@dataclass(frozen=True)
class _Found:
    """What the lint found in some policies."""

    problems: tuple[tuple[str, Problem], ...]
    policies: int

    @property
    def sentence(self) -> str:
        return (
            f"{len(self.problems)} found in {self.policies} {'policies' if self.policies > 1 else 'policy'}"
        )

    def _rows(self) -> list[list[str]]:
        return [
            [name, p.title, p.message, p.path + (f" (line {p.line})" if p.line else ""), p.fix]
            for name, p in self.problems
        ]

    def _repr_html_(self) -> str:
        return html_table(_FOUND, self._rows(), title="What the check found", empty="✓ nothing found")

    def __repr__(self) -> str:
        return text_table(_FOUND, self._rows(), widest=200) or "✓ nothing found"


def _head(text: str) -> widgets.HTML:
    return widgets.HTML(
        f'<div style="overflow-wrap:anywhere;line-height:1.4"><strong>{escape(text)}</strong></div>'
    )


def _count(found: Matrix) -> str:
    asked = [cell for cell in found.cells.values() if not cell.note]
    return f"{sum(cell.decision.allowed for cell in asked)} of {len(asked)} allowed"


def _short(arn: str) -> str:
    """Return `oss://bucket/key` for an OSS ARN that names neither region nor account."""
    return f"oss://{arn[len('acs:oss:*:*:') :]}" if arn.startswith("acs:oss:*:*:") else arn


def _lines(value: str) -> list[str]:
    return list(dict.fromkeys(line.strip() for line in value.splitlines() if line.strip()))


def _actions_said(actions: Sequence[str]) -> str:
    """Check actions: raise InputError for what is none, name the nearest for one that is not known."""
    if not actions:
        raise InputError("No action is named.", next_step="write one such as oss:GetObject")
    known = known_actions()
    for action in actions:
        if ":" not in action or any(sign in action for sign in "*? "):
            raise InputError(
                f"{action!r} is no action: a request asks for exactly one.{nearest(action, known)}",
                next_step="write <ram-code>:<action-name>, such as oss:GetObject",
            )
    services = {action.partition(":")[0] for action in known}
    strange = [a for a in actions if a.partition(":")[0] in services and a not in known and nearest(a, known)]
    return f"{strange[0]} is not known here.{nearest(strange[0], known)}" if strange else ""


def _context_of(value: str) -> dict[str, str]:
    pairs = [part.strip() for part in value.split(",") if part.strip()]
    for pair in pairs:
        if "=" not in pair or ":" not in pair.split("=", 1)[0]:
            raise InputError(
                f"{pair!r} is no condition key with its value.", next_step="write acs:SourceIp=10.0.0.1"
            )
    return dict(pair.split("=", 1) for pair in pairs)


def _split(value: str) -> list[tuple[str, str]]:
    """Return the pasted documents with a name each: one document, or a JSON list of them."""
    try:
        tree = json.loads(value)
    except (ValueError, RecursionError):
        tree = None
    if isinstance(tree, list) and tree:
        return [(f"document {n}", json.dumps(part, indent=2)) for n, part in enumerate(tree, 1)]
    return [("the pasted document", value)] if value.strip() else []


def _pasted(value: str) -> list[NamedDocument]:
    """Read the pasted documents. Raises InputError with the place of the fault."""
    documents = []
    for name, text in _split(value):
        try:
            documents.append(NamedDocument(name, "Custom", parse_policy(text)))
        except MalformedPolicyDocument as error:
            where = f" at {error.path}" if error.path else ""
            raise InputError(
                f"{name} is malformed{where}: {error.message}",
                next_step="Check the policies says all that is wrong",
            ) from None
    if not documents:
        raise InputError("No document is pasted.", next_step="paste one, or choose a role")
    return documents


def _pasted_said(value: str) -> str:
    return f"{len(_pasted(value))} legal" if value.strip() else ""


def _of_role(call: Any, role: str) -> bool:
    """Tell whether a role (empty: any) signed a call."""
    principal = str(call.decision.get("principal", ""))
    wanted = f":assumed-role/{role}/" if role else ":assumed-role/"
    return wanted.lower() in principal.lower() if principal else call.caller.startswith("role on ")
