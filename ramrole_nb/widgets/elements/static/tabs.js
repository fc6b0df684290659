// Tabs of code, by the WAI-ARIA tabs pattern. See ../code.py.

function make(tag, className) {
  const node = document.createElement(tag);
  node.className = className;
  return node;
}

// <copy> — code.js has the same; a test compares them.
// A Copy button for what `source` shows, and the line in which it says what it did.
function copier(source) {
  const button = make("button", "rr-button rr-copy");
  button.type = "button";
  button.textContent = "Copy";
  button.dataset.lmSuppressShortcuts = "true";
  const said = make("span", "rr-copy-said");
  said.setAttribute("role", "status");
  const copy = async () => {
    said.textContent = "";
    try {
      await navigator.clipboard.writeText(source.textContent); // undefined where the page is not secure
      said.textContent = "copied";
    } catch {
      source.focus();
      getSelection().selectAllChildren(source);
      said.textContent = "The browser does not let this page copy. The code is selected: press Ctrl+C or ⌘C.";
    }
  };
  button.addEventListener("click", copy);
  return { button, said };
}

// Code one can reach, scroll and select by keyboard.
function codeBox() {
  const pre = make("pre", "rr-pre");
  const code = make("code", "rr-code-text");
  code.tabIndex = 0;
  code.dataset.lmSuppressShortcuts = "true";
  pre.append(code);
  return { pre, code };
}
// </copy>

let views = 0;

function render({ model, el }) {
  el.classList.add("rr-element", "rr-tabs");
  const id = `rr-tabs-${Math.random().toString(36).slice(2)}-${views++}`;
  const list = make("div", "rr-tablist");
  list.setAttribute("role", "tablist");
  list.setAttribute("aria-label", "Code in several forms");
  const panel = make("div", "rr-tabpanel");
  panel.id = `${id}-panel`;
  panel.setAttribute("role", "tabpanel");
  const bar = make("div", "rr-code-bar");
  const note = make("p", "rr-tab-note");
  const { pre, code } = codeBox();
  const { button, said } = copier(code);
  bar.append(note, said, button);
  panel.append(bar, pre);
  el.append(list, panel);

  const tabs = () => [...list.children];

  const showSelected = () => {
    const selected = model.get("selected");
    for (const [number, tab] of tabs().entries()) {
      tab.setAttribute("aria-selected", String(number === selected));
      tab.tabIndex = number === selected ? 0 : -1;
    }
    panel.hidden = !list.children.length;
    list.hidden = !list.children.length;
    panel.setAttribute("aria-labelledby", `${id}-${selected}`);
    note.textContent = model.get("notes")[selected] || "";
    const text = model.get("texts")[selected] || "";
    if (code.textContent !== text) {
      code.textContent = text;
      pre.scrollTo(0, 0);
    }
    said.textContent = "";
  };

  const showAll = () => {
    const titles = model.get("titles");
    const had = list.contains(document.activeElement);
    while (list.children.length > titles.length) list.lastChild.remove();
    while (list.children.length < titles.length) {
      const tab = make("button", "rr-tab");
      tab.type = "button";
      tab.id = `${id}-${list.children.length}`;
      tab.dataset.lmSuppressShortcuts = "true";
      tab.setAttribute("role", "tab");
      tab.setAttribute("aria-controls", panel.id);
      list.append(tab);
    }
    for (const [number, tab] of tabs().entries()) tab.textContent = titles[number];
    showSelected();
    if (had && !list.contains(document.activeElement)) tabs()[model.get("selected")]?.focus();
  };

  const select = (number) => {
    if (number !== model.get("selected")) {
      model.set("selected", number);
      model.save_changes();
    }
    tabs()[number]?.focus();
  };

  const clicked = (event) => {
    const number = tabs().indexOf(event.target.closest(".rr-tab"));
    if (number >= 0) select(number);
  };
  const pressed = (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey) return;
    const count = list.children.length;
    const at = model.get("selected");
    const to = { ArrowRight: (at + 1) % count, ArrowLeft: (at - 1 + count) % count, Home: 0, End: count - 1 }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    event.stopPropagation();
    select(to);
  };
  list.addEventListener("click", clicked);
  list.addEventListener("keydown", pressed);

  const content = "change:selected change:texts change:notes";
  showAll();
  model.on("change:titles", showAll);
  model.on(content, showSelected);
  return () => {
    model.off("change:titles", showAll);
    model.off(content, showSelected);
  };
}

export default { render };
