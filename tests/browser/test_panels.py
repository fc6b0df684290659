"""Every panel in a real JupyterLab: names, keyboard, themes, widths, failures, and a kernel that stays free."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from ramrole_nb.sandbox import process
from tests.browser.driver import Bench, open_bench, press
from tests.browser.looking import axe_violations, contrast, nameless

if TYPE_CHECKING:
    from playwright.sync_api import Browser

    from tests.browser.conftest import Lab

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]

SET_UP = """import ramrole_nb as rr
cloud = rr.connect().reset("default")
role = cloud.roles.create("EcsRamRole")
role.grant("AliyunOSSReadOnlyAccess")
cloud.instances["web-1"].attach(role)
lesson = rr.lesson(cloud, "01")
lesson.prepare()"""


@dataclass(frozen=True)
class Case:
    """A panel: how it is made; its buttons that ask a service (clicked under a fault); what its text must say."""

    name: str
    source: str
    says: str
    asking: tuple[str, ...] = ()
    others: tuple[str, ...] = field(default=())


CASES = (
    Case("World", "rr.widgets.WorldPanel(cloud)", "EcsRamRole"),
    Case(
        "Role",
        'rr.widgets.RolePanel(cloud, "EcsRamRole", bucket="sandbox-photos")',
        "AliyunOSSReadOnlyAccess",
        ("Grant policy", "Revoke policy"),
    ),
    Case(
        "Instances",
        'rr.widgets.InstancesPanel(cloud, "EcsRamRole", ["web-2"])',
        "web-2",
        ("Attach role", "Security hardening mode only"),
    ),
    Case("Credentials", "rr.widgets.CredentialsPanel(cloud)", "web-1", ("Who am I there?",)),
    Case(
        "Objects",
        'rr.widgets.ObjectsPanel(cloud, "sandbox-photos", "web-1", "testfolder/")',
        "example.png",
    ),
    Case("Wire", "rr.widgets.WirePanel(cloud)", "CreateRole"),
    Case("Code", "rr.widgets.CodePanel(cloud)", "attach"),
    Case("Exercise 01.q1", "rr.widgets.ExercisePanel(lesson.q1)", "photo-reader"),
    Case(
        "Policy lab",
        'rr.widgets.PolicyPanel(cloud, "EcsRamRole", bucket="sandbox-photos")',
        "✓ allowed",
        ("Decide",),
    ),
    Case("Start here", "rr.widgets.StartPanel(cloud)", "EcsRamRole"),
    Case(
        "Doctor",
        'rr.widgets.DoctorPanel(cloud, "web-1", "oss://sandbox-photos/testfolder/example.png")',
        "Nothing was diagnosed yet",
    ),
    Case("Gym", "rr.widgets.GymPanel(cloud)", "Surprise me"),
    Case("Clean up", "rr.widgets.CleanUpPanel(cloud)", "EcsRamRole"),
)


@pytest.fixture(scope="module")
def bench(browser: Browser, lab: Lab) -> Iterator[Bench]:
    """All panels in one notebook."""
    opened = open_bench(browser, lab, "panels", [SET_UP, *(case.source for case in CASES)])
    yield opened
    opened.opened.close()


def place_of(case: Case) -> int:
    return CASES.index(case) + 1


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_it_shows_something_and_every_control_has_a_name(bench: Bench, case: Case) -> None:
    area = bench.area(place_of(case))
    panel = area.get_by_role("group", name=f"{case.name} panel")
    for said in ("SANDBOX", case.says):  # the frame is there before what it holds
        expect(panel.first).to_contain_text(said, use_inner_text=True)
    assert nameless(area) == []
    unguarded = area.locator("button:not([data-lm-suppress-shortcuts])").count()
    assert unguarded == 0, "d d on a focused button would delete the cell"
    assert bench.opened.trouble == []


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_d_d_on_a_button_deletes_no_cell(bench: Bench, case: Case) -> None:
    before = bench.page.locator(".jp-Notebook .jp-Cell").count()
    button = bench.area(place_of(case)).get_by_role("button").first
    button.focus()
    bench.page.keyboard.press("d")
    bench.page.keyboard.press("d")
    bench.page.wait_for_timeout(300)
    assert bench.page.locator(".jp-Notebook .jp-Cell").count() == before


@pytest.mark.parametrize("theme", ["Light", "Dark"])
def test_both_themes_wide_and_narrow(bench: Bench, theme: str, artefacts: Path) -> None:
    page = bench.page
    bench.opened.theme(theme)
    try:
        for width in (1400, 700):
            page.set_viewport_size({"width": width, "height": 2600})
            page.wait_for_timeout(600)
            for number, case in enumerate(CASES, 1):
                area = bench.area(number)
                page.wait_for_timeout(150)
                area.screenshot(
                    path=artefacts
                    / f"panel-{case.name.lower().replace(' ', '-')}-{theme.lower()}-{width}.png"
                )
                found = contrast(area, ".rr-panel *")
                assert found["count"] > 5, case.name
                assert found["poor"] == [], case.name
                wide = area.evaluate(
                    "a => [...a.querySelectorAll('.rr-panel')]"
                    ".filter(n => n.getBoundingClientRect().right > innerWidth + 1).map(n => n.className)"
                )
                assert wide == [], f"{case.name} is wider than the window"
                bars = area.evaluate(
                    "a => [...a.querySelectorAll('.rr-panel, .jp-OutputArea-output')]"
                    ".filter(n => n.scrollWidth > n.clientWidth + 1 && n.clientWidth)"
                    ".map(n => [n.className, n.scrollWidth, n.clientWidth])"
                )
                assert bars == [], f"{case.name} has a scroll bar of its own"
        assert axe_violations(page) == []
    finally:
        page.set_viewport_size({"width": 1400, "height": 2600})
        bench.opened.theme("Light")
    assert bench.opened.trouble == []


@pytest.mark.parametrize(
    ("case", "button"),
    [(case, button) for case in CASES for button in case.asking],
    ids=lambda value: value.name if isinstance(value, Case) else value,
)
def test_a_failure_is_shown_where_it_was_clicked(bench: Bench, lab: Lab, case: Case, button: str) -> None:
    area = bench.area(place_of(case))
    line = process.running(lab.state)
    assert line is not None
    admin = process.admin_of(line)
    admin.fault("openapi-500")
    try:
        assert "Failed" in press(area, button)
        text = area.inner_text()
    finally:
        admin.fault("openapi-500", on=False)
    assert re.search(r"InternalError", text)
    assert re.search(r"request id\s*[0-9A-F-]{20,}", text), "the request id, for the vendor's support"
    assert "next step" in text
    assert bench.opened.trouble == []


def test_by_keyboard_alone(bench: Bench) -> None:
    """Tab to the field, type a name, Tab to the button, Space: the role is there."""
    case = next(case for case in CASES if case.name == "Role")
    area, page = bench.area(place_of(case)), bench.page
    name = area.get_by_role("textbox", name="Role name")
    name.focus()
    page.keyboard.press("Control+a")
    page.keyboard.type("TypedRole")
    # A click overtakes letters that ipywidgets still holds back, so wait until the kernel has them.
    expect(area).to_contain_text("No role of this name yet", use_inner_text=True)
    for _ in range(12):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.textContent") == "Create role":
            break
    page.keyboard.press("Space")
    area.get_by_role("status").filter(has_text="role TypedRole is there").wait_for(timeout=30_000)
    for _ in range(100):
        if page.evaluate("document.activeElement.textContent") == "Create role":
            break
        page.wait_for_timeout(50)
    assert page.evaluate("document.activeElement.textContent") == "Create role", "the focus is where it was"
    assert bench.ask("'TypedRole' in cloud.roles")


def test_a_click_leaves_the_kernel_free(bench: Bench, artefacts: Path) -> None:
    """Another task of the kernel goes on while a click's work runs; how smoothly is written down."""
    bench.run(
        "import asyncio, time\ngaps = []\n"
        "async def beat():\n    last = time.perf_counter()\n    while True:\n        await asyncio.sleep(0.005)\n"
        "        now = time.perf_counter(); gaps.append(now - last); last = now\n"
        "beating = asyncio.ensure_future(beat())"
    )
    case = next(case for case in CASES if case.name == "Instances")
    area = bench.area(place_of(case))
    bench.run("gaps.clear()")
    bench.page.wait_for_timeout(300)
    area.get_by_role("button", name="Attach role", exact=True).click()
    area.get_by_role("status").filter(has_text=re.compile("Done|Failed")).first.wait_for(timeout=30_000)
    told = bench.ask("[len(gaps), max(gaps[3:])]")
    bench.run("beating.cancel()")
    figures = f"ticks during a click: {told[0]}, longest gap {told[1] * 1000:.0f} ms"
    (artefacts / "kernel-gaps.txt").write_text(figures, "utf-8")
    assert told[0] > 20, "the task went on"


