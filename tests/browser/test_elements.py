"""The elements in a real JupyterLab: roles and names, keyboard, what reaches the kernel, themes, contrast."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import nbformat
import pytest

from tests.browser.driver import choose_theme, outside
from tests.browser.looking import contrast

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Locator, Page

    from tests.browser.conftest import Lab

pytestmark = [pytest.mark.browser, pytest.mark.timeout(400)]

THEMES = ("JupyterLab Light", "JupyterLab Dark")

SHOW = """
import datetime, time
import ipywidgets as w
from ramrole_nb.widgets.elements import CodeBlock, Countdown, DataTable, ProgressBar, StatusLine, Tabs

status = StatusLine(label="Roles panel")
progress = ProgressBar(label="Upload", value=3.2, maximum=12, caption="3.2 of 12 MB, 5 MB/s", active=True)
waiting = ProgressBar(label="Waiting", active=True)
countdown = Countdown()
code = CodeBlock(code="print('<b>1</b>')\\n" + "x = " + "1 + " * 80 + "1", language="Python", title="The same in code")
tabs = Tabs()
FORMS = {"Python": "import oss2", "curl": "curl -s http://127.0.0.1", "Java": "class A {}"}
tabs.show(FORMS, notes={"curl": "On the instance."})
started = datetime.datetime(2026, 1, 2, 3, 4, 5, tzinfo=datetime.timezone.utc)
COLUMNS = [
    {"key": "name", "title": "Name", "kind": "text"},
    {"key": "cpu", "title": "vCPU", "kind": "number"},
    {"key": "at", "title": "Created", "kind": "time"},
    {"key": "role", "title": "Role", "kind": "text"},
]
def rows(count):
    return [
        {"id": f"i-{n}", "name": f"web-{n}", "cpu": n * 7 % 50 or None, "at": started + datetime.timedelta(hours=n),
         "role": "<i>EcsRole</i>" if n % 2 else "Étranger"} for n in range(1, count + 1)
    ]
