// SPDX-License-Identifier: MIT
// One chart: what the page has seen since it was opened, or a column of a load profile.
"use strict";

const LIVE = 600;             // samples of the live series
let samples = [[], []];
let plot = null;
let plotted = "";

function laySeries() {
  const select = $("series");
  select.replaceChildren(make("option", { value: "live" }, "Power, live"));
  for (const p of facts.profiles) {
    const group = make("optgroup", { label: p.name });
    p.columns.forEach((c, k) => { if (c.unit) group.append(make("option", { value: `${p.id} ${k}` }, c.name)); });
    if (group.children.length) select.append(group);
  }
  select.onchange = () => {
    ask({ do: "profile", id: select.value === "live" ? "" : select.value.split(" ")[0] });
    drawChart();
  };
}

function takeSample() {
  const plus = value("1.7.0");
  const minus = value("2.7.0");
  const watts = isNaN(plus) ? value("16.7.0") : plus - (isNaN(minus) ? 0 : minus);
  if (isNaN(watts)) return;
  const now = Math.floor(Date.now() / 1000);
  if (samples[0].at(-1) === now) samples[1][samples[1].length - 1] = watts;
  else {
    samples[0].push(now);
    samples[1].push(watts);
  }
  if (samples[0].length > LIVE) samples = samples.map((s) => s.slice(-LIVE));
  if ($("series").value === "live") drawChart();
}
// A value that stays as it is does not come again.
setInterval(() => { if (facts && (state.get("meter") || {}).live) takeSample(); }, 1000);
on("profile", drawChart);

// The unit, points and words of what is selected.
function selected() {
  const choice = $("series").value;
  if (!choice || choice === "live") {
    return { unit: "W", data: samples, note: samples[0].length < 2 ? "Since this page was opened: the first seconds are being gathered." : "Import less export, since this page was opened.", time: false };
  }
  const [id, k] = choice.split(" ");
  const profile = facts.profiles.find((p) => p.id === id);
  const column = profile.columns[k];
  const rows = (state.get("profile:" + id) || {}).rows || [];
  const total = (state.get("profile:" + id) || {}).total;
  const points = rows.map((r) => [r[0], r[1 + Number(k)]]).filter((p) => p[0] !== null);
  let data = [points.map((p) => p[0]), points.map((p) => p[1])];
  let name = column.name;
  if (column.adds_up) {
    // A counter is of interest by what has been added to it.
    data = [data[0].slice(1), data[1].slice(1).map((v, n) => (v === null || data[1][n] === null ? null : v - data[1][n]))];
    name += ", added in each period";
  }
  const words = total ? `${name}. The newest ${rows.length} of ${total} rows, in the meter’s time.` : "This profile has no row yet.";
  return { unit: column.unit, data, note: words, time: true };
}

// Ticks of the time axis; a day has its date at its beginning.
function times(utc) {
  const zone = utc ? "UTC" : undefined;
  const format = (options) => new Intl.DateTimeFormat("en-GB", { timeZone: zone, ...options });
  const second = format({ hour: "2-digit", minute: "2-digit", second: "2-digit" });
  const minute = format({ hour: "2-digit", minute: "2-digit" });
  const day = format({ day: "numeric", month: "short" });
  return (u, ticks, axis, space, step) => ticks.map((t) => {
    const at = new Date(t * 1000);
    if (step < 60) return t % 1 ? "" : second.format(at);
    return step >= 86400 || minute.format(at) === "00:00" ? day.format(at) : minute.format(at);
  });
}

function drawChart() {
  if (!facts) return;
  const { unit, data, note, time } = selected();
  put($("chart-note"), note);
  $("chart").setAttribute("aria-label", data[1].length ? `Chart of ${data[1].length} values, the last ${data[1].at(-1)} ${unit}` : note);
  const bars = time && data[0].length > 1;
  const kind = `${$("series").value} ${unit} ${bars} ${color("--ink")}`;
  const width = $("chart").clientWidth;
  if (!width) return;
  if (plot && plotted === kind) return plot.setData(data);
  if (plot) plot.destroy();
  plotted = kind;
  const axis = { stroke: color("--muted"), font: "12px system-ui, sans-serif", grid: { stroke: color("--line"), width: 1 }, ticks: { show: false } };
  plot = new uPlot({
    width, height: 210,
    cursor: { y: false },
    tzDate: time ? (s) => uPlot.tzDate(new Date(s * 1000), "UTC") : undefined,
    legend: { show: false },
    scales: { x: { range: (u, first, last) => first === last ? [first - 10, last + 10] : [first, last] }, y: { range: (u, low, high) => low === null ? [0, 1] : [Math.min(0, low), Math.max(unit === "W" ? 10 : 0.01, high) * 1.08] } },
    axes: [{ ...axis, size: 30, space: 80, values: times(time) }, { ...axis, size: 58, values: (u, ticks) => ticks.map((t) => `${+t.toFixed(3)} ${unit}`) }],
    series: [{}, { stroke: color("--accent"), width: 1.6, fill: color("--accent") + (bars ? "55" : "22"), paths: bars ? uPlot.paths.stepped({ align: -1 }) : undefined, points: { show: data[0].length < 2 } }],
  }, data, $("chart"));
}

window.addEventListener("resize", () => {
  const width = $("chart").clientWidth;
  if (plot && width) plot.setSize({ width, height: 210 });
  else drawChart();
});
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawChart);