def test_running_a_cell_again_piles_up_nothing(bench: Bench) -> None:
    case = next(case for case in CASES if case.name == "World")
    number = place_of(case) + 1
    count = (
        "[threading.active_count(), len(os.listdir('/proc/self/fd')), "
        "len(__import__('ipywidgets').widgets.widget._instances), "
        "sum(isinstance(one, __import__('ipywidgets').Widget) for one in gc.get_objects())]"
    )
    bench.run("import gc, os, threading")
    for _ in range(3):
        bench.opened.run(number)
    bench.page.wait_for_timeout(500)
    bench.run("import gc; gc.collect()")
    before = bench.ask(count)
    for _ in range(10):
        bench.opened.run(number)
    bench.page.wait_for_timeout(1_000)
    for _ in range(20):  # ipykernel closes the pipes of ended threads every ten seconds
        bench.run("import gc; gc.collect()")
        after = bench.ask(count)
        if after[1] <= before[1] + 2:
            break
        bench.page.wait_for_timeout(1_000)
    assert after[0] <= before[0] + 1, "threads"
    assert after[1] <= before[1] + 2, "open files and sockets"
    assert after[2] == before[2], "widgets"
    assert after[3] <= before[3], "closed widgets that something still holds"


def test_what_is_saved_holds_no_trouble(bench: Bench, lab: Lab, artefacts: Path) -> None:
    bench.opened.save()
    saved = (lab.folder / "panels.ipynb").read_text("utf-8")
    (artefacts / "panels.ipynb").write_text(saved, "utf-8")  # searched for secrets at the end of the run
    assert "application/vnd.jupyter.widget-view+json" in saved
    assert "text/html" in saved
    assert bench.opened.trouble == []