table = DataTable(columns=COLUMNS, rows=rows(12), selectable="many", caption="Instances")
one = DataTable(columns=COLUMNS[:2], rows=rows(3), selectable="one", caption="One instance")
nothing = DataTable(columns=COLUMNS[:2], caption="No instance")
text = w.Text(description="Role name")
bare = w.Text(tooltip="Bucket name")
beside = w.Dropdown(options=["a", "b"])
icon = w.Button(icon="refresh", tooltip="Refresh the list")
plain = w.Button(description="Attach")
details = w.HTML("<details><summary>More</summary>text</details>")
slider = w.IntSlider(description="Hours")
toggle = w.ToggleButton(description="Hardened", value=True)
grow = w.VBox([])
panel = w.VBox([
    w.HBox([plain, icon, toggle]), text, bare, w.HBox([w.Label("Mode"), beside]), slider, details, grow,
    status, progress, waiting, countdown, table, one, nothing, code, tabs,
])
panel.add_class("rr-panel")
panel
"""


class Shown:
    """The open notebook: its first cell is for us to run code in, its second shows the elements."""

    def __init__(self, page: Page, trouble: list[str]) -> None:
        self.page = page
        self.trouble = trouble
        self.area = page.locator(".jp-Cell").nth(1).locator(".jp-OutputArea-output")
        self._count = 0

    def run(self, code: str) -> str:
        """Run code in the kernel; return what it printed."""
        self._count += 1
        cell = self.page.locator(".jp-Cell").nth(0)
        cell.locator(".cm-content").click()
        self.page.keyboard.press("Control+a")
        self.page.keyboard.insert_text(f"{code}\nprint('ran', {self._count})")
        self.page.keyboard.press("Control+Enter")
        output = cell.locator(".jp-OutputArea-output")
        output.filter(has_text=re.compile(rf"ran {self._count}\s*$")).wait_for(timeout=30_000)
        return output.inner_text().rsplit("ran", 1)[0].strip()

    def ask(self, expression: str) -> Any:
        return json.loads(self.run(f"import json; print(json.dumps({expression}))"))

    def table(self, name: str) -> Locator:
        return self.area.get_by_role("table", name=name, exact=True)

    def element(self, name: str) -> Locator:
        """The whole DataTable around the table of that name."""
        return self.area.locator(".rr-table").filter(
            has=self.page.get_by_role("table", name=name, exact=True)
        )

    def column(self, table: str, number: int) -> list[str]:
        return self.table(table).locator(f"tbody tr > :nth-child({number})").all_inner_texts()


def notebook(folder: Path) -> str:
    book = nbformat.v4.new_notebook()  # type: ignore[no-untyped-call]
    book.cells = [nbformat.v4.new_code_cell(source) for source in ("print('ran', 0)", SHOW.strip())]  # type: ignore[no-untyped-call]
    book.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(book, folder / "elements.ipynb")  # type: ignore[no-untyped-call]
    return "elements.ipynb"


@pytest.fixture(scope="module")
def _open(browser: Browser, lab: Lab) -> Iterator[Shown]:
    trouble: list[str] = []
    name = notebook(lab.folder)
    address = urlsplit(lab.url)
    context = browser.new_context(viewport={"width": 1400, "height": 2600})
    page = context.new_page()
    page.on("pageerror", lambda error: trouble.append(f"page error: {error}"))
    page.on("request", lambda request: outside(request.url, trouble))

    def said(message: Any) -> None:
        # JupyterLab asks for some files without needing them.
        if message.type == "error" and "Failed to load resource" not in message.text:
            trouble.append(f"console: {message.text}")

    page.on("console", said)
    page.goto(f"{address.scheme}://{address.netloc}/lab/tree/{name}?reset&{address.query}")
    page.wait_for_selector(".jp-Notebook .jp-Cell", timeout=60_000)
    # Before the kernel answers, JupyterLab drops what is asked of it.
    page.locator(".jp-StatusBar-TextItem", has_text="| Idle").first.wait_for(
        timeout=120_000, state="attached"
    )
    page.locator(".lm-MenuBar-item", has_text="Run").click()
    page.locator(".lm-Menu-item", has_text="Run All Cells").first.click()
    page.locator(".rr-tablist [role=tab]").first.wait_for(timeout=60_000)
    yield Shown(page, trouble)
    context.close()


@pytest.fixture
def shown(_open: Shown) -> Iterator[Shown]:
    """The notebook, and afterwards: nothing went wrong in the page."""
    _open.trouble.clear()
    yield _open
    assert _open.trouble == []


def test_the_panel_is_a_named_group_and_its_controls_have_names(shown: Shown) -> None:
    panel = shown.area.get_by_role("group", name="Roles panel")
    for role, name in [
        ("button", "Attach"),
        ("button", "Refresh the list"),  # an icon alone: its glyph is no name
        ("button", "Hardened"),
        ("textbox", "Role name"),
        ("textbox", "Bucket name"),
        ("combobox", "Mode"),
        ("slider", "Hours"),
        ("textbox", "Hours, value"),
    ]:
        assert panel.get_by_role(role, name=name, exact=True).count() == 1, (role, name)  # type: ignore[arg-type]
    assert panel.get_by_role("button", name="Hardened", pressed=True).count() == 1
    shown.run("toggle.value = False; bare.tooltip = 'Object name'; status.label = 'Renamed'")
    renamed = shown.area.get_by_role("group", name="Renamed")
    renamed.get_by_role("button", name="Hardened", pressed=False).wait_for()
    renamed.get_by_role("textbox", name="Object name").wait_for()
    shown.run("bare.tooltip = 'Bucket name'; status.label = 'Roles panel'")
    panel.get_by_role("textbox", name="Bucket name").wait_for()


def test_no_key_on_a_control_is_a_command(shown: Shown) -> None:
    page = shown.page
    shown.run("grow.children = [w.Button(description='Late')]")  # came after the keeper did
    shown.area.get_by_role("button", name="Late").wait_for()
    loose = """nodes => nodes.flatMap(area => [...area.querySelectorAll(
        'button, input, select, textarea, summary, a[href], [tabindex], [contenteditable=true]')])
        .filter(node => node.dataset.lmSuppressShortcuts !== 'true').map(node => node.outerHTML.slice(0, 200))"""
    assert shown.area.evaluate_all(loose) == []
    targets = [
        shown.area.get_by_role("button", name="Attach"),
        shown.area.get_by_role("button", name="Late"),
        shown.area.locator("summary"),
        shown.area.get_by_role("button", name="Created").first,
        shown.table("Instances").get_by_role("checkbox", name="select web-3"),
        shown.area.locator(".rr-code-text").first,
        shown.area.get_by_role("tab", name="Python"),
    ]
    for target in targets:
        target.focus()
        page.keyboard.press("d")
        page.keyboard.press("d")
    page.wait_for_timeout(300)
    assert page.locator(".jp-Cell").count() == 2


def test_deleting_a_cell_would_have_worked(shown: Shown) -> None:
    """The control experiment: without the mark, the same keys do delete the cell."""
    page = shown.page
    button = shown.area.get_by_role("button", name="Attach")
    button.evaluate("node => node.removeAttribute('data-lm-suppress-shortcuts')")
    button.focus()
    page.keyboard.press("d")
    page.keyboard.press("d")
    page.wait_for_function("document.querySelectorAll('.jp-Cell').length < 2")
    page.locator(".lm-MenuBar-item", has_text="Edit").click()
    page.locator(".lm-Menu-item", has_text="Undo Cell Operation").click()
    page.wait_for_function("document.querySelectorAll('.jp-Cell').length == 2")
    # The cell came back without its output.
    page.locator(".lm-MenuBar-item", has_text="Run").click()
    page.locator(".lm-Menu-item", has_text="Run All Cells").first.click()
    page.locator(".rr-tablist [role=tab]").first.wait_for(timeout=60_000)


def test_the_status_line_is_one_node_whose_text_changes(shown: Shown) -> None:
    shown.run("status.say('attaching to <b>web-1</b>', 'working')")
    line = shown.area.locator(".rr-status-line")
    line.filter(has_text="… Working: attaching to <b>web-1</b>").wait_for()
    assert (line.get_attribute("role"), line.get_attribute("aria-live")) == ("status", "polite")
    line.evaluate("node => { node.ours = true }")
    for kind, words in [("done", "✓ Done: x"), ("failed", "✕ Failed: x"), ("cancelled", "⊘ Cancelled: x")]:
        assert shown.run(f"status.say('x', {kind!r}); print(status.line)") == words
        line.filter(has_text=words).wait_for()
    assert line.evaluate("node => node.ours")
    shown.run("status.say('')")
    shown.page.wait_for_function("document.querySelector('.rr-status-line').textContent === ''")


def test_progress_has_role_value_and_caption(shown: Shown) -> None:
    bar = shown.area.get_by_role("progressbar", name="Upload")
    assert bar.evaluate("bar => [bar.value, bar.max, bar.getAttribute('aria-valuetext')]") == [
        3.2,
        12,
        "3.2 of 12 MB, 5 MB/s",
    ]
    unknown = shown.area.get_by_role("progressbar", name="Waiting")
    assert unknown.evaluate("bar => bar.position") == -1
    shown.run("progress.value = 12; waiting.active = False")
    shown.page.wait_for_function("document.querySelector('progress').position === 1")
    unknown.wait_for(state="hidden")
    shown.run("waiting.active = True")
    unknown.wait_for()


def test_sorting_by_keyboard_reaches_the_kernel(shown: Shown) -> None:
    page = shown.page
    shown.run("table.rows = rows(12); table.sort = []; table.filter = ''")
    header = shown.table("Instances").get_by_role("columnheader", name="vCPU")
    assert header.get_attribute("aria-sort") is None
    header.get_by_role("button").focus()
    page.keyboard.press("Enter")
    assert header.get_attribute("aria-sort") == "ascending"
    assert header.get_by_role("button").evaluate("node => node === document.activeElement")
    assert shown.ask("table.sort") == ["cpu", "asc"]
    python = shown.ask("[r['name'] for r in table.visible_rows()]")
    assert shown.column("Instances", 2) == python
    header.get_by_role("button").focus()
    page.keyboard.press("Space")
    assert header.get_attribute("aria-sort") == "descending"
    assert shown.ask("[table.sort, [r['name'] for r in table.visible_rows()]]") == [
        ["cpu", "desc"],
        shown.column("Instances", 2),
    ]
    assert shown.column("Instances", 3)[-1] != "", "no value in these rows is empty"


def test_both_sides_sort_alike(shown: Shown) -> None:
    """What names, numbers and times can be made of, in one order here and there, both ways."""
    names = "web-10 web-2 Web-2 web_2 a.b a-b a/b a1 a01 ab É e f ÿ ~x (x) x $1 +1 <1 A b B ss ß"
    words = [*names.split(), "", "web 2", "1", "10", "9", "10.5", "cn-hangzhou-h", "cn-hangzhou"]
    times = ["2026-01-01T00:00Z", "2026-01-01T02:00:00+03:00", "2026-01-01 00:00:01", 1767225599]
    times += ["2026-01-01", None, "?", "2025-12-31T23:59:59.5Z"]
    numbers = [3, -1, 2.5, 1.0, 10, 0, None, True, "x"]
    shown.run(
        f"words, times, numbers = {words!r}, {times!r}, {numbers!r}\n"
        "table.rows = [{'id': str(n), 'name': words[n], 'cpu': numbers[n % len(numbers)], "
        "'at': times[n % len(times)], 'role': str(n)} for n in range(len(words))]"
    )
    try:
        for key in ("name", "cpu", "at"):
            for direction in ("asc", "desc"):
                shown.run(f"table.sort = [{key!r}, {direction!r}]")
                shown.page.wait_for_timeout(100)
                python = shown.ask("[table.cells(r) for r in table.visible_rows()]")
                lines = shown.table("Instances").locator("tbody tr")
                browser = lines.evaluate_all(
                    "rows => rows.map(row => [...row.children].slice(1).map(cell => cell.textContent))"
                )
                assert browser == python, (key, direction)
    finally:
        shown.run("table.rows = rows(12); table.sort = []")


def test_filtering_and_selecting_reach_the_kernel(shown: Shown) -> None:
    page = shown.page
    shown.run("table.rows = rows(12); table.sort = []; table.filter = ''; table.selected = []")
    element, table = shown.element("Instances"), shown.table("Instances")
    status = element.get_by_role("status")
    search = element.get_by_role("searchbox", name="Filter Instances")
    search.click()
    page.keyboard.type("web-1 étr")  # web-10, web-12
    assert status.inner_text() == "2 of 12 shown, 0 selected"
    search.press("Tab")
    assert page.evaluate("document.activeElement.getAttribute('aria-label')") == "select all shown"
    page.keyboard.press("Space")
    assert status.inner_text() == "2 of 12 shown, 2 selected"
    assert shown.ask("[table.filter, table.selected]") == ["web-1 étr", ["i-10", "i-12"]]
    assert table.locator("tbody tr[aria-selected=true]").count() == 2

    search.fill("web-3")
    assert status.inner_text() == "1 of 12 shown, 2 selected (2 of them not shown)"
    table.get_by_role("checkbox", name="select web-3").focus()
    page.keyboard.press("Space")
    assert shown.ask("table.selected") == ["i-3", "i-10", "i-12"]

    search.fill("")
    everything = table.get_by_role("checkbox", name="select all shown")
    assert everything.evaluate("box => box.indeterminate")
    shown.run("table.rows = [r for r in rows(12) if r['id'] != 'i-10']")  # a chosen row vanishes
    status.filter(has_text="11 of 11 shown, 2 selected").wait_for()
    assert shown.ask("[r['name'] for r in table.selected_rows()]") == ["web-3", "web-12"]

    search.fill("nothing like it")
    table.get_by_text("No row holds “nothing like it”. Clear the filter to see all 11.").wait_for()
    search.fill("")
    element.get_by_role("button", name="Clear selection").click()
    assert everything.evaluate("node => node === document.activeElement"), (
        "the button went, the focus did not"
    )
    assert shown.ask("table.selected") == []


def test_markup_in_a_row_is_text(shown: Shown) -> None:
    shown.run("table.rows = rows(12); table.filter = ''")
    assert shown.table("Instances").get_by_text("<i>EcsRole</i>").count() == 6
    assert shown.table("Instances").locator("i").count() == 0


def test_one_of_several_is_chosen_with_radio_buttons(shown: Shown) -> None:
    table = shown.table("One instance")
    table.get_by_role("radio", name="select web-1").focus()
    shown.page.keyboard.press("Space")
    shown.page.keyboard.press("ArrowDown")
    assert shown.ask("one.selected") == ["i-2"]
    shown.run("one.selected = ['i-3']")
    table.get_by_role("radio", name="select web-3", checked=True).wait_for()
    assert table.locator("tr[aria-selected=true]").count() == 1
    assert shown.table("No instance").get_by_text("There is nothing to show yet.").is_visible()


def test_five_thousand_rows_stay_quick(shown: Shown) -> None:
    page = shown.page
    shown.run("table.selected = []; table.rows = rows(5000); table.filter = ''; table.sort = []")
    element, table = shown.element("Instances"), shown.table("Instances")
    element.get_by_text("5000 of 5000 shown, 0 selected, page 1 of 100").wait_for()
    assert table.locator("tbody tr").count() == 50
    element.get_by_role("button", name="Next page").focus()
    page.keyboard.press("Enter")
    element.get_by_text("page 2 of 100").wait_for()
    assert shown.column("Instances", 2)[0] == "web-51"
    element.get_by_role("button", name="Last page").focus()
    page.keyboard.press("Enter")
    element.get_by_text("page 100 of 100").wait_for()
    page.keyboard.press("Enter")  # nowhere to go, and the focus stays
    assert element.get_by_role("button", name="Last page").evaluate("node => node === document.activeElement")
    took = table.get_by_role("button", name="Name").evaluate(
        "button => { const start = performance.now(); button.click(); return performance.now() - start }"
    )
    assert shown.column("Instances", 2)[:2] == ["web-1", "web-2"]
    assert took < 1_500, f"sorting took {took} ms"
    table.get_by_role("checkbox", name="select all shown").check()
    assert shown.ask("len(table.selected)") == 5000
    shown.run("table.rows = rows(12); table.sort = []; table.selected = []")


def test_two_views_of_one_table_agree(shown: Shown) -> None:
    shown.run("table.rows = rows(12); table.selected = []; grow.children = [table]")
    both = shown.table("Instances")
    both.nth(1).wait_for()
    both.nth(0).get_by_role("checkbox", name="select web-2").check()
    assert both.nth(1).get_by_role("checkbox", name="select web-2").is_checked()
    both.nth(1).get_by_text("web-4", exact=True).click()  # anywhere on a row
    assert both.nth(0).get_by_role("checkbox", name="select web-4").is_checked()
    assert shown.ask("table.selected") == ["i-2", "i-4"]
    shown.run("grow.children = []; table.selected = []")
    shown.page.wait_for_function("document.querySelectorAll('.rr-table').length === 3")


def test_the_countdown_counts_and_ends(shown: Shown) -> None:
    page = shown.page
    shown.run("countdown.start(time.time() + 6 * 3600, rotates=time.time() + 5 * 3600)")
    timer = shown.area.get_by_role("timer")
    assert timer.get_attribute("aria-live") == "off"
    timer.filter(
        has_text=re.compile(r"^valid for 5\sh 59\smin \d+\ss, rotates in 4\sh 59\smin \d+\ss$")
    ).wait_for()
    first = timer.inner_text()
    page.wait_for_function(
        "text => document.querySelector('[role=timer]').textContent !== text", arg=first, timeout=3_000
    )
    # The kernel's clock is an hour ahead: what counts is the time left by its own clock.
    shown.run(
        "countdown.now = time.time() + 3600; countdown.until = countdown.now + 61.5; countdown.rotates = 0"
    )
    timer.filter(has_text=re.compile(r"^valid for (1\smin [01]\ss|\d+\ss)$")).wait_for()
    shown.area.locator(".rr-countdown [role=status]").filter(has_text="valid for 1 minute").wait_for(
        state="attached"
    )
    shown.run("countdown.start(time.time() + 1.5)")
    timer.filter(has_text="expired").wait_for(timeout=5_000)
    assert shown.area.locator(".rr-countdown [role=status]").text_content() == "expired"
    assert shown.run("print(countdown.line())") == "expired"


def test_nothing_ticks_when_the_view_is_gone(shown: Shown) -> None:
    page = shown.page
    shown.run("grow.children = [Countdown(until=time.time() + 3600)]")
    extra = shown.area.get_by_role("timer").first
    extra.filter(has_text="59 min").wait_for()
    watch = """node => { window.changed = 0;
        new MutationObserver(() => window.changed++).observe(node, {childList: true, subtree: true}) }"""
    extra.evaluate(watch)
    page.wait_for_function("window.changed > 0", timeout=5_000)
    shown.run("grow.children = []")
    page.wait_for_timeout(300)
    before = page.evaluate("window.changed")
    page.wait_for_timeout(2_200)
    assert page.evaluate("window.changed") == before


def test_copying_code(shown: Shown) -> None:
    page = shown.page
    block = shown.area.get_by_role("figure", name="The same in code (Python)")
    code = shown.ask("code.code")
    assert block.locator("code").text_content() == code
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    block.get_by_role("button", name="Copy").focus()
    page.keyboard.press("Enter")
    block.get_by_role("status").filter(has_text=re.compile("^copied$")).wait_for()
    assert page.evaluate("navigator.clipboard.readText()") == code

    page.evaluate("() => { navigator.clipboard.writeText = () => Promise.reject(new Error('no')) }")
    block.get_by_role("button", name="Copy").click()
    block.get_by_role("status").filter(has_text="The code is selected").wait_for()
    assert page.evaluate("getSelection().toString()") == code
    page.evaluate("() => { delete navigator.clipboard.writeText }")
    shown.run(
        "code.code = code.code + '\\n'; code.code = code.code.rstrip()"
    )  # the sentence goes with the next code


def test_tabs_follow_the_arrow_keys(shown: Shown) -> None:
    page, area = shown.page, shown.area
    shown.run("tabs.selected = 0")
    area.get_by_role("tab", name="Python").focus()
    steps = [("ArrowRight", "curl"), ("ArrowRight", "Java"), ("ArrowRight", "Python"), ("ArrowLeft", "Java")]
    for key, name in [*steps, ("Home", "Python"), ("End", "Java"), ("ArrowLeft", "curl")]:
        page.keyboard.press(key)
        tab = area.get_by_role("tab", name=name, selected=True)
        assert tab.evaluate("node => node === document.activeElement"), (key, name)
        assert area.locator("[role=tab][tabindex='0']").count() == 1
    assert (
        area.get_by_role("tabpanel", name="curl").locator("code").text_content() == "curl -s http://127.0.0.1"
    )
    assert area.get_by_role("tabpanel", name="curl").get_by_text("On the instance.").is_visible()
    assert shown.ask("tabs.selected") == 1
    shown.run("tabs.show({'curl': 'curl -V'})")  # the title chosen stays chosen
    area.get_by_role("tabpanel", name="curl").get_by_text("curl -V").wait_for()
    assert shown.ask("tabs.selected") == 0
    shown.run("tabs.show(FORMS, notes={'curl': 'On the instance.'})")


# Every visible piece of text, and the native controls' own, against what is painted behind it.
@pytest.mark.parametrize("theme", THEMES)
def test_in_both_themes_wide_and_narrow(shown: Shown, theme: str, artefacts: Path) -> None:
    from axe_playwright_python.sync_playwright import Axe

    page = shown.page
    shown.run(
        "table.rows = rows(120); table.sort = ['name', 'desc']; table.selected = ['i-119', 'i-117']; table.filter = ''\n"
        "status.say('attaching EcsRole to web-1', 'working'); progress.value = 3.2\n"
        "countdown.start(time.time() + 6 * 3600, rotates=time.time() + 5 * 3600)"
    )
    page.set_viewport_size({"width": 1400, "height": 2600})
    choose_theme(page, theme)
    name = theme.rsplit(maxsplit=1)[-1].lower()
    try:
        for width in (1400, 700):
            page.set_viewport_size({"width": width, "height": 2600})
            page.wait_for_timeout(500)
            shown.area.screenshot(path=artefacts / f"elements-{name}-{width}.png")
            found = contrast(shown.area)
            assert found["count"] > 200
            assert found["poor"] == []
            wide = shown.area.evaluate_all(
                "areas => areas.flatMap(a => [...a.querySelectorAll('.rr-element')])"
                ".filter(n => n.scrollWidth > n.clientWidth + 1 || n.getBoundingClientRect().right > innerWidth)"
                ".map(n => n.className)"
            )
            assert wide == [], "what is wide scrolls in a box of its own"
        axe = Axe().run(page, context=".rr-panel")
        assert [(v["id"], v["nodes"][0]["html"]) for v in axe.response["violations"]] == []
        assert len(axe.response["passes"]) > 15, "axe looked at something"
        shown.table("Instances").get_by_role("button", name="Created").focus()
        page.keyboard.press("Tab")  # by keyboard, so that the outline is shown
        outline = "getComputedStyle(document.activeElement)"
        assert page.evaluate(f"[{outline}.outlineStyle, {outline}.outlineWidth]") == ["solid", "2px"]
    finally:
        page.set_viewport_size({"width": 1400, "height": 2600})
        shown.run("table.selected = []; table.rows = rows(12); table.sort = []")


def test_less_motion_where_asked_for(shown: Shown) -> None:
    page = shown.page
    shown.run("status.say('x', 'working'); waiting.active = True")
    moving = """() => [...document.querySelectorAll('.rr-element, .rr-element *')]
        .filter(node => getComputedStyle(node).animationName !== 'none').map(node => node.className)"""
    assert sorted(page.evaluate(moving)) == ["rr-progress-bar", "rr-status-line"]
    page.emulate_media(reduced_motion="reduce")
    assert page.evaluate(moving) == []
    page.emulate_media(reduced_motion="no-preference")


@pytest.mark.parametrize("where", ["notebooks/{}?", "voila/render/{}?", "voila/render/{}?theme=dark&"])
def test_notebook_7_and_voila_show_them_too(browser: Browser, lab: Lab, where: str, artefacts: Path) -> None:
    """From the same server. Both ask other sites for fonts and formulas, which they do not get here."""
    address = urlsplit(lab.url)
    root = f"{address.scheme}://{address.netloc}/"
    context = browser.new_context(viewport={"width": 1400, "height": 2600})
    context.route(lambda url: not url.startswith((root, "data:", "blob:")), lambda route: route.abort())
    page = context.new_page()
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(f"{error} {error.stack}"))
    try:
        page.goto(f"{root}{where.format(notebook(lab.folder))}{address.query}")
        if where.startswith("notebooks"):
            page.locator(
                ".jp-NotebookKernelStatus, .jp-Notebook-ExecutionIndicator[data-status=idle]"
            ).first.wait_for(timeout=60_000, state="attached")
            page.locator(".lm-MenuBar-item", has_text="Run").click()
            page.locator(".lm-Menu-item", has_text="Run All Cells").first.click()
        page.get_by_role("tab", name="curl").wait_for(timeout=90_000)
        page.screenshot(path=artefacts / f"elements-{re.sub('[^a-z]+', '-', where)}.png")
        panel = page.get_by_role("group", name="Roles panel")
        table = panel.get_by_role("table", name="Instances")
        table.get_by_role("checkbox", name="select web-2").focus()
        page.keyboard.press("Space")
        panel.get_by_text("12 of 12 shown, 1 selected").wait_for()
        panel.get_by_role("tab", name="Python").focus()
        page.keyboard.press("ArrowRight")
        panel.get_by_role("tabpanel", name="curl").wait_for()
        panel.get_by_role("button", name="Attach").focus()
        page.keyboard.press("d")
        page.keyboard.press("d")
        page.wait_for_timeout(300)
        found = contrast(panel)
        assert found["poor"] == []
        assert found["count"] > 80
        if "dark" in where:
            style = "getComputedStyle(document.querySelector('.rr-tab'))"
            assert page.evaluate(f"[{style}.color, {style}.colorScheme]") == ["rgb(255, 255, 255)", "dark"]
    finally:
        context.close()
    assert [
        text for text in said if "anywidget" in text or "rr-" in text or ".widgets.elements" in text
    ] == []
