"""`Panel`: what all panels have in common.

A panel is a plain class that owns ipywidgets; it is not one. It shows where it works (SANDBOX or LIVE), runs one action
at a time as a `Job` (the kernel stays free), shows its progress with a Cancel button, and ends in a result or an error
card *in the panel*. Each action is a method that starts the job and returns it, so that a script, a test and a click do
the same: `panel.create().wait()`.

`html()` and `text()` show the same without a front end. No secret may ever reach a trait: traits go to the browser and,
with saved widget state, into the notebook file.
"""

from __future__ import annotations

import contextlib
import itertools
import threading
import weakref
from collections.abc import Callable, Iterator, Sequence
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ipywidgets as widgets
from traitlets import Any as AnyTrait
from traitlets import Bool, HasTraits, Unicode

from ..cloud.calls import checking
from ..cloud.context import asking
from ..errors import Cancelled, InputError
from ..jobs import Job, JobContext
from ..render import text_card
from .cells import shown_here
from .elements import ProgressBar, StatusLine, Tabs
from .elements._base import style
from .fields import Checked
from .outcome import error_html, error_text, html_of, text_of

if TYPE_CHECKING:
    from ..cloud.session import Cloud
    from ..snippets import Action

__all__ = ["Panel", "PanelModel", "fold", "row"]

# How long showing a panel waits for its first reading; what comes later is drawn when it comes.
_FIRST_READING_SECONDS = 5.0
# Between a change that somebody made and reading anew: a batch of calls must not cause as many readings.
_SETTLE_SECONDS = {"sandbox": 0.15, "live": 1.0}
# An action this short ends while the user still looks at its button, so the focus goes back there.
_FOCUS_SECONDS = 2.0

_STATIC = Path(__file__).parent / "static"

# Beside the word, so that the two can be told apart at a glance, and by who sees no colours.
_SYMBOLS = {"SANDBOX": "▣", "LIVE": "⚠"}

_WRAP = "white-space:pre-wrap;word-break:normal;overflow-wrap:anywhere"

_VIEW = "application/vnd.jupyter.widget-view+json"


class PanelModel(HasTraits):
    """What a panel tells those who watch it: `busy`; `status` in words; the last `result` or `error` (None: none)."""

    busy = Bool(False)
    status = Unicode("")
    result = AnyTrait(None, allow_none=True)
    error = AnyTrait(None, allow_none=True)


def row(*children: widgets.Widget) -> widgets.HBox:
    """Return controls side by side, which wrap where it is narrow."""
    layout = widgets.Layout(flex_flow="row wrap", align_items="center", grid_gap="4px 8px", width="100%")
    return widgets.HBox(children, layout=layout)


def fold(title: str, *children: widgets.Widget, opened: bool = False) -> widgets.VBox:
    """Return controls behind a button that shows and hides them: what few need does not stand in everybody's way."""
    inner = widgets.VBox(children, layout=widgets.Layout(display="" if opened else "none"))
    inner.add_class("rr-fold")
    toggle = widgets.Button(layout=widgets.Layout(width="auto", align_self="flex-start"))

    def label() -> None:
        toggle.description = f"{'Show' if inner.layout.display == 'none' else 'Hide'} {title}"

    def turn(_: object) -> None:
        inner.layout.display = "" if inner.layout.display == "none" else "none"
        label()

    label()
    toggle.on_click(turn)
    return widgets.VBox([toggle, inner])


class _Keeper(StatusLine):
    """The status line, which brings the panels' style sheet with it."""

    _css = (_STATIC / "panel.css").read_text("utf-8") + style("status")


