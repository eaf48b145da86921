// SPDX-License-Identifier: MIT
// The conversation: of all lines that are kept only those in sight have elements, and keep them
// while they are in sight.
"use strict";

const KEPT = 2000;
const HEIGHT = 28;
let lines = [];
let shown = [];               // those that pass the filters
let chosen = null;            // number of the line whose tree is open
let following = true;
let paused = false;
let waiting = [];             // came while paused
const rows = new Map();       // number of a line in sight -> its element, and the parts of that
const unused = [];
const known = { link: new Set(), service: new Set() };
const filters = $("filters").elements;
let wanted = { link: "", way: "", service: "", text: "" };

function passes(l) {
  return (!wanted.link || l.link === wanted.link) && (!wanted.way || l.way === wanted.way)
    && (!wanted.service || l.service === wanted.service)
    && (!wanted.text || `${l.what} ${l.text} ${l.note} ${l.result} ${l.peer}`.toLowerCase().includes(wanted.text));
}

function addLines(more) {
  if (paused) {
    waiting.push(...more);
    if (waiting.length > KEPT) waiting = waiting.slice(-KEPT);
    return;
  }
  for (const l of more) {
    for (const kind of ["link", "service"]) {
      if (!known[kind].has(l[kind])) {
        known[kind].add(l[kind]);
        filters[kind].append(make("option", { value: l[kind] }, l[kind]));
      }
    }
  }
  lines.push(...more);
  const passed = more.filter(passes);
  shown.push(...passed);
  if (lines.length > KEPT) {
    lines = lines.slice(-KEPT);
    const first = lines[0].n;
    const gone = shown.findIndex((l) => l.n >= first);
    if (gone) {
      shown = gone < 0 ? [] : shown.slice(gone);
      // Who reads older lines keeps them in sight.
      if (!following) $("lines").scrollTop -= (gone < 0 ? 0 : gone) * HEIGHT;
    }
  }
  if (passed.length || !shown.length) drawLines();
}

function wipe() {
  lines = [];
  shown = [];
  waiting = [];
  dropped = 0;
  following = true;
  drawLines();
}

function drawLines() {
  const box = $("lines");
  $("nothing").hidden = shown.length > 0;
  put($("nothing"), lines.length ? "No line passes the filters." : "Nothing has been said yet.");
  $("room").style.height = shown.length * HEIGHT + "px";
  if (following) box.scrollTop = shown.length * HEIGHT;
  $("follow").hidden = following || !shown.length;
  const first = Math.max(0, Math.floor(box.scrollTop / HEIGHT) - 2);
  const sight = shown.slice(first, first + Math.ceil(box.clientHeight / HEIGHT) + 4);
  const numbers = new Set(sight.map((l) => l.n));
  for (const [n, row] of rows) {
    if (numbers.has(n)) continue;
    rows.delete(n);
    row.e.hidden = true;
    unused.push(row);
  }
  sight.forEach((l, k) => {
    let row = rows.get(l.n);
    if (!row) {
      row = unused.pop() || newRow();
      rows.set(l.n, row);
      fillRow(row, l);
    }
    const top = (first + k) * HEIGHT + "px";
    if (row.e.style.top !== top) row.e.style.top = top;
    row.e.setAttribute("aria-posinset", first + k + 1);
    row.e.setAttribute("aria-selected", String(l.n === chosen));
  });
}

function newRow() {
  const parts = ["t", "a", "s", "k", "x"].map((c) => make("span", { class: c }));
  const e = make("div", { class: "line", role: "option", "aria-setsize": "-1" }, ...parts);
  e.onclick = () => choose(Number(e.dataset.n));
  return { e, parts };
}

function fillRow({ e, parts }, l) {
  const [time, arrow, label, link, text] = parts;
  e.dataset.n = l.n;
  e.id = "line-" + l.n;
  e.className = `line ${l.way}${l.bad ? " bad" : ""}`;
  put(time, l.time);
  put(arrow, l.way === "rx" ? "→" : "←");
  arrow.setAttribute("aria-label", l.way === "rx" ? "to the meter" : "from the meter");
  put(label, l.label);
  put(link, l.client === null ? l.link : `${l.link} ${l.client}`);
  text.replaceChildren(...[l.text && make("i", {}, l.text), l.note && make("span", {}, l.note), l.result && make("b", {}, l.result)].filter(Boolean));
  e.title = `${l.what}, ${l.link} ${l.peer}, ${l.octets} octets`;
  e.hidden = false;
  $("room").append(e);
}

