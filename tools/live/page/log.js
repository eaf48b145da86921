// SPDX-License-Identifier: MIT
// Events, faults, links and memory.
"use strict";

on("events", () => {
  const events = state.get("events");
  $("events").replaceChildren(make("tbody", {}, ...(events.length ? events.map((e) => make("tr", {},
    make("td", { class: "time" }, e.time), make("td", { class: "num" }, String(e.code)), make("td", { class: "rest" }, e.name, make("span", { class: "muted" }, ` ${e.log}`))))
    : [make("tr", {}, make("td", { class: "empty" }, "No event yet."))])));
  const newest = events[0];
  if (newest && newest.key !== $("events").dataset.newest) {
    if ($("events").dataset.newest) say(`Event: ${newest.name}.`);
    $("events").dataset.newest = newest.key;
  }
});

on("links", () => {
  const links = state.get("links");
  const select = $("faults").elements.link;
  const names = [...new Set(links.map((l) => l.link))];
  if (select.dataset.names !== names.join()) {
    select.dataset.names = names.join();
    select.replaceChildren(make("option", { value: "" }, "all"), ...names.map((n) => make("option", { value: n }, n)));
  }
  $("links").replaceChildren(
    make("thead", {}, make("tr", {}, make("th", { scope: "col" }, "Link"), make("th", { scope: "col" }, "Peer"), make("th", { scope: "col", class: "num" }, "In"), make("th", { scope: "col", class: "num" }, "Out"))),
    make("tbody", {}, ...(links.length ? links.map((l) => make("tr", {},
      make("td", {}, l.link), make("td", { class: "long" }, l.peer || "–"),
      make("td", { class: "num" }, String(l.rx)), make("td", { class: "num" }, String(l.tx))))
      : [make("tr", {}, make("td", { class: "empty", colspan: "4" }, "Nobody is connected."))])));
});

const counted = { requests: "Requests since the start", refused: "Refused", received: "Octets received", sent: "Octets sent", dropped: "Frames that were none", overruns: "Octets that a UART has lost", lost: "Lines of the feed lost", garbage: "Lines that are no feed’s" };
on("counts", () => {
  const counts = state.get("counts");
  $("counts").replaceChildren(make("tbody", {}, ...Object.keys(counted).filter((name) => name in counts).map((name) =>
    make("tr", {}, make("td", {}, counted[name]), make("td", { class: "num" }, String(counts[name]))))));
});

on("memory", () => {
  $("memory").replaceChildren(...Object.entries(state.get("memory")).map(([name, text]) =>
    make("p", { class: "row" }, make("span", { class: "muted" }, name), make("span", { class: "number" }, text))));
});

on("faulty", () => {
  $("faulty").replaceChildren(...state.get("faulty").map((text) => make("li", {}, make("span", { class: "chip warn" }, text))));
});

const fault = $("faults").elements;
function layFault() {
  const delay = fault.fault.value === "delay";
  fault.ms.closest("label").hidden = !delay;
  fault.times.closest("label").hidden = delay;
}
$("faults").addEventListener("input", layFault);
$("faults").addEventListener("submit", (event) => {
  event.preventDefault();
  ask({ do: "fault", link: fault.link.value, fault: fault.fault.value, n: Number((fault.fault.value === "delay" ? fault.ms : fault.times).value) });
});
$("mend").onclick = () => ask({ do: "mend" });
layFault();

connect();
