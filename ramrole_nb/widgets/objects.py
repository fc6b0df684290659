"""The objects panel: look into a bucket as somebody, and download. `bucket.list(prefix)`, `bucket.download(key, to)`."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ipywidgets as widgets

from ..cloud.objects import BoundBucket, Buckets, DownloadedFile, Listing
from ..cloud.transfer.target import choose_target
from ..errors import AccessDenied, InputError, RamroleError, ServiceError
from ..jobs import Job
from ..render import html_table, text_table
from ..snippets import Action, DownloadObject, ListObjects
from .elements import DataTable
from .fields import choice, heading, text_field
from .outcome import error_html, error_text
from .panel import Panel, row

if TYPE_CHECKING:
    from ..cloud.instances import BoundInstance
    from ..cloud.session import Cloud
    from ..jobs import JobContext
    from ..models import BucketInfo

__all__ = ["ObjectsPanel"]

_PAGE = 1000
# Beyond, the browser becomes slow, and a prefix finds what is looked for sooner.
_MOST = 10_000
_SHOWN = 50  # rows without a front end
_COLUMNS = [
    {"key": "key", "title": "key"},
    {"key": "size", "title": "size in bytes", "kind": "number"},
    {"key": "modified", "title": "modified", "kind": "time"},
]
_HEAD = ("key", "size", "modified")
_READS = ("Get", "List", "Describe", "Head")


@dataclass(frozen=True)
class _Places:
    """Which buckets there are, and which instances could sign."""

    table: Buckets
    buckets: tuple[BucketInfo, ...] = ()
    instances: tuple[BoundInstance, ...] = ()
    roles: Mapping[str, str] = field(default_factory=dict)
    not_told: str = ""


@dataclass(frozen=True)
class _Listed:
    """What was listed: where, as whom, how far; and the listing, or why there is none."""

    bucket: str
    signer: str
    prefix: str
    limit: int
    listing: Listing | None = None
    endpoint: str = ""
    trouble: RamroleError | None = None


@dataclass(frozen=True)
class _Picture:
    places: _Places
    listed: _Listed | None = None


class ObjectsPanel(Panel):
    """Look into a bucket and download from it, with the session's own key or as the role on an instance.

    Parameters: `cloud` the session; `bucket`, `instance` (id or name; empty: the session's own key) and `prefix` fill in
    the fields. In one line: `cloud.buckets[name].using(vm).list(prefix)`, `….download(key, to, overwrite=…)`.
    """

    TITLE = "Objects"
    FOLLOWS = True

    def __init__(self, cloud: Cloud, bucket: str = "", instance: str = "", prefix: str = "") -> None:
        self._first = (bucket, instance, prefix)
        self._limit = _PAGE
        self._places: _Places | None = None
        self._listed: _Listed | None = None
        self._told: RamroleError | None = None
        self._mark = cloud.wire.mark
        self._reading = threading.Lock()
        self._drawer = 0
        self._crumbs: list[widgets.Button] = []
        super().__init__(cloud)

    # -- controls --------------------------------------------------------------------------------------------

    def _controls(self) -> Sequence[widgets.Widget]:
        bucket, instance, prefix = self._first
        self.bucket = widgets.Combobox(
            value=bucket,
            description="Bucket",
            placeholder="choose one, or type its name",
            continuous_update=False,
            ensure_option=False,
            style={"description_width": "initial"},
            layout=widgets.Layout(width="22em", max_width="100%"),
        )
        own = (self._own_label(), "")
        self.signer = choice("Sign as", [own, (instance, instance)] if instance else [own], instance)
        self.prefix = text_field("Prefix", prefix, placeholder="empty: from the top")
        self.prefix.continuous_update = False
        self._known = widgets.HTML()
        self._who = widgets.HTML()
        self._path = row()
        self._path_label = widgets.Label("Path")
        self.table = DataTable(columns=_COLUMNS, selectable="one", page_size=20, empty="No bucket is chosen.")
        self._trouble = widgets.HTML()
        self.key = text_field(
            "Object key", "", placeholder="choose an object above, or type its key", width="32em"
        )
        self.to = text_field("Save as", "", placeholder="the key's last part, in this folder", width="32em")
        self.overwrite = widgets.Checkbox(
            value=False, description="Overwrite an existing file", indent=False, layout={"width": "auto"}
        )
        self._target = widgets.HTML()
        for control in (self.bucket, self.signer, self.prefix):
            control.observe(self._place_changed, names=["value"])
        self.table.observe(lambda _: self._row_chosen(), names=["selected"])
        for control in (self.key, self.to, self.overwrite):
            control.observe(lambda _: self._say_target(), names=["value"])
        self._list = self.button("List", self.list)
        self._open = self.button("Open the chosen folder", self.open_chosen)
        self._more = self.button("Show 1,000 more", self.more)
        self._more.layout.display = "none"
        self._again = self.button("Look again", self.look_again)
        self._download = self.button("Download", self.download, main=True)
        self._say_target()
        return (
            row(self.bucket, self.signer),
            self._known,
            self._who,
            row(self.prefix, self._list, self._again),
            self._path,
            self.table,
            row(self._open, self._more),
            self._trouble,
            heading("Download one object"),
            row(self.key),
            row(self.to, self.overwrite),
            self._target,
            row(self._download),
        )

    def _own_label(self) -> str:
        return f"my own key: {self.cloud.provenance}"

    def _place_changed(self, change: Mapping[str, Any]) -> None:
        if threading.get_ident() == self._drawer:  # the options were renewed; nobody chose anything
            return
        self._limit = _PAGE
        if change["owner"] is self.bucket:
            self.prefix.value = ""
        self.refresh()

    def _row_chosen(self) -> None:
        chosen = next(iter(self.table.selected), "")
        if chosen.startswith("object "):
            self.key.value = chosen.removeprefix("object ")

    def _say_target(self) -> None:
        self._target.value = ""
        key = self.key.value
        if not key:
            return
        try:
            where = choose_target(key, self._to(), self.overwrite.value)
            replaces = ", which is replaced" if where.exists() else ""
            told = f"✓ will be saved as {_shown(where)}{replaces}"
        except InputError as error:
            told = f"✕ not yet: {error.what} {_step_here(error.next_step)}"
        self._target.value = f'<span class="rr-check">{escape(told)}</span>'

    # -- actions ---------------------------------------------------------------------------------------------

    def list(self) -> Job[Any]:
        """List what is below the prefix: `cloud.buckets[name].using(vm).list(prefix)`."""
        asked = self._asked()
        if not asked.bucket:
            raise InputError("No bucket is chosen.", next_step="choose one, or type its name")

        def work(_: JobContext) -> Listing:
            listed = self._list_now(asked)
            self._listed, self._told = listed, listed.trouble
            if listed.trouble is not None:
                raise listed.trouble
            return listed.listing  # type: ignore[return-value]  # there is one where there is no trouble

        return self.act(
            f"list oss://{asked.bucket}/{asked.prefix}",
            work,
            code=lambda _: self._code_of(asked),
            done=lambda listing: f"{listing.where}: {listing.counted()}",
            quiet=True,  # the table shows it
        )

    def open(self, prefix: str) -> Job[Any]:
        """Go to a folder, and list it."""
        self._limit = _PAGE
        self._set_prefix(prefix)
        return self.list()

    def open_chosen(self) -> Job[Any]:
        """Go to the folder chosen in the table."""
        chosen = next(iter(self.table.selected), "")
        if not chosen.startswith("folder "):
            raise InputError("No folder is chosen.", next_step="choose a row whose key ends with a slash")
        return self.open(chosen.removeprefix("folder "))

    def more(self) -> Job[Any]:
        """List a thousand more: `bucket.list(prefix, limit=…)`."""
        self._limit = min(self._limit + _PAGE, _MOST)
        return self.list()

    def look_again(self) -> Job[Any]:
        """Read anew which buckets and instances there are, and list again."""
        self._places = self._listed = None
        if self.bucket.value.strip():
            return self.list()
        return self.act("look again", lambda _: None, done="looked again")

    def download(self) -> Job[Any]:
        """Download the object: `cloud.buckets[name].using(vm).download(key, to, overwrite=…)`."""
        asked, key, to, overwrite = self._asked(), self.key.value, self._to(), self.overwrite.value
        if not asked.bucket:
            raise InputError("No bucket is chosen.", next_step="choose one, or type its name")

        def work(ctx: JobContext) -> DownloadedFile:
            with _leading_to_a_role(asked.signer):
                return self._bucket(asked).download(
                    key, to, overwrite=overwrite, progress=ctx.progress, cancel=lambda: ctx.cancelled
                )

        return self.act(
            f"download oss://{asked.bucket}/{key}",
            work,
            code=lambda _: self._code_of(asked, key=key, to=to or ""),
            done=_downloaded,
        )

    def _to(self) -> str | None:
        return self.to.value.strip() or None

    def _asked(self) -> _Listed:
        value = self.signer.value
        return _Listed(self.bucket.value.strip(), str(value or ""), self.prefix.value, self._limit)

    def _bucket(self, asked: _Listed) -> BoundBucket:
        bucket = self.cloud.buckets[asked.bucket]
        return bucket.using(self._signer(asked.signer)) if asked.signer else bucket

    def _signer(self, name: str) -> BoundInstance:
        places = self._places
        for vm in places.instances if places is not None else ():
            if name in (vm.instance_id, vm.name):
                return vm
        return self.cloud.instances[name]

    def _code_of(self, asked: _Listed, *, key: str = "", to: str = "") -> Action:
        bucket = self._bucket(asked)
        internal = "-internal." in bucket.endpoint
        if key:
            return DownloadObject(asked.bucket, key, bucket.region_id, internal, to, not asked.signer)
        return ListObjects(asked.bucket, bucket.region_id, asked.prefix, internal, not asked.signer)

    def _set_prefix(self, prefix: str) -> None:
        drawer, self._drawer = self._drawer, threading.get_ident()  # the caller lists by itself
        try:
            self.prefix.value = prefix
        finally:
            self._drawer = drawer

    def _progress_caption(self, job: Job[Any]) -> str:
        seen = job.progress
        if not seen.done and not seen.total:
            return seen.message
        total = f" of {_megabytes(seen.total)}" if seen.total else ""
        parts = [f"{_megabytes(seen.done)}{total} MB", f"{seen.rate / 1e6:,.1f} MB/s"]
        if seen.total and seen.rate > 0:
            parts.append(f"{_duration((seen.total - seen.done) / seen.rate)} left")
        return ", ".join(parts)

    # -- reading ---------------------------------------------------------------------------------------------

    def _read(self) -> _Picture:
        with self._reading:  # one at a time: the second then sees what the first has read
            calls, self._mark = self.cloud.wire.since(self._mark), self.cloud.wire.mark
            changed = any(not call.action.startswith(_READS) for call in calls)
            places = self._places
            changed = changed or (places is not None and places.table is not self.cloud.buckets)  # a reset
            if places is None or changed:
                self._places = places = self._read_places()
            asked = self._asked()
            listed = self._listed
            if not asked.bucket:
                listed = None
            elif listed is None or changed or not _same_place(listed, asked):
                listed = self._list_now(asked)
            self._listed = listed
            return _Picture(places, listed)

    def _read_places(self) -> _Places:
        table, not_told = self.cloud.buckets, []
        buckets: Sequence[BucketInfo] = ()
        vms: Sequence[BoundInstance] = ()
        roles: dict[str, str] = {}
        try:
            buckets = table.all()
        except AccessDenied:
            not_told.append("You may not list the buckets: type the name of one.")
        try:
            vms = self.cloud.instances.all()
            roles = self.cloud.instances.roles(vms)
        except AccessDenied:
            not_told.append("You may not list the instances, so none is offered to sign.")
        return _Places(table, tuple(buckets), tuple(vms), roles, " ".join(not_told))

    def _list_now(self, asked: _Listed) -> _Listed:
        where = (asked.bucket, asked.signer, asked.prefix, asked.limit)
        try:
            with _leading_to_a_role(asked.signer):
                bucket = self._bucket(asked)
                listing = bucket.list(asked.prefix, limit=asked.limit)
        except RamroleError as error:
            return _Listed(*where, trouble=error)
        return _Listed(*where, listing=listing, endpoint=bucket.endpoint)

    # -- what it shows ---------------------------------------------------------------------------------------

    def _draw(self, picture: _Picture) -> None:
        self._drawer = threading.get_ident()
        try:
            self._draw_places(picture.places)
            self._draw_listed(picture.listed)
        finally:
            self._drawer = 0
        self._say_target()

    def _draw_places(self, places: _Places) -> None:
        names = [info.name for info in places.buckets]
        if names != list(self.bucket.options):
            self.bucket.options = names
        self._known.value = f'<div class="rr-note">{escape(_buckets_text(places))}</div>'
        chosen = str(self.signer.value or "")
        options = [(self._own_label(), "")]
        for vm in places.instances:
            role = places.roles.get(vm.instance_id, "")
            if chosen and chosen in (vm.instance_id, vm.name):
                chosen = vm.instance_id
            if role or chosen == vm.instance_id:
                options.append((f"{_role_text(role)} on {vm.name} ({vm.instance_id})", vm.instance_id))
        if chosen not in [value for _, value in options]:
            options.append((f"{chosen} (not found)", chosen))
        if options != list(self.signer.options) or self.signer.value != chosen:
            self.signer.options = options
            self.signer.value = chosen
        self._who.value = f'<div class="rr-note">{escape(self._signer_text())}</div>'

    def _draw_listed(self, listed: _Listed | None) -> None:
        listing = listed.listing if listed is not None else None
        rows = _rows(listing) if listing is not None else []
        where = f"oss://{listed.bucket}/{listed.prefix}" if listed is not None else ""
        with self.table.hold_sync():
            self.table.rows = rows
            self.table.caption = f"{where}: {listing.counted()}" if listing is not None else where
            self.table.empty = _empty_text(listed)
        self._more.layout.display = (
            "" if listing is not None and listing.truncated and self._limit < _MOST else "none"
        )
        self._trouble.value = self._trouble_html(listed)
        self._draw_path(listed)

    def _trouble_html(self, listed: _Listed | None) -> str:
        if listed is None or listed.trouble is None or listed.trouble is self._told:
            return ""  # what was asked for by a click has its card below
        return error_html(listed.trouble)

    def _draw_path(self, listed: _Listed | None) -> None:
        """Show the way to the prefix: the bucket, then a button for each folder."""
        steps = [(listed.bucket, "")] if listed is not None else []
        if listed is not None:
            done = ""
            for part in listed.prefix.split("/")[:-1]:
                done += part + "/"
                steps.append((part + "/", done))
        while len(self._crumbs) < len(steps):
            self._crumbs.append(self._crumb(len(self._crumbs)))
        self._ways = [way for _, way in steps]
        for button, (name, way) in zip(self._crumbs, steps, strict=False):
            button.description = name
            button.tooltip = f"list {listed.bucket if listed else ''}/{way}"
        shown = (self._path_label, *self._crumbs[: len(steps)]) if steps else ()
        if shown != self._path.children:
            self._path.children = shown

    def _crumb(self, number: int) -> widgets.Button:
        made = self.button("…", lambda: self.open(self._ways[number]))
        made.disabled = self.model.busy
        return made

    def _signer_text(self) -> str:
        asked, places, listed = self._asked(), self._places, self._listed
        over = f", over {listed.endpoint}" if listed is not None and listed.endpoint else ""
        if not asked.signer:
            alone = places is not None and not any(places.roles.values()) and not places.not_told
            more = " No instance has a role yet: attach one, and you can sign as it here." if alone else ""
            return f"Requests are signed by {self.cloud.provenance}{over}.{more}"
        vm = next((vm for vm in places.instances if vm.instance_id == asked.signer), None) if places else None
        if vm is None:
            return f"Requests are to be signed by the role on {asked.signer}."
        role = places.roles.get(vm.instance_id, "") if places else ""
        if not role:
            return f"{vm.name} has no role, so it cannot sign: attach one first."
        return f"Requests are signed by the role {role} on {vm.name}, with its temporary credential{over}."

    def _body_html(self) -> str:
        picture = self._picture
        if picture is None:
            return "<p>Not read yet.</p>"
        listed = picture.listed
        head = f"<p>{escape(_buckets_text(picture.places))}</p><p>{escape(self._signer_text())}</p>"
        if listed is None:
            return head + f"<p>{escape(_empty_text(None))}</p>"
        if listed.trouble is not None:
            return head + ("" if listed.trouble is self.model.error else error_html(listed.trouble))
        rows, title = self._few(listed)
        return head + html_table(_HEAD, rows, title=title, empty=_empty_text(listed))

    def _body_text(self) -> str:
        picture = self._picture
        if picture is None:
            return "not read yet"
        listed = picture.listed
        head = f"{_buckets_text(picture.places)}\n{self._signer_text()}"
        if listed is None:
            return f"{head}\n{_empty_text(None)}"
        if listed.trouble is not None:
            return head if listed.trouble is self.model.error else f"{head}\n{error_text(listed.trouble)}"
        rows, title = self._few(listed)
        return f"{head}\n{title}\n{text_table(_HEAD, rows) or _empty_text(listed)}"

    def _few(self, listed: _Listed) -> tuple[Sequence[Sequence[str]], str]:
        if listed.listing is None:
            return [], ""
        rows = [shown[:3] for shown in listed.listing.rows(_SHOWN)]
        cut = len(listed.listing.objects) + len(listed.listing.folders) > len(rows)
        first = f" (the first {len(rows)} are shown)" if cut else ""
        return rows, f"{listed.listing.where}: {listed.listing.counted()}{first}"

    def close(self) -> None:
        aside = () if self._closed else (self._path_label, *self._crumbs)
        super().close()
        for widget in aside:  # those not shown just now are not below the box
            for part in (widget.layout, widget.style, widget):
                part.close()


@contextlib.contextmanager
def _leading_to_a_role(signer: str) -> Iterator[None]:
    """Say in the panel's own terms what helps where a new account's own key is refused over the public endpoint."""
    try:
        yield
    except ServiceError as error:
        if not signer and error.code == "PublicEndpointForbidden":
            error.next_step += "; in this panel: choose the role on an instance under “Sign as”"
        raise


def _same_place(one: _Listed, other: _Listed) -> bool:
    def place(listed: _Listed) -> tuple[object, ...]:
        return listed.bucket, listed.signer, listed.prefix, listed.limit

    return place(one) == place(other)


def _rows(listing: Listing) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = [
        {"id": f"folder {folder}", "key": folder, "size": None, "modified": None}
        for folder in listing.folders
    ]
    rows += [
        {"id": f"object {o.key}", "key": o.key, "size": o.size, "modified": o.last_modified}
        for o in listing.objects
    ]
    return rows


def _buckets_text(places: _Places) -> str:
    named = ", ".join(f"{info.name} ({info.region_id})" for info in places.buckets[:5])
    more = f" and {len(places.buckets) - 5:,} more" if len(places.buckets) > 5 else ""
    told = f"Buckets of this account: {named}{more}." if named else "No bucket is known in this account."
    return " ".join(part for part in (told if named or not places.not_told else "", places.not_told) if part)


def _role_text(role: str) -> str:
    return f"role {role}" if role else "no role"


def _empty_text(listed: _Listed | None) -> str:
    if listed is None:
        return "No bucket is chosen: choose one, or type its name."
    if listed.trouble is not None:
        return f"Not listed: {listed.trouble.what}"
    return f"There is nothing below oss://{listed.bucket}/{listed.prefix}"


def _step_here(step: str) -> str:
    """Return a next step in the panel's own terms."""
    if "overwrite=True" in step:
        return "Tick “Overwrite an existing file”, or give another name."
    return step


def _shown(path: Path) -> str:
    return str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)


def _downloaded(file: DownloadedFile) -> str:
    # Of a small file, the time is that of the request, not of the line.
    speed = f", {file.size / file.seconds / 1e6:,.1f} MB/s" if file.size >= 1e6 and file.seconds > 0 else ""
    return f"saved as {_shown(Path(file))}: {file.size:,} bytes{speed}, verified: {file.verified}"


def _megabytes(count: int) -> str:
    return f"{count / 1e6:,.1f}"


def _duration(seconds: float) -> str:
    whole = round(seconds)
    if whole < 60:
        return f"{max(whole, 1)} s"
    return (
        f"{whole // 60} min {whole % 60} s" if whole < 3600 else f"{whole // 3600} h {whole % 3600 // 60} min"
    )