function choose(n) {
  const l = shown.find((one) => one.n === n);
  if (!l) return;
  chosen = n;
  following = false;
  $("lines").setAttribute("aria-activedescendant", "line-" + n);
  put($("d-title"), `${l.way === "rx" ? "To" : "From"} the meter, ${l.time}, ${l.octets} octets, ${l.link} ${l.peer}${l.client === null ? "" : `, client ${l.client}`}`);
  $("tree").replaceChildren(make("p", { class: "muted" }, "…"));
  $("hex").replaceChildren();
  $("detail").hidden = false;
  ask({ do: "tree", n });
  bringInSight();
}

// The details take room from the lines: the one that is chosen stays in sight.
function bringInSight() {
  const box = $("lines");
  const top = shown.findIndex((l) => l.n === chosen) * HEIGHT;
  if (top >= 0) box.scrollTop = Math.min(Math.max(box.scrollTop, top + 2 * HEIGHT - box.clientHeight), top);
  drawLines();
}

function branch(node) {
  const text = node.text || (node.value === undefined || node.value === null ? "" : String(node.value));
  const n = make("span", { class: "n", tabindex: "0" }, make("b", {}, node.name), text, node.type ? make("em", {}, node.type) : null);
  n.onmouseenter = n.onfocus = () => mark(node.b, node.start, node.end);
  return make("div", { role: "treeitem" }, n, node.error ? make("span", { class: "n error" }, node.error) : null, ...(node.children || []).map(branch));
}

let octets = [[]];
function showTree(t) {
  if (t.n !== chosen) return;
  octets = t.hex.map((text) => text.match(/../g) || []);
  $("tree").replaceChildren(...t.nodes.map(branch));
  mark(0, 0, 0);
  bringInSight();
}

// Octets of the message, or of what was inside of it, with those of a node marked.
function mark(b, start, end) {
  const text = (from, to) => (octets[b] || []).slice(from, to).join(" ");
  $("hex").replaceChildren(...(start < end ? [text(0, start), start ? " " : "", make("mark", {}, text(start, end)), " ", text(end)] : [text(0)]));
}

$("d-close").onclick = () => {
  chosen = null;
  $("detail").hidden = true;
  drawLines();
};

$("lines").addEventListener("scroll", () => {
  const box = $("lines");
  following = box.scrollTop + box.clientHeight >= box.scrollHeight - HEIGHT;
  drawLines();
}, { passive: true });

$("lines").addEventListener("keydown", (event) => {
  const at = shown.findIndex((l) => l.n === chosen);
  const to = { ArrowDown: at + 1, ArrowUp: at < 0 ? shown.length - 1 : at - 1, Home: 0, End: shown.length - 1 }[event.key];
  if (event.key === "Escape") return $("d-close").click();
  if (to === undefined || !shown[to]) return;
  event.preventDefault();
  choose(shown[to].n);
});

$("follow").onclick = () => {
  following = true;
  drawLines();
};
$("wipe").onclick = () => {
  $("d-close").click();
  wipe();
};
$("pause").onclick = () => {
  paused = !paused;
  $("pause").setAttribute("aria-pressed", String(paused));
  if (!paused) {
    const more = waiting;
    waiting = [];
    addLines(more);
  }
};
$("filters").addEventListener("submit", (event) => event.preventDefault());
$("filters").addEventListener("input", () => {
  wanted = { link: filters.link.value, way: filters.way.value, service: filters.service.value, text: filters.text.value.toLowerCase() };
  shown = lines.filter(passes);
  following = true;
  drawLines();
});
window.addEventListener("resize", drawLines);

let before = 0;
setInterval(() => {
  const last = lines.length ? lines.at(-1).n : 0;
  const rate = Math.max(0, last - before);
  before = last;
  const parts = [paused ? `${waiting.length} wait` : rate ? `${rate}/s` : ""];
  if (dropped) parts.push(`${dropped} not shown`);
  put($("rate"), parts.filter(Boolean).join(", "));
}, 1000);
