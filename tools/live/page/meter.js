// SPDX-License-Identifier: MIT
// Display, keys, phases, registers, associations.
"use strict";

// --- Display and keys -------------------------------------------------------------------------

on("display", () => {
  const d = state.get("display") || { label: "", value: "" };
  $("lcd").hidden = $("keys").firstElementChild.hidden = !state.get("display");
  put($("h-display"), state.get("display") ? "Display" : "Supply");
  layKeys();
  put($("lcd-label"), d.label || "\u00a0");
  put($("lcd-value"), d.value || "\u00a0");
  $("lcd").setAttribute("aria-label", `${d.label} ${d.value}`.trim() || "nothing is shown");
});

const supplies = ["disconnected", "connected", "ready for reconnection"];
on("supply", () => {
  const n = state.get("supply");
  if ($("supply").textContent !== "–" && $("supply").textContent !== supplies[n]) say(`Supply ${supplies[n]}.`);
  put($("supply"), supplies[n] || "–");
});

function layKeys() {
  for (const b of document.querySelectorAll("#keys button")) b.onclick = () => ask({ do: "key", name: b.dataset.key });
  $("keys").lastElementChild.hidden = $("supply").parentElement.hidden = !facts.disconnector;
  $("lcd").parentElement.hidden = $("lcd").hidden && !facts.disconnector;
}

// --- Registers --------------------------------------------------------------------------------

const cells = new Map();  // id of a register -> elements that show its value
const byObis = new Map(); // C.D.E of electricity -> register
const value = (cde) => {
  const r = byObis.get(cde);
  const v = r && state.get("v:" + r.id);
  return v === undefined || v === null ? NaN : Number(v);
};

function cell(cde, used) {
  const r = byObis.get(cde);
  const td = make("td", r ? { title: `${r.name}, ${r.obis}` } : {}, r ? "–" : "");
  if (r) {
    cells.set(r.id, [...(cells.get(r.id) || []), td]);
    used.add(r.id);
  }
  return td;
}

function matrix(table, head, rows, used) {
  const body = rows.map(([name, cdes]) => [name, cdes.filter((cde) => byObis.has(cde)), cdes]).filter((r) => r[1].length);
  const keep = head.map((_, k) => body.some((r) => byObis.has(r[2][k])));
  table.replaceChildren();
  if (!body.length) return false;
  table.append(
    make("thead", {}, make("tr", {}, make("th", {}), ...head.filter((_, k) => keep[k]))),
    make("tbody", {}, ...body.map(([name, have, cdes]) =>
      make("tr", {}, make("th", { scope: "row" }, name, byObis.get(have[0]).unit ? make("span", { class: "unit" }, byObis.get(have[0]).unit) : null),
        ...cdes.filter((_, k) => keep[k]).map((cde) => cell(cde, used))))));
  return true;
}

const column = (text) => make("th", { scope: "col" }, text);
const phase = (n) => make("th", { scope: "col", class: "l" + n }, make("i"), "L" + n);

function layRegisters() {
  cells.clear();
  byObis.clear();
  for (const r of facts.values) {
    const [a, b, c, d, e] = r.obis.split(".").map(Number);
    if (a === 1 && b === 0) byObis.set(`${c}.${d}.${e}`, r);
  }
  const used = new Set();
  matrix($("now"), [phase(1), phase(2), phase(3), column("Total")], [
    ["U", ["32.7.0", "52.7.0", "72.7.0", "12.7.0"]],
    ["I", ["31.7.0", "51.7.0", "71.7.0", "90.7.0"]],
    ["I N", ["x", "x", "x", "91.7.0"]],
    byObis.has("16.7.0") ? ["P", ["36.7.0", "56.7.0", "76.7.0", "16.7.0"]] : ["P+", ["36.7.0", "56.7.0", "76.7.0", "1.7.0"]],
    ["Q+", ["23.7.0", "43.7.0", "63.7.0", "3.7.0"]],
    ["S", ["29.7.0", "49.7.0", "69.7.0", "9.7.0"]],
    ["Factor", ["33.7.0", "53.7.0", "73.7.0", "13.7.0"]],
    ["f", ["x", "x", "x", "14.7.0"]],
  ], used);
  const tariffs = (c, d) => [0, 1, 2, 3, 4].map((e) => `${c}.${d}.${e}`);
  matrix($("energy"), [column("Total"), ...[1, 2, 3, 4].map((t) => column("Tariff " + t))], [
    ["Import", tariffs(1, 8)], ["Export", tariffs(2, 8)],
    ["Reactive import", tariffs(3, 8)], ["Reactive export", tariffs(4, 8)],
    ["Maximum import", tariffs(1, 6)], ["Maximum export", tariffs(2, 6)],
    ["Maximum reactive import", tariffs(3, 6)], ["Maximum reactive export", tariffs(4, 6)],
  ], used);
  $("others").replaceChildren(make("tbody", {}, ...facts.values.filter((r) => !used.has(r.id) && !r.counter).map((r) => {
    const td = make("td", { class: "num" }, "–");
    cells.set(r.id, [td]);
    return make("tr", {}, make("td", { class: "time" }, r.obis), make("td", {}, r.name), td, make("td", {}, r.unit));
  })));
  const counters = facts.values.filter((r) => r.counter);
  $("counters").hidden = !counters.length;
  $("counters").replaceChildren(make("tbody", {}, ...counters.map((r) => {
    const td = make("td", { class: "num" }, "–");
    cells.set(r.id, [...(cells.get(r.id) || []), td]);
    return make("tr", {}, make("td", {}, r.name), td);
  })));
  drawValues();
  drawPhasors();
}

