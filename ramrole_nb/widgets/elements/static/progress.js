// A native <progress> with its caption. See ../progress.py.

function make(tag, className) {
  const node = document.createElement(tag);
  node.className = className;
  return node;
}

function render({ model, el }) {
  el.classList.add("rr-element", "rr-progress");
  const root = make("div", "rr-progress-root");
  const label = make("span", "rr-progress-label");
  label.setAttribute("aria-hidden", "true"); // it is the bar's name already
  const bar = make("progress", "rr-progress-bar");
  const caption = make("span", "rr-progress-caption");
  root.append(label, bar, caption);
  el.append(root);

  const show = () => {
    root.hidden = !model.get("active");
    label.textContent = model.get("label");
    label.hidden = !model.get("label");
    bar.setAttribute("aria-label", model.get("label") || "progress");
    const maximum = model.get("maximum");
    if (maximum > 0) {
      bar.max = maximum;
      bar.value = Math.min(model.get("value"), maximum);
    } else {
      bar.removeAttribute("value"); // unknown: something goes on
    }
    caption.textContent = model.get("caption");
    if (model.get("caption")) bar.setAttribute("aria-valuetext", model.get("caption"));
    else bar.removeAttribute("aria-valuetext");
  };

  const events = "change:value change:maximum change:label change:caption change:active";
  show();
  model.on(events, show);
  return () => model.off(events, show);
}

export default { render };