class Panel:
    """Base of the panels. A subclass gives `TITLE`, `_controls`, and where it shows something read: `_read`, `_draw`.

    Parameters: `cloud` the session. `model` tells what happens; `box` is the widget. A subclass sets its own fields
    before it calls `super().__init__`, which builds the controls and begins to read.
    """

    TITLE = ""
    #: Whether it reads anew when calls were made elsewhere (another panel, a typed cell).
    FOLLOWS = False

    def __init__(self, cloud: Cloud) -> None:
        self.cloud = cloud
        self.model = PanelModel()
        self._job: Job[Any] | None = None
        self._looking: Job[Any] | None = None
        self._picture: Any = None
        self._drawn = 0
        self._numbers = itertools.count(1)
        self._draw_lock = threading.Lock()
        self._pending: threading.Timer | None = None
        self._closed = False
        self._last: tuple[str, str] | None = None  # how it looked when it was closed
        self._quiet = False
        self._clicked: widgets.Button | None = None
        self._answer: bool | None = None
        self._answered = threading.Event()
        self._buttons: list[widgets.Button] = []

        self._status = _Keeper(label=f"{self.TITLE} panel")
        self._bar = ProgressBar(label=self.TITLE)
        self._cancel = widgets.Button(
            description="Cancel", layout=widgets.Layout(display="none", width="auto")
        )
        self._cancel.on_click(lambda _: self.cancel())
        self._banner = widgets.HTML()
        self._outcome = widgets.HTML()
        self._question = widgets.HTML()
        yes = widgets.Button(description="Go ahead", button_style="warning")
        no = widgets.Button(description="Do nothing")
        yes.on_click(lambda _: self.answer(True))
        no.on_click(lambda _: self.answer(False))
        self._ask = widgets.VBox([self._question, row(yes, no)], layout=widgets.Layout(display="none"))
        self._code = Tabs()
        self._code_toggle = widgets.Button(
            description="Show code", layout=widgets.Layout(display="none", width="auto")
        )
        self._code_toggle.on_click(lambda _: self._toggle_code())
        self._code_box = widgets.VBox([self._code], layout=widgets.Layout(display="none"))
        self._update_banner()
        self.box = widgets.VBox(
            [
                self._banner,
                *self._controls(),
                self._ask,
                row(self._status, self._cancel),
                self._bar,
                self._outcome,
                row(self._code_toggle),
                self._code_box,
            ],
            layout=widgets.Layout(width="100%", max_width="1100px"),
        )
        self.box.add_class("rr-panel")
        self._unsubscribe: Callable[[], None] = lambda: None
        if self.FOLLOWS:
            self._unsubscribe = cloud.wire.subscribe(self._weakly_told())
        shown_here(self)
        self.refresh()

    # -- for subclasses --------------------------------------------------------------------------------------

    def _controls(self) -> Sequence[widgets.Widget]:
        """Build the controls, once."""
        return ()

    def _read(self) -> Any:
        """Read what the panel shows from the services. Runs in a job; its calls are look-ups on the wire."""
        return None

    def _draw(self, picture: Any) -> None:
        """Put what `_read` returned into the widgets."""

    def _body_html(self) -> str:
        """Return what the panel shows, without its controls."""
        return ""

    def _body_text(self) -> str:
        """Return the same as text."""
        return ""

    def button(
        self, text: str, start: Callable[[], object], *, main: bool = False, tooltip: str = ""
    ) -> widgets.Button:
        """Return a button that starts an action; it is disabled while one runs. Bad input ends in the error card."""
        made = widgets.Button(
            description=text,
            tooltip=tooltip or text,
            button_style="primary" if main else "",
            layout=widgets.Layout(width="auto"),
        )

        def clicked(_: object) -> None:
            self._clicked = made
            try:
                start()
            except Exception as error:  # noqa: BLE001 - shown in the panel; elsewhere nobody would see it
                self._ended_badly(error)

        made.on_click(clicked)
        self._buttons.append(made)
        return made

    # -- actions ---------------------------------------------------------------------------------------------

    def act(
        self,
        name: str,
        work: Callable[[JobContext], Any],
        *,
        code: Action | Callable[[Any], Action | None] | None = None,
        done: str | Callable[[Any], str | tuple[str, str]] = "",
        show: Callable[[Any], str] | None = None,
        quiet: bool = False,
        keep: bool = False,
    ) -> Job[Any]:
        """Run an action as this panel's job, and return it. While one runs, a second is ignored; the first is returned.

        `name` says what is done ("create role R"); `work(ctx)` does it with one public function; `code` the action as
        `ramrole_nb.snippets` knows it, or a function of the result; `done` what the status says in the end, or a function
        of the result that returns it, with the status line's kind where that is not "done" (a batch in which some failed);
        `show` renders the result as HTML (default: as a notebook would); `quiet`: the status says enough, show no result;
        `keep`: what the last action showed stays beside this one's end.
        """
        if self._job is not None and self._job.state == "running":
            return self._job
        if self._closed:
            raise InputError("This panel is closed.", next_step="run its cell again")
        job: Job[Any] = Job(self._working, work)
        job.name = name
        self._job = job
        self.model.error = None
        self.model.result = None
        self.model.busy = True
        if not keep:
            self._outcome.value = ""
            self._forget_code()
        self._say(f"{name} …", "working")
        self._enable(False)
        self._quiet = quiet
        job.on_change(lambda told: self._job_changed(told, code, done, show))
        return job.start()

    def _working(self, ctx: JobContext, work: Callable[[JobContext], Any]) -> Any:
        asking.set(lambda text: self._ask_here(text, ctx))
        try:
            return work(ctx)
        finally:
            if not self._closed:
                with contextlib.suppress(Exception):  # the action's own error is the one to show
                    self._look()

    def _job_changed(
        self,
        job: Job[Any],
        code: Action | Callable[[Any], Action | None] | None,
        done: str | Callable[[Any], str | tuple[str, str]],
        show: Callable[[Any], str] | None,
    ) -> None:
        if self._closed or job is not self._job:
            return
        if job.state == "running":
            self._show_progress(job)
            return
        self._bar.active = False
        self._cancel.layout.display = "none"
        if job.exception is not None:
            self._ended_badly(job.exception)
        else:
            result, quiet_result = job.result, self._quiet
            self.model.result = result
            if not quiet_result:
                self._outcome.value = show(result) if show is not None else html_of(result)
            said = done(result) if callable(done) else done
            words, kind = said if isinstance(said, tuple) else (said, "done")
            self._say(words or f"{job.name}: done", kind)
            action = code(result) if callable(code) else code
            if action is not None:
                self.show_code(action)
        self._enable(True)
        self.model.busy = False
        clicked, self._clicked = self._clicked, None
        if clicked is not None and job.progress.seconds < _FOCUS_SECONDS:
            clicked.focus()

    def _ended_badly(self, error: BaseException) -> None:
        self.model.error = error
        self._outcome.value = error_html(error)
        cancelled = isinstance(error, Cancelled)
        # The card below says what; the line, which of the panel's actions it was.
        failed = next(
            (job for job in (self._job, self._looking) if job is not None and job.exception is error), None
        )
        what = getattr(error, "what", "") or type(error).__name__
        self._say(
            what if cancelled or failed is None else failed.name, "cancelled" if cancelled else "failed"
        )

    def _show_progress(self, job: Job[Any]) -> None:
        seen = job.progress
        self._cancel.layout.display = ""
        self._bar.maximum = float(seen.total or 0)
        self._bar.value = float(seen.done)
        self._bar.caption = self._progress_caption(job)
        self._bar.active = True

    def _progress_caption(self, job: Job[Any]) -> str:
        seen = job.progress
        counted = f"{seen.done:,} of {seen.total:,}" if seen.total else ""
        return ", ".join(part for part in (counted, seen.message) if part)

    def cancel(self) -> None:
        """Ask the running action to stop; the status then says what was already done."""
        if self._job is not None and self._job.cancel():
            self._say(f"{self._job.name}: stopping …", "working")

    def wait(self, timeout: float | None = 60.0) -> Panel:
        """Wait until nothing runs (readings included) and return the panel. An action's error stays in the panel."""
        for job in (self._job, self._looking):
            if job is not None:
                with contextlib.suppress(Exception):
                    job.wait(timeout)
        return self

    def _enable(self, on: bool) -> None:
        for button in self._buttons:
            button.disabled = not on

    def _say(self, text: str, kind: str) -> None:
        self.model.status = text
        with self._status.hold_sync():
            self._status.kind = kind
            self._status.text = text

    # -- a question before a live change ---------------------------------------------------------------------

    def _ask_here(self, text: str, ctx: JobContext) -> bool:
        """Show a plan in the panel and wait for the answer; cancelling the job is a no."""
        self._answered.clear()
        self._question.value = (
            f'<div role="alertdialog" aria-label="confirm"><pre style="{_WRAP}">{escape(text)}</pre></div>'
        )
        self._ask.layout.display = ""
        self._say("waiting for your answer: go ahead?", "info")
        try:
            while not self._answered.wait(0.1):
                ctx.check()
            return bool(self._answer)
        finally:
            self._ask.layout.display = "none"

    def answer(self, yes: bool) -> None:
        """Answer the question that the panel asks before a live change."""
        self._answer = yes
        self._answered.set()

    # -- reading ---------------------------------------------------------------------------------------------

    def refresh(self) -> Job[Any]:
        """Read anew, in the background."""
        job: Job[Any] = Job(lambda _: self._look())
        job.name = f"read for {self.TITLE}"
        job.on_change(self._looked)
        self._looking = job
        return job.start()

    def _look(self) -> None:
        number = next(self._numbers)
        with checking():
            picture = self._read()
        with self._draw_lock:
            if number > self._drawn and not self._closed:  # an older reading must not cover a newer one
                self._drawn, self._picture = number, picture
                self._update_banner()
                self._draw(picture)

    def _looked(self, job: Job[Any]) -> None:
        if job.exception is not None and not self._closed and not self.model.busy:
            self._ended_badly(job.exception)

    def _weakly_told(self) -> Callable[[], None]:
        """Return what others call when something changed; it does not keep the panel."""
        me = weakref.WeakMethod(self._something_changed)

        def told() -> None:
            if (method := me()) is not None:
                method()

        return told

    def _something_changed(self) -> None:
        if self._closed or self._pending is not None:
            return
        timer = threading.Timer(_SETTLE_SECONDS.get(self.cloud.mode, 1.0), self._follow)
        timer.daemon = True
        self._pending = timer
        timer.start()

    def _follow(self) -> None:
        self._pending = None
        if not self._closed:
            self.refresh()

    def _update_banner(self) -> None:
        where, _, rest = self.cloud.label.partition(" ")
        rest += f", as {self.cloud.provenance.removesuffix(' (AccessKey)')}"
        self._banner.value = (
            f'<div class="rr-panel-head"><strong class="rr-panel-title">{escape(self.TITLE)}</strong> '
            f'<span class="rr-where"><strong>{_SYMBOLS.get(where, "")} {escape(where)}</strong> {escape(rest)}</span></div>'
        )

    # -- code ------------------------------------------------------------------------------------------------

    def show_code(self, action: Action) -> None:
        """Show what does the same as `action` in each language, behind the panel's "Show code"."""
        from ..snippets import all_code

        found = all_code(action)
        with self._code.hold_sync():
            self._code.titles = list(found)
            self._code.texts = list(found.values())
        self._code_toggle.layout.display = ""

    def _forget_code(self) -> None:
        """Take the last action's code away: it must not stand beside another action's end."""
        with self._code.hold_sync():
            self._code.titles, self._code.texts = [], []
        self._code_toggle.layout.display = "none"
        self._hide_code(hidden=True)

    def _toggle_code(self) -> None:
        self._hide_code(hidden=self._code_box.layout.display != "none")

    def _hide_code(self, *, hidden: bool) -> None:
        self._code_box.layout.display = "none" if hidden else ""
        self._code_toggle.description = "Show code" if hidden else "Hide code"

    @property
    def code(self) -> dict[str, str]:
        """The code of the last action, by language."""
        return dict(zip(self._code.titles, self._code.texts, strict=True))

    # -- showing ---------------------------------------------------------------------------------------------

    def html(self) -> str:
        """Return the panel as HTML, for where there is no front end: what it shows, and how the last action ended."""
        if self._last is not None:
            return self._last[0]
        status = f"<p>{escape(self.model.status)}</p>" if self.model.status else ""
        return f"<div>{self._banner.value}{self._body_html()}{status}{self._outcome.value}</div>"

    def text(self) -> str:
        """Return the panel as plain text."""
        if self._last is not None:
            return self._last[1]
        ended = "" if self._quiet else text_of(self.model.result)
        if self.model.error is not None:
            ended = error_text(self.model.error)
        lines = [
            text_card(f"{self.TITLE} ({self.cloud.label})", []),
            self._body_text(),
            self.model.status,
            ended,
        ]
        return "\n".join(line for line in lines if line)

    def __repr__(self) -> str:
        return self.text()

    def _repr_mimebundle_(self, **_: Any) -> dict[str, Any]:
        if self._looking is not None:
            with contextlib.suppress(Exception):
                self._looking.wait(_FIRST_READING_SECONDS)
        if self._closed:
            return {"text/plain": self.text(), "text/html": self.html()}
        view = {"version_major": 2, "version_minor": 0, "model_id": self.box.model_id}
        return {"text/plain": self.text(), "text/html": self.html(), _VIEW: view}

    # -- the end ---------------------------------------------------------------------------------------------

    def close(self) -> None:
        """Cancel what runs and take the panel's widgets out of the kernel and the page."""
        if self._closed:
            return
        self._closed = True
        self._unsubscribe()
        if self._pending is not None:
            self._pending.cancel()
        if self._job is not None:
            self._job.cancel()
        try:
            self._last = self.html(), self.text()
        except Exception:  # noqa: BLE001 - closing must not fail for what could not be shown
            self._last = "<p>closed</p>", "closed"
        for widget in _tree(self.box):
            widget.close()
        self._release()

    def replaced(self) -> None:
        """Close it because its cell runs again. IPython keeps it as an earlier output: its last looks are let go, too."""
        self.close()
        told = f"This {self.TITLE} panel was replaced: its cell was run again."
        self._last = f"<p>{escape(told)}</p>", told
        self.model.unobserve_all()
        self.model.result = self.model.error = None
        self._job = self._looking = None

    def _release(self) -> None:
        """Let go of the widgets: IPython keeps every panel that a cell has shown (`Out[n]`), and each holds some hundred."""
        for name, value in list(vars(self).items()):
            parts = value if isinstance(value, list | tuple) else [value]
            parts = [*value.values()] if isinstance(value, dict) else parts
            if name == "_picture" or any(isinstance(part, (widgets.Widget, Checked)) for part in parts):
                delattr(self, name)


def _tree(widget: widgets.Widget) -> Iterator[widgets.Widget]:
    """Walk a widget and all below it, with their layouts and styles."""
    for child in getattr(widget, "children", ()):
        yield from _tree(child)
    for part in ("layout", "style"):
        if isinstance(found := getattr(widget, part, None), widgets.Widget):
            yield found
    yield widget
