"""Every button of every panel, forced to fail in a real JupyterLab: the panel says what, why and what to do next."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from tests.browser.driver import Bench, open_bench, press

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Locator

    from tests.browser.conftest import Lab

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]

# A sandbox of the kernel's own: it can be stopped under the panels.
SET_UP = """
import os, tempfile, time
import ramrole_nb as rr
world = rr.Sandbox(tempfile.mkdtemp()).start()
cloud = rr.connect(world)
cloud.roles.create("OtherRole")
cloud.roles.create("EcsRamRole").grant("AliyunOSSReadOnlyAccess")
cloud.instances.attach("EcsRamRole", ["web-1", "web-2", "hardened-1"])
many = cloud.buckets["sandbox-backup"].client()  # oss2's own: what it writes is in no ledger
for number in range(1_001):
    many.put_object(f"{number:04}", b"")
lesson = rr.lesson(cloud, "01")
panels = {}

def on(name, panel):
    # Kept by name, with what it folds away shown.
    panels[name] = panel.wait()
    left = [panel.box]
    while left:
        widget = left.pop()
        left += getattr(widget, "children", ())
        if getattr(widget, "description", "").startswith("Show ") and widget not in (*panel._buttons, panel._code_toggle):
            widget.click()
    return panel

def force(how, on):
    if how == "gone":
        world.stop() if on else world.start()
    elif how:
        world.fault(how, on)

def told(name):
    panel = panels[name]
    error = panel.model.error
    jobs = [job.exception for job in (panel._job, panel._looking) if job is not None]
    return [type(error).__name__ if error else "", panel.model.status, not error or error in jobs or not error.__traceback__
            or any(frame.name == "clicked" for frame in __import__("traceback").extract_tb(error.__traceback__))]