function drawValues() {
  for (const [id, elements] of cells) {
    const v = state.get("v:" + id);
    for (const e of elements) put(e, v === undefined || v === null ? "–" : v);
  }
}
on("v", drawValues);
on("v", drawPhasors);

// --- Phasors ----------------------------------------------------------------------------------
// As on paper: the voltage of L1 points up, and what lags comes later with the clock.

const angles = { u: ["81.7.0", "81.7.10", "81.7.20"], i: ["81.7.40", "81.7.50", "81.7.60"] };
const sizes = { u: ["32.7.0", "52.7.0", "72.7.0"], i: ["31.7.0", "51.7.0", "71.7.0"] };
let arrows = null;

function layPhasors() {
  const root = $("phasors");
  root.replaceChildren(
    svg("circle", { r: 92 }), svg("circle", { r: 46 }),
    svg("line", { class: "axis", x1: 0, y1: -92, x2: 0, y2: 92 }), svg("line", { class: "axis", x1: -92, y1: 0, x2: 92, y2: 0 }));
  arrows = [];
  for (const kind of ["u", "i"]) {
    for (const k of [0, 1, 2]) {
      const line = svg("line", { class: kind, x1: 0, y1: 0 });
      const head = svg("path", {});
      const text = svg("text", {});
      text.textContent = `${kind === "u" ? "U" : "I"}${k + 1}`;
      const g = svg("g", { class: "l" + (k + 1) }, line, head, text);
      root.append(g);
      arrows.push({ kind, k, g, line, head, text });
    }
  }
}

function drawPhasors() {
  if (!arrows) layPhasors();
  const most = {};
  for (const kind of ["u", "i"]) most[kind] = Math.max(1e-3, ...sizes[kind].map(value).filter((v) => !isNaN(v)));
  const words = [];
  for (const { kind, k, g, line, head, text } of arrows) {
    const size = value(sizes[kind][k]);
    const degrees = value(angles[kind][k]);
    const none = isNaN(size) || isNaN(degrees) || size <= 0;
    g.style.display = none ? "none" : "";
    if (none) continue;
    const r = (kind === "u" ? 90 : 62) * Math.max(0.12, size / most[kind]);
    const a = (degrees - 90) * Math.PI / 180;
    const at = (d, turn = 0) => `${(d * Math.cos(a + turn)).toFixed(1)} ${(d * Math.sin(a + turn)).toFixed(1)}`;
    const [x, y] = at(r).split(" ");
    line.setAttribute("x2", x);
    line.setAttribute("y2", y);
    head.setAttribute("d", `M${at(r)}L${at(r - 8, 3.5 / r)}L${at(r - 8, -3.5 / r)}Z`);
    const [tx, ty] = at(r + 11, kind === "i" ? 0.12 : 0).split(" ");
    text.setAttribute("x", tx);
    text.setAttribute("y", ty);
    words.push(`${text.textContent} ${size} ${kind === "u" ? "V" : "A"} at ${Math.round((degrees + 360) % 360)} degrees`);
  }
  $("phasors").toggleAttribute("hidden", !words.length);
  $("phasors").setAttribute("aria-label", "Phasor diagram: " + words.join(", "));
}

// --- Associations -----------------------------------------------------------------------------

on("who", () => {
  const rows = state.get("who").map((a) => make("tr", {},
    make("td", { class: "num" }, String(a.client)),
    make("td", {}, a.note, a.device && make("span", { class: "muted" }, ` of ${a.device}`)),
    make("td", {}, a.mechanism),
    make("td", { class: a.open ? "long" : "none" }, ...(a.open ? [make("span", { class: "chip on" }, "open"), " " + a.open] : [make("span", { class: "muted" }, "–")]))));
  $("who").replaceChildren(
    make("thead", {}, make("tr", {}, make("th", { class: "num", scope: "col" }, "SAP"), make("th", { scope: "col" }, "Client"), make("th", { scope: "col" }, "Proves itself by"), make("th", { scope: "col" }, "Now"))),
    make("tbody", {}, ...rows));
});
