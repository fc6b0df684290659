// A piece of code with a Copy button. See ../code.py.

function make(tag, className) {
  const node = document.createElement(tag);
  node.className = className;
  return node;
}

// <copy> — tabs.js has the same; a test compares them.
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

function render({ model, el }) {
  el.classList.add("rr-element", "rr-code");
  const figure = make("figure", "rr-code-root");
  const bar = make("div", "rr-code-bar");
  const caption = make("figcaption", "rr-code-title");
  const title = make("span", "rr-code-name");
  const language = make("span", "rr-code-language");
  caption.append(title, language);
  const { pre, code } = codeBox();
  const { button, said } = copier(code);
  bar.append(caption, said, button);
  figure.append(bar, pre);
  el.append(figure);

  const show = () => {
    title.textContent = model.get("title");
    const tongue = model.get("language");
    language.textContent = tongue && model.get("title") ? ` (${tongue})` : tongue;
    // A caption that is not a direct child names no figure.
    figure.setAttribute("aria-label", caption.textContent || "Code");
    if (code.textContent !== model.get("code")) {
      code.textContent = model.get("code");
      said.textContent = "";
    }
  };

  const events = "change:code change:language change:title";
  show();
  model.on(events, show);
  return () => model.off(events, show);
}

export default { render };