"""

PANELS = {
    "World": "rr.widgets.WorldPanel(cloud)",
    "Role": 'rr.widgets.RolePanel(cloud, "EcsRamRole", bucket="sandbox-photos")',
    "Instances": 'rr.widgets.InstancesPanel(cloud, "EcsRamRole", ["web-1"])',
    "Credentials": 'rr.widgets.CredentialsPanel(cloud, "web-2")',
    "Objects": 'rr.widgets.ObjectsPanel(cloud, "sandbox-backup")',
    "On the wire": "rr.widgets.WirePanel(cloud)",
    "Exercise 01.q1": "rr.widgets.ExercisePanel(lesson.q1)",
    "Lesson 01": "rr.widgets.LessonPanel(lesson)",
    "Policy lab": 'rr.widgets.PolicyPanel(cloud, "EcsRamRole", bucket="sandbox-photos")',
    "Start here": 'rr.widgets.StartPanel(cloud, instance="hardened-1")',
    "Doctor": 'rr.widgets.DoctorPanel(cloud, "web-1", "oss://sandbox-photos/testfolder/example.png")',
    "Gym": 'rr.widgets.GymPanel(cloud, case="night-shift")',
    "Clean up": "rr.widgets.CleanUpPanel(cloud)",
    "Code": "rr.widgets.CodePanel(cloud)",
}

REQUEST_ID = r"\b(?:[0-9A-F]{8}(?:-[0-9A-F]{4}){3}-[0-9A-F]{12}|[0-9A-F]{24})\b"


@dataclass(frozen=True)
class Forced:
    """A button, made to fail: `how` a fault of the sandbox, "gone" (it has ended), or empty (bad input, of `before`).

    `says` must stand in the panel; `service`: a service refused, so its request id must stand there too; `answer`: the
    panel asks first. `p` is the panel in `before` and `after`.
    """

    panel: str
    button: str
    how: str
    says: str = "InternalError"
    before: str = ""
    after: str = ""
    service: bool = True
    answer: bool = False


def local(panel: str, button: str, says: str, before: str = "", after: str = "", how: str = "") -> Forced:
    """A failure that no service answered: there is no request id."""
    return Forced(panel, button, how, says, before, after, service=False)


API, OSS, METADATA, GONE = "openapi-500", "oss-500", "imds-disabled", "gone"
ENDED = "ramrole sandbox start"
OPEN_CASE = "p.gym.case or p.start().wait(); p.refresh().wait()"
STOPPED_ELSEWHERE = f"{OPEN_CASE}; time.sleep(.3); p.gym.stop()"

FORCED = (
    Forced("World", "Look again", API),
    Forced("World", "Put the world back", GONE, ENDED, service=False, answer=True),
    Forced("Role", "Create role", API, before="p.name.value = 'NewRole'", after="p.name.value = 'EcsRamRole'"),
    Forced("Role", "Save trust policy", API),
    Forced("Role", "Grant policy", API),
    Forced("Role", "Revoke policy", API),
    local(
        "Role", "Write the document", "Not_A_Bucket", "p.bucket.value = 'Not_A_Bucket'",
        "p.bucket.value = 'sandbox-photos'; p.write_document()",
    ),
    Forced("Role", "Grant document", API),
    Forced("Role", "Look again", API),
    Forced("Instances", "Look again", API),
    Forced("Instances", "Attach role", API, before="p.select('windows-1')"),
    Forced("Instances", "Replace role", API, before="p.select('web-1'); p.role.value = 'OtherRole'"),
    Forced("Instances", "Detach role", API),
    Forced("Instances", "Security hardening mode only", API),
    Forced("Instances", "Both modes", API, before="p.select('hardened-1')"),
    local("Credentials", "Get credential", "403", how=METADATA),
    local("Credentials", "Refresh", "403", how=METADATA),
    Forced("Credentials", "Who am I there?", API),
    local("Credentials", "Expire now", ENDED, how=GONE),
    local("Credentials", "Credentials tool", "403", how=METADATA),
    local("Credentials", "Metadata service", "403", how=METADATA),
    local(
        "Credentials", "Alibaba Cloud CLI", "is no role's name", "p.role.value = '../web'", "p.role.value = ''"
    ),
    local("Credentials", "Compare the modes", ENDED, how=GONE),
    local("Credentials", "Run all three methods", "403", how=METADATA),
    local("Credentials", "Show the trap", "403", how=METADATA),
    Forced("Objects", "Show 1,000 more", OSS),
    Forced("Objects", "List", OSS),
    Forced("Objects", "sandbox-backup", OSS),  # the first step of the path to where one is
    Forced("Objects", "Look again", OSS),
    Forced("Objects", "Download", OSS, before="p.key.value = '0001'"),
    local("Objects", "Open the chosen folder", "No folder is chosen"),
    local("On the wire", "Look again", ENDED, how=GONE),
    local("On the wire", "Clear exchanges", ENDED, how=GONE),
    Forced("Exercise 01.q1", "Check", API),
    Forced("Exercise 01.q1", "Do it for me", API, before="p.solution().wait()"),
    Forced("Lesson 01", "Prepare", API),
    Forced("Lesson 01", "Start over", API),
    Forced("Policy lab", "Decide", API),
    local("Policy lab", "Why not?", "No cell is chosen"),
    local("Policy lab", "Smallest change", "No cell is chosen"),
    Forced("Policy lab", "Compare with the wire", API),
    local("Policy lab", "Check the policies", "There is no policy to check", "p.role.value = 'OtherRole'; p.wait()"),
    local("Policy lab", "Smallest policy for the wire", "No call of OtherRole"),
    Forced("Start here", "1. Create the role", API),
    Forced("Start here", "2. Let it read OSS", API),
    Forced("Start here", "3. Attach it to hardened-1", API),
    local("Start here", "4. Fetch its credential", "403", how=METADATA),
    Forced("Start here", "5. Download the picture", OSS),
    Forced("Start here", "6. Clean up", API),
    Forced("Doctor", "Diagnose", API),
    Forced("Gym", "Start", API),
    Forced("Gym", "Surprise me", API),
    local("Gym", "Try again", ENDED, OPEN_CASE, how=GONE),
    Forced("Gym", "Check", OSS),
    Forced("Gym", "Ask the doctor", API),
    local("Gym", "Change it", "Did you mean 'key'", "p.change.value = 'kye=x'"),
    local("Gym", "Do it for me", "You have not looked at the solution yet"),
    Forced("Gym", "Give up", API),
    local("Gym", "Hint", "No case is open", STOPPED_ELSEWHERE),
    local("Gym", "Show solution", "No case is open", STOPPED_ELSEWHERE),
    Forced("Gym", "Stop", API, before=OPEN_CASE, after="p.stop().wait()"),
    Forced("Clean up", "Clean up", API, answer=True),
    local(
        "Clean up", "Look again", "ledger",
        "at = world.state / 'ledger.jsonl'; os.rename(at, world.state / 'aside'); os.mkdir(at)",
        "os.rmdir(at); os.rename(world.state / 'aside', at)",
    ),
)  # fmt: skip

#: They show what came with the package: there is nothing that could refuse.
NOTHING_TO_FAIL = {("Exercise 01.q1", "Hint"), ("Exercise 01.q1", "Show solution")}


@pytest.fixture(scope="module")
def bench(browser: Browser, lab: Lab) -> Iterator[Bench]:
    """All panels in one notebook, everything that is folded away opened."""
    sources = [SET_UP, *(f'on("{name}", {source})' for name, source in PANELS.items())]
    opened = open_bench(browser, lab, "failures", sources)
    for name in PANELS:
        group = opened.area(place_of(name)).get_by_role("group", name=re.compile(rf"{name}.* panel", re.I))
        group.first.wait_for(timeout=30_000)
    yield opened
    opened.run("world.stop()")
    opened.opened.close()


def place_of(panel: str) -> int:
    return list(PANELS).index(panel) + 1


def test_every_button_of_every_panel_is_here(bench: Bench) -> None:
    """A button that a panel gets tomorrow must be forced to fail, too."""
    found = bench.ask("[[name, b.description] for name, p in panels.items() for b in p._buttons]")
    # A count stands in some names: "Clean up (12)".
    there = {(name, re.sub(r" \(.*\)$", "", text)) for name, text in found}
    assert there == {(one.panel, one.button) for one in FORCED} | NOTHING_TO_FAIL


@pytest.mark.parametrize("case", FORCED, ids=lambda case: f"{case.panel}-{case.button}")
def test_a_forced_failure_is_shown_where_it_was_clicked(bench: Bench, case: Forced) -> None:
    area = bench.area(place_of(case.panel))
    bench.run(
        f"p = panels[{case.panel!r}].wait()\n{case.before}\ntime.sleep(0.3)\np.wait()\n"
        f"for b in p._buttons:\n    if b.description.startswith({case.button!r}): name = b.description\n"
        f"p.model.error = None\nforce({case.how!r}, True)"
    )
    try:
        said = clicked(area, bench.run("print(name)"), answer=case.answer)
        expect(area).to_contain_text(case.says, use_inner_text=True)
        text = area.inner_text()
    finally:
        kind, status, by_the_click = bench.ask(f"told({case.panel!r})")
        bench.run(f"force({case.how!r}, False)\n{case.after}\np.wait()")
    assert by_the_click, (kind, status)
    assert "Failed" in said or not kind, said
    assert re.search(r"next step|what to do|fix \(", text, re.IGNORECASE), text[-1500:]
    if case.service:
        assert re.search("request.id", text), text[-1500:]
        assert re.search(REQUEST_ID, text), text[-1500:]
    assert bench.opened.trouble == []


def clicked(area: Locator, name: str, *, answer: bool) -> str:
    if not answer:
        return press(area, name)
    area.get_by_role("button", name=name, exact=True).first.click()
    area.get_by_role("button", name="Go ahead").first.wait_for(timeout=30_000)
    return press(area, "Go ahead")
