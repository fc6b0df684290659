// Counts down in the browser. See ../countdown.py.

// `now`, as the kernel sent it -> milliseconds that the kernel's clock is ahead of this one's. It can be told only at
// the moment a new `now` arrives: in a page that is opened later, the same value is old.
const offsets = new Map();

function initialize({ model }) {
  const arrived = () => {
    offsets.set(model.get("now"), model.get("now") * 1000 - Date.now());
  };
  model.on("change:now", arrived);
  return () => model.off("change:now", arrived);
}

// Milliseconds to add to this computer's clock. Without a fresh `now`, one that lies in the future shows at least that
// this clock is slow; one that lies in the past may just be old, and then this clock is believed: too short a time is
// the harmless error.
function offsetOf(now) {
  if (!now) return 0;
  return offsets.get(now) ?? Math.max(0, now * 1000 - Date.now());
}

// ../countdown.py does the same, with plain spaces; here no line ends between a number and its unit.
function duration(seconds) {
  let left = Math.max(Math.floor(seconds), 0);
  const units = [];
  for (const [size, unit] of [[86400, "d"], [3600, "h"], [60, "min"], [1, "s"]]) {
    const number = Math.floor(left / size);
    left -= number * size;
    if (number || units.length || size === 1) units.push(`${number}\u00a0${unit}`);
  }
  return units.join(" ");
}

function make(tag, className) {
  const node = document.createElement(tag);
  node.className = className;
  return node;
}

// When a screen reader is told: seconds left -> what is said.
const MILESTONES = [[600, "10 minutes"], [60, "1 minute"]];

function render({ model, el }) {
  el.classList.add("rr-element", "rr-countdown");
  const shown = make("span", "rr-countdown-text");
  shown.setAttribute("role", "timer");
  shown.setAttribute("aria-live", "off");
  const announced = make("span", "rr-hidden");
  announced.setAttribute("role", "status");
  el.append(shown, announced);

  let timer = 0;
  let before = Infinity; // seconds left when last looked at
  let offset = 0;

  const tick = () => {
    clearTimeout(timer);
    timer = 0;
    const until = model.get("until");
    if (!until) {
      shown.textContent = announced.textContent = "";
      shown.dataset.state = "none";
      return;
    }
    const clock = Date.now() + offset;
    const left = until - clock / 1000;
    const label = model.get("label");
    if (left <= 0) {
      shown.textContent = model.get("over");
      shown.dataset.state = "over";
      if (before > 0) announced.textContent = model.get("over");
      before = left;
      return; // nothing to wait for
    }
    let text = `${label} ${duration(left)}`.trim();
    const rotates = model.get("rotates");
    if (rotates) {
      const due = rotates - clock / 1000;
      text += due > 0 ? `, rotates in ${duration(due)}` : ", rotation is due";
    }
    shown.textContent = text;
    shown.dataset.state = left <= 60 ? "soon" : "running";
    for (const [seconds, words] of MILESTONES) {
      if (before > seconds && left <= seconds && before !== Infinity) {
        announced.textContent = `${label} ${words}`.trim();
      }
    }
    before = left;
    // To the next whole second of what is left, so that none is skipped.
    timer = setTimeout(tick, (left % 1) * 1000 + 5);
  };
  const restart = () => {
    offset = offsetOf(model.get("now"));
    before = Infinity;
    announced.textContent = "";
    tick();
  };

  const events = "change:until change:rotates change:now change:label change:over";
  restart();
  model.on(events, restart);
  return () => {
    clearTimeout(timer);
    model.off(events, restart);
  };
}

export default { initialize, render };
