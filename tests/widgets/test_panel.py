"""What all panels have in common: jobs, errors, questions, progress, twins, and what is left when they are closed."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import ipywidgets as widgets
import pytest

from ramrole_nb.connect import _asker
from ramrole_nb.errors import ChangeNotConfirmed, InputError
from ramrole_nb.redact import remember
from ramrole_nb.widgets.panel import Panel
from tests.support.threads import threads_settle
from tests.widgets.conftest import button, click, everything, failure_of, states

if TYPE_CHECKING:
    from ramrole_nb.cloud.session import Cloud
    from ramrole_nb.jobs import Job, JobContext

Made = Callable[[Any], Any]


class Counting(Panel):
    """A panel that counts, and can be told to fail."""

    TITLE = "Counting"

    def __init__(self, cloud: Cloud) -> None:
        self.failure: BaseException | None = None
        self.go, self.inside = threading.Event(), threading.Event()
        self.threads: list[str] = []
        super().__init__(cloud)

    def _controls(self) -> list[widgets.Widget]:
        return [self.button("Count", self.count, main=True)]

    def count(self) -> Job[Any]:
        if self.failure is not None and isinstance(self.failure, InputError):
            raise self.failure
        return self.act("count to three", self._count, done="counted")

    def _count(self, ctx: JobContext) -> str:
        self.threads.append(threading.current_thread().name)
        ctx.progress(1, 3, "one")
        ctx.changed("said one")
        self.inside.set()
        while not self.go.wait(0.01):
            ctx.check()
        if self.failure is not None:
            raise self.failure
        return "three"

    def _read(self) -> str:
        return f"{len(list(self.cloud.roles))} roles"

    def _body_html(self) -> str:
        return f"<p>{self._picture}</p>"

    def _body_text(self) -> str:
        return str(self._picture)


def test_an_action_runs_beside_the_kernel_and_ends_in_the_panel(cloud: Cloud, made: Made) -> None:
    panel = made(Counting(cloud))
    counting = button(panel, "Count")
    counting.click()
    assert panel.inside.wait(5)
    assert panel.threads == ["ramrole-job-count to three"]
    assert panel.model.busy
    assert counting.disabled
    assert panel._bar.active
    assert panel._bar.caption == "1 of 3, one"
    assert panel._cancel.layout.display == ""
    panel.go.set()
    panel.wait()
    assert (panel.model.result, panel.model.status, panel.model.busy) == ("three", "counted", False)
    assert not counting.disabled
    assert not panel._bar.active
    assert panel._cancel.layout.display == "none"
    assert "three" in panel.text()
    assert "three" in panel.html()


def test_a_second_click_while_it_runs_is_ignored(cloud: Cloud, made: Made) -> None:
    panel = made(Counting(cloud))
    first = panel.count()
    assert panel.count() is first
    panel.go.set()
    panel.wait()
    assert len(panel.threads) == 1


def test_cancel_says_what_was_done(cloud: Cloud, made: Made) -> None:
    panel = made(Counting(cloud))
    panel.count()
    assert panel.inside.wait(5)
    panel._cancel.click()
    panel.wait()
    assert panel._status.kind == "cancelled"
    assert "said one" in panel._outcome.value
    assert "said one" in panel.text()


@pytest.mark.parametrize(
    ("failure", "shown"),
    [
        (InputError("No such thing.", reason="it is not there", next_step="take another"), "take another"),
        (ZeroDivisionError("by nought"), "ZeroDivisionError: by nought"),
    ],
)
def test_a_failure_is_shown_in_the_panel(
    cloud: Cloud, made: Made, failure: BaseException, shown: str, caplog: pytest.LogCaptureFixture
) -> None:
    panel = made(Counting(cloud))
    panel.failure = failure
    panel.go.set()
    click(panel, "Count")
    assert failure_of(panel) is failure
    assert shown in panel._outcome.value
    assert shown in panel.text()
    assert panel._status.kind == "failed"
    assert not button(panel, "Count").disabled
    if not isinstance(failure, InputError):
        assert "by nought" in caplog.text, "our own fault is in the log too"
        caplog.clear()
    panel.failure = None
    click(panel, "Count")
    assert failure_of(panel) is None
    assert panel.model.result == "three"
    assert "✕" not in panel._outcome.value


def test_no_secret_reaches_the_browser_through_an_error(cloud: Cloud, made: Made) -> None:
    secret = "SANDBOXplantedSecretOfAnError0123456789"
    remember(secret)
    panel = made(Counting(cloud))
    panel.failure = RuntimeError(f"the service said {secret}")
    panel.go.set()
    click(panel, "Count")
    assert secret not in states(panel) + panel.html() + panel.text()
    assert "the service said" in panel.text()


def test_a_live_change_is_asked_for_in_the_panel(cloud: Cloud, made: Made) -> None:
    cloud.context.confirm = _asker("ask", "a live caller")

    class Creating(Panel):
        TITLE = "Creating"

        def create(self) -> Job[Any]:
            return self.act("create role Asked", lambda _: self.cloud.roles.create("Asked"), done="created")

    def asked(panel: Panel) -> None:
        for _ in range(500):
            if panel._ask.layout.display == "":
                return
            threading.Event().wait(0.01)
        raise AssertionError("nobody was asked")

    panel = made(Creating(cloud))
    panel.create()
    asked(panel)
    assert "create role Asked" in panel._question.value
    button(panel, "Do nothing").click()
    panel.wait()
    assert isinstance(failure_of(panel), ChangeNotConfirmed)
    assert "Asked" not in cloud.roles
    panel.create()
    asked(panel)
    button(panel, "Go ahead").click()
    panel.wait()
    assert failure_of(panel) is None
    assert "Asked" in cloud.roles
    assert panel._ask.layout.display == "none"
    panel.create()
    panel.wait()
    assert failure_of(panel) is None, "it exists already: nothing to ask"


def test_the_first_reading_is_in_what_is_shown(cloud: Cloud) -> None:
    panel = Counting(cloud)
    bundle = panel._repr_mimebundle_()
    roles = f"{len(list(cloud.roles))} roles"
    assert roles in bundle["text/html"]
    assert roles in bundle["text/plain"]
    assert "SANDBOX" in bundle["text/html"]
    assert bundle["application/vnd.jupyter.widget-view+json"]["model_id"] == panel.box.model_id
    assert repr(panel) == bundle["text/plain"]
    panel.close()


def test_a_reading_that_is_refused_is_shown(world: Any, made: Made) -> None:
    import ramrole_nb

    class Policies(Panel):
        TITLE = "Policies"

        def _read(self) -> object:
            return self.cloud.context.calls.ram("DeleteRole", role_name="no-such")

    panel = made(Policies(ramrole_nb.connect(world, user="viewer")))
    assert "NoPermission" in panel.text()
    assert "request id" in panel.html()


def test_one_that_follows_reads_anew_after_a_call_made_elsewhere(cloud: Cloud, made: Made) -> None:
    class Following(Counting):
        FOLLOWS = True

    panel = made(Following(cloud))
    before = panel._picture
    cloud.roles.create("Elsewhere")
    for _ in range(300):
        if panel._picture != before:
            break
        threading.Event().wait(0.01)
    assert panel._picture != before
    seen = len(cloud.wire)
    threading.Event().wait(0.5)
    assert len(cloud.wire) == seen, "its own reading does not make it read again"


def test_closing_leaves_nothing(cloud: Cloud) -> None:
    panel = Counting(cloud)
    panel.wait()
    panel.count()
    assert panel.inside.wait(5)
    parts = [*everything(panel.box), panel.box.layout]
    panel.close()
    panel.wait(5)
    assert all(widget.comm is None for widget in parts)
    panel.close()
    with pytest.raises(InputError, match="closed"):
        panel.act("anything", lambda _: None)


def test_panels_made_and_closed_pile_up_nothing(cloud: Cloud) -> None:
    from ipywidgets.widgets.widget import _instances

    def make() -> None:
        panel = Counting(cloud)
        panel.go.set()
        panel.count()
        panel.wait().close()

    make()
    threads, instances = threading.active_count(), len(_instances)
    for _ in range(50):
        make()
    assert threads_settle(threads)
    assert len(_instances) == instances
