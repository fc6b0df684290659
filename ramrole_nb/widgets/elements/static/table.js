// A native table to sort, filter and choose from. See ../table.py; ../_order.py shows and orders values the same way.

const collator = new Intl.Collator("en", { numeric: true, sensitivity: "base" });
const TIME = /^\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?)?(Z|[+-]\d\d:\d\d)?$/;
const LAST_YEAR = 253402300800;

function make(tag, className, text) {
  const node = document.createElement(tag);
  node.className = className;
  if (text !== undefined) node.textContent = text;
  // No key pressed on a control is a JupyterLab command.
  if (tag === "button" || tag === "input") node.dataset.lmSuppressShortcuts = "true";
  if (tag === "button") node.type = "button";
  return node;
}

function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

// Milliseconds since 1970, or null for what is no time.
function moment(value) {
  if (typeof value === "number") return value >= 0 && value < LAST_YEAR ? Math.trunc(value) * 1000 : null;
  const found = typeof value === "string" && TIME.exec(value);
  if (!found) return null;
  let text = value.replace(" ", "T");
  if (!found[1]) text += text.includes("T") ? "Z" : "T00:00Z"; // no zone named: UTC
  else if (!text.includes("T")) return null;
  const at = Date.parse(text);
  return Number.isNaN(at) ? null : at;
}

function shown(value, kind) {
  if (value === null || value === undefined) return "";
  if (typeof value === "boolean") return value ? "yes" : "no";
  if (kind === "time") {
    const at = moment(value);
    if (at !== null) return `${new Date(at).toISOString().slice(0, 19).replace("T", " ")} UTC`;
  }
  return String(value);
}

function sortKey(value, kind) {
  if (kind === "time") return moment(value);
  if (kind === "number") {
    if (typeof value === "boolean") return Number(value);
    return typeof value === "number" ? value : null;
  }
  return shown(value, kind) || null;
}

