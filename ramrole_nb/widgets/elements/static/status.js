// A live region that stays in the page, and the keeper of the panel it stands in. See ../status.py.

// kind -> [symbol, word]: what is meant never hangs on a colour. ../status.py has the same.
const WORDS = {
  info: ["ℹ", "Note"],
  working: ["…", "Working"],
  done: ["✓", "Done"],
  failed: ["✕", "Failed"],
  cancelled: ["⊘", "Cancelled"],
};

const CONTROLS =
  "button, input, select, textarea, summary, a[href], [tabindex], [contenteditable='true']";

const SCROLLING = ".widget-html-content, .widget-html-content div, .widget-html-content pre";

const WATCHED = {
  subtree: true,
  childList: true,
  characterData: true,
  attributes: true,
  attributeFilter: ["class", "title", "placeholder", "contenteditable", "tabindex"],
};

function make(tag, className) {
  const node = document.createElement(tag);
  node.className = className;
  return node;
}

const clean = (text) => (text || "").replace(/[\uE000-\uF8FF]/g, "").trim(); // no glyphs of icon fonts

function set(node, attribute, value) {
  if (node.getAttribute(attribute) !== value) node.setAttribute(attribute, value);
}

// The text of the label in the control's own widget, or of the Label or HTML widget just before it.
function labelBeside(widget) {
  if (!widget) return "";
  const own = clean(widget.querySelector(":scope > .widget-label")?.textContent);
  if (own) return own;
  const before = widget.previousElementSibling;
  return before?.matches(".widget-label, .widget-html") ? clean(before.textContent) : "";
}

// Whether the page itself names the control already.
function isNamed(node) {
  if (node.hasAttribute("aria-labelledby")) return true;
  const given = node.getAttribute("aria-label");
  if (given !== null && given !== node.dataset.rrNamed) return true;
  if (node.matches("button, summary, a") && clean(node.textContent)) return true;
  if (node.matches("input[type=submit], input[type=button]") && node.value) return true;
  // ipywidgets hides an empty label with display: none, and its text is empty then.
  return [...(node.labels || [])].some((label) => clean(label.textContent));
}

function name(node) {
  if (isNamed(node)) return;
  const widget = node.closest(".jupyter-widgets");
  let text = labelBeside(widget) || clean(node.title) || clean(widget?.title);
  if (node.matches(".widget-readout")) text = text && `${text}, value`;
  text = text || clean(node.getAttribute("placeholder"));
  if (!text) return;
  node.dataset.rrNamed = text;
  set(node, "aria-label", text);
}

function nameGroup(group, role) {
  const text = labelBeside(group) || clean(group.title);
  if (!text) return;
  set(group, "role", role);
  set(group, "aria-label", text);
}

function keep(panel) {
  for (const node of panel.querySelectorAll(CONTROLS)) {
    // On the control itself: on its parent it has no effect.
    set(node, "data-lm-suppress-shortcuts", "true");
    if (node.matches(".widget-readout[contenteditable]")) set(node, "role", "textbox");
    if (node.matches("button, input, select, textarea, [role=slider], [role=textbox]")) name(node);
    if (node.matches(".widget-toggle-button")) {
      set(node, "aria-pressed", String(node.classList.contains("mod-active")));
    }
  }
  // What is too wide scrolls in a box of its own, and then the box can be reached and scrolled by keyboard.
  for (const box of panel.querySelectorAll(SCROLLING)) {
    if (box.scrollWidth > box.clientWidth + 1) set(box, "tabindex", "0");
    else if (box.getAttribute("tabindex") === "0") box.removeAttribute("tabindex");
  }
  for (const icon of panel.querySelectorAll("button > i")) set(icon, "aria-hidden", "true");
  for (const group of panel.querySelectorAll(".widget-radio")) nameGroup(group, "radiogroup");
  for (const group of panel.querySelectorAll(".widget-toggle-buttons")) nameGroup(group, "group");
}

function render({ model, el }) {
  el.classList.add("rr-element", "rr-status");
  const line = make("div", "rr-status-line");
  line.setAttribute("role", "status");
  line.setAttribute("aria-live", "polite");
  const mark = make("span", "rr-status-mark");
  mark.setAttribute("aria-hidden", "true");
  const word = make("strong", "rr-status-word");
  const text = make("span", "rr-status-text");
  line.append(mark, word, text);
  el.append(line);

  const show = () => {
    const said = model.get("text");
    const [symbol, kind] = WORDS[model.get("kind")] || WORDS.info;
    line.dataset.kind = said ? model.get("kind") : "none";
    mark.textContent = said ? `${symbol} ` : "";
    word.textContent = said ? `${kind}: ` : "";
    text.textContent = said;
  };

  let panel = null;
  const watcher = new MutationObserver(() => panel && keep(panel));
  const widths = new ResizeObserver(() => panel && keep(panel));
  const nameThePanel = () => {
    const label = model.get("label");
    if (!panel || !label) return;
    set(panel, "role", "group");
    set(panel, "aria-label", label);
  };
  // render() runs before the element is in the page. Its size changes whenever it enters it: now, or when JupyterLab
  // puts back a cell that had been scrolled out of view.
  const arrival = new ResizeObserver(() => {
    const found = el.closest(".rr-panel");
    if (!found || found === panel) return;
    watcher.disconnect();
    widths.disconnect();
    panel = found;
    nameThePanel();
    keep(panel);
    watcher.observe(panel, WATCHED);
    widths.observe(panel);
  });
  arrival.observe(el);

  show();
  model.on("change:text change:kind", show);
  model.on("change:label", nameThePanel);
  return () => {
    arrival.disconnect();
    watcher.disconnect();
    widths.disconnect();
    model.off("change:text change:kind", show);
    model.off("change:label", nameThePanel);
  };
}

export default { render };