function render({ model, el }) {
  el.classList.add("rr-element", "rr-table");

  // What stays, so that the focus stays too.
  const top = make("div", "rr-table-top");
  const filterLabel = make("label", "rr-table-filter");
  const filter = make("input", "rr-input");
  filter.type = "search";
  filter.autocomplete = "off";
  filter.spellcheck = false;
  filterLabel.append(make("span", "rr-table-filter-word", "Filter"), filter);
  const clear = make("button", "rr-button", "Clear selection");
  top.append(filterLabel);

  const box = make("div", "rr-table-box");
  box.dataset.lmSuppressShortcuts = "true";
  const table = make("table", "rr-table-table");
  const caption = make("caption", "rr-table-caption");
  const head = make("thead", "");
  const body = make("tbody", "");
  table.append(caption, head, body);
  box.append(table);

  const bottom = make("div", "rr-table-bottom");
  const status = make("div", "rr-table-status");
  status.setAttribute("role", "status");
  const pages = make("nav", "rr-table-pages");
  pages.setAttribute("aria-label", "Pages");
  const turns = {};
  for (const word of ["First", "Previous", "Next", "Last"]) {
    turns[word] = make("button", "rr-button", word);
    turns[word].setAttribute("aria-label", `${word} page`);
    pages.append(turns[word]);
  }
  bottom.append(status, clear, pages);
  el.append(top, box, bottom);

  const group = `rr-choice-${Math.random().toString(36).slice(2)}`;
  let prepared = []; // every row with its cells' texts
  let matching = []; // those that pass the filter, sorted
  let names = new Map(); // id -> what its checkbox is called
  let page = 0;
  let all = null; // "select all shown"
  let sorters = []; // [key, th, arrow]

  const kindOf = (key) => model.get("columns").find((column) => column.key === key)?.kind || "text";
  const pageCount = () => Math.max(1, Math.ceil(matching.length / model.get("page_size")));
  const selectable = () => model.get("selectable");

  function prepare() {
    const columns = model.get("columns");
    const used = new Map();
    prepared = model.get("rows").map((row) => {
      const cells = columns.map((column) => shown(row[column.key], column.kind));
      const name = cells[0] || row.id;
      used.set(name, (used.get(name) || 0) + 1);
      return { row, cells, name, text: cells.join("\n").toLowerCase() };
    });
    names = new Map(
      prepared.map(({ row, name }) => [row.id, used.get(name) > 1 && name !== row.id ? `${name} (${row.id})` : name]),
    );
  }

  function match() {
    const words = model.get("filter").toLowerCase().split(/\s+/).filter(Boolean);
    matching = prepared.filter((item) => words.every((word) => item.text.includes(word)));
    const [key, direction] = model.get("sort");
    if (!key) return;
    const kind = kindOf(key);
    const sign = direction === "desc" ? -1 : 1;
    const compare = kind === "text" ? collator.compare : (a, b) => a - b;
    const keyed = matching.map((item) => [sortKey(item.row[key], kind), item]);
    const filled = keyed.filter(([value]) => value !== null).sort((a, b) => sign * compare(a[0], b[0]));
    const rest = keyed.filter(([value]) => value === null); // last, both ways
    matching = [...filled, ...rest].map(([, item]) => item);
  }

  function drawHead() {
    const row = make("tr", "");
    all = null;
    sorters = [];
    if (selectable() !== "none") {
      const cell = make("th", "rr-table-choice");
      cell.scope = "col";
      if (selectable() === "many") {
        all = make("input", "rr-check");
        all.type = "checkbox";
        all.setAttribute("aria-label", "select all shown");
        all.title = "select all shown";
        all.addEventListener("change", chooseAll);
        cell.append(all);
      } else {
        cell.append(make("span", "rr-hidden", "choose one"));
      }
      row.append(cell);
    }
    for (const column of model.get("columns")) {
      const cell = make("th", `rr-${column.kind}`);
      cell.scope = "col";
      const button = make("button", "rr-sort");
      const arrow = make("span", "rr-sort-arrow");
      arrow.setAttribute("aria-hidden", "true");
      button.append(make("span", "rr-sort-title", column.title), arrow);
      button.addEventListener("click", () => sortBy(column.key));
      cell.append(button);
      row.append(cell);
      sorters.push([column.key, cell, arrow]);
    }
    head.replaceChildren(row);
  }

  function drawSort() {
    const [sorted, direction] = model.get("sort");
    for (const [key, cell, arrow] of sorters) {
      if (key === sorted) cell.setAttribute("aria-sort", direction === "desc" ? "descending" : "ascending");
      else cell.removeAttribute("aria-sort");
      setText(arrow, key !== sorted ? "↕" : direction === "desc" ? "▼" : "▲");
    }
  }

  function drawRow({ row, cells }, columns) {
    const line = make("tr", "rr-row");
    line.dataset.id = row.id;
    if (selectable() !== "none") {
      const cell = make("td", "rr-table-choice");
      const choice = make("input", "rr-check");
      choice.type = selectable() === "many" ? "checkbox" : "radio";
      choice.name = group;
      choice.setAttribute("aria-label", `select ${names.get(row.id)}`);
      cell.append(choice);
      line.append(cell);
    }
    cells.forEach((text, number) => {
      const cell = make(number ? "td" : "th", `rr-${columns[number].kind}`, text);
      if (!number) cell.scope = "row";
      line.append(cell);
    });
    return line;
  }

  function drawBody() {
    page = Math.min(page, pageCount() - 1);
    // Nothing to filter; but never take the field from under somebody's hands.
    top.hidden = !prepared.length && !model.get("filter") && document.activeElement !== filter;
    const size = model.get("page_size");
    const columns = model.get("columns");
    const focused = body.contains(document.activeElement) ? document.activeElement.closest("tr").dataset.id : null;
    const lines = matching.slice(page * size, (page + 1) * size).map((item) => drawRow(item, columns));
    if (!lines.length) {
      const line = make("tr", "rr-row-empty");
      const words = model.get("filter").trim();
      const sentence = prepared.length
        ? `No row holds “${words}”. Clear the filter to see all ${prepared.length}.`
        : model.get("empty");
      const cell = make("td", "rr-table-empty", sentence);
      cell.colSpan = columns.length + (selectable() === "none" ? 0 : 1);
      line.append(cell);
      lines.push(line);
    }
    body.replaceChildren(...lines);
    drawSelection();
    if (focused !== null) {
      const again = lines.find((line) => line.dataset.id === focused);
      (again?.querySelector("input") || filter).focus();
    }
  }

  function drawSelection() {
    const chosen = new Set(model.get("selected"));
    for (const line of body.querySelectorAll(".rr-row")) {
      const choice = line.querySelector(".rr-check");
      if (!choice) continue;
      choice.checked = chosen.has(line.dataset.id);
      line.setAttribute("aria-selected", String(choice.checked));
    }
    const here = matching.filter(({ row }) => chosen.has(row.id)).length;
    if (all) {
      all.checked = here > 0 && here === matching.length;
      all.indeterminate = here > 0 && here < matching.length;
    }
    if (!chosen.size && document.activeElement === clear) (all || filter).focus();
    clear.hidden = !chosen.size;

    const said = [`${matching.length} of ${prepared.length} shown`];
    if (selectable() !== "none") {
      const away = chosen.size - here;
      said.push(`${chosen.size} selected${away ? ` (${away} of them not shown)` : ""}`);
    }
    if (pageCount() > 1) said.push(`page ${page + 1} of ${pageCount()}`);
    setText(status, said.join(", "));
    pages.hidden = pageCount() < 2;
    // Not `disabled`: the button would lose the focus when the last page is reached.
    const ends = { First: page === 0, Previous: page === 0, Next: page >= pageCount() - 1, Last: page >= pageCount() - 1 };
    for (const [word, at] of Object.entries(ends)) turns[word].setAttribute("aria-disabled", String(at));
  }

  function save(trait, value) {
    model.set(trait, value);
    model.save_changes();
  }

  function saveSelection(chosen) {
    save("selected", prepared.filter(({ row }) => chosen.has(row.id)).map(({ row }) => row.id));
  }

  function choose(id, on) {
    const chosen = new Set(selectable() === "many" ? model.get("selected") : []);
    if (on) chosen.add(id);
    else chosen.delete(id);
    saveSelection(chosen);
  }

  function chooseAll() {
    const chosen = new Set(model.get("selected"));
    for (const { row } of matching) {
      if (all.checked) chosen.add(row.id);
      else chosen.delete(row.id);
    }
    saveSelection(chosen);
  }

  function sortBy(key) {
    const [sorted, direction] = model.get("sort");
    if (key !== sorted) save("sort", [key, "asc"]);
    else save("sort", direction === "asc" ? [key, "desc"] : []);
  }

  function turnTo(number) {
    page = Math.max(0, Math.min(number, pageCount() - 1));
    drawBody();
    box.scrollTop = 0;
  }

  // Whoever has no mouse scrolls the box once it has the focus; where all of it is seen, it is no stop on the way.
  function nameTheBox() {
    const scrolls = box.scrollWidth > box.clientWidth + 1 || box.scrollHeight > box.clientHeight + 1;
    if (scrolls) {
      box.tabIndex = 0;
      box.setAttribute("role", "region");
      box.setAttribute("aria-label", model.get("caption") || "table");
    } else {
      for (const attribute of ["tabindex", "role", "aria-label"]) box.removeAttribute(attribute);
    }
  }
  const overflow = new ResizeObserver(nameTheBox);
  overflow.observe(box);
  overflow.observe(table);

  // What the model says.
  const onRows = () => {
    prepare();
    match();
    drawBody();
  };
  const onShape = () => {
    drawHead();
    drawSort();
    onRows();
  };
  const onFilter = () => {
    if (filter.value !== model.get("filter")) filter.value = model.get("filter");
    page = 0;
    match();
    drawBody();
  };
  const onSort = () => {
    page = 0;
    match();
    drawSort();
    drawBody();
  };
  const onCaption = () => {
    setText(caption, model.get("caption"));
    caption.hidden = !model.get("caption");
    table.setAttribute("aria-label", model.get("caption") || "table");
    if (model.get("caption")) table.removeAttribute("aria-label");
    filter.setAttribute("aria-label", model.get("caption") ? `Filter ${model.get("caption")}` : "Filter");
    nameTheBox();
  };

  // What the user does.
  filter.addEventListener("input", () => save("filter", filter.value));
  clear.addEventListener("click", () => save("selected", []));
  body.addEventListener("change", (event) => {
    choose(event.target.closest("tr").dataset.id, event.target.checked);
  });
  body.addEventListener("click", (event) => {
    // A row is a large target; but whoever selects its text to copy it does not mean to choose it.
    const choice = event.target.closest(".rr-row")?.querySelector(".rr-check");
    if (!choice || event.target === choice || !getSelection().isCollapsed) return;
    choice.click();
  });
  turns.First.addEventListener("click", () => turnTo(0));
  turns.Previous.addEventListener("click", () => turnTo(page - 1));
  turns.Next.addEventListener("click", () => turnTo(page + 1));
  turns.Last.addEventListener("click", () => turnTo(pageCount() - 1));

  const listeners = {
    "change:rows change:empty": onRows,
    "change:columns change:selectable": onShape,
    "change:filter": onFilter,
    "change:sort": onSort,
    "change:selected": drawSelection,
    "change:page_size": drawBody,
    "change:caption": onCaption,
  };
  onCaption();
  filter.value = model.get("filter");
  onShape();
  for (const [event, listener] of Object.entries(listeners)) model.on(event, listener);
  return () => {
    overflow.disconnect();
    for (const [event, listener] of Object.entries(listeners)) model.off(event, listener);
  };
}

export default { render };
