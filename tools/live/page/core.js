// SPDX-License-Identifier: MIT
// What all parts of the page share: elements, the socket, and state that is drawn once a frame.
//
// The server says {facts}, {set: {key: value}}, {talk: [line]}, {dropped: n}, {tree}, {said}, in one
// object as they come; a part registers for keys of `set` by on(key, draw). See live/server.py.
"use strict";

const $ = (id) => document.getElementById(id);

function make(tag, attributes, ...children) {
  const e = document.createElement(tag);
  for (const [k, v] of Object.entries(attributes || {})) {
    if (k === "class") e.className = v;
    else if (v === true) e.setAttribute(k, "");
    else if (v !== null && v !== undefined && v !== false) e.setAttribute(k, v);
  }
  e.append(...children.filter((c) => c !== null && c !== undefined));
  return e;
}

function svg(tag, attributes, ...children) {
  const e = document.createElementNS($("phasors").namespaceURI, tag);
  for (const [k, v] of Object.entries(attributes)) e.setAttribute(k, v);
  e.append(...children);
  return e;
}

const put = (e, text) => { if (e.textContent !== text) e.textContent = text; };
const color = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const say = (text) => put($("say"), text);

let facts = null;
const state = new Map();      // key -> newest value
const drawers = new Map();    // key, or its part before the colon -> functions
const changed = new Set();
let fresh = [];               // lines of the conversation that have not been drawn
let frame = 0;

function on(key, draw) {
  drawers.set(key, [...(drawers.get(key) || []), draw]);
}

function later() {
  if (!frame) frame = requestAnimationFrame(drawAll);
}

function drawAll() {
  frame = 0;
  const due = new Set();
  for (const key of changed) {
    for (const draw of drawers.get(key) || drawers.get(key.split(":")[0]) || []) due.add(draw);
  }
  changed.clear();
  for (const draw of due) draw();
  if (fresh.length) {
    const lines = fresh;
    fresh = [];
    addLines(lines);
  }
}

// --- The socket -------------------------------------------------------------------------------

let socket = null;
let dropped = 0;

const token = document.querySelector("meta[name=token]").content;

function connect() {
  let opened = false;
  socket = new WebSocket(`${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/live?token=${token}`);
  socket.onmessage = (message) => take(JSON.parse(message.data));
  socket.onopen = () => { opened = true; };
  socket.onclose = async () => {
    showLink("gone", "not connected");
    setTimeout(connect, 1500);
    if (opened) return;
    // Another start of the meter has another token: its page is loaded.
    const page = await fetch("/").then((answer) => answer.text(), () => token);
    if (!page.includes(token)) location.reload();
  };
}

function ask(what) {
  if (socket && socket.readyState === WebSocket.OPEN) socket.send(JSON.stringify(what));
}

function take(m) {
  if (m.facts) {
    fresh = [];
    wipe();
    facts = m.facts;
    showFacts();
  }
  if (m.set) {
    for (const [key, value] of Object.entries(m.set)) {
      state.set(key, value);
      changed.add(key);
    }
  }
  if (m.talk) fresh = [...fresh, ...m.talk].slice(-KEPT);  // nothing is drawn in a tab that is hidden
  if (m.dropped) dropped += m.dropped;
  if (m.tree) showTree(m.tree);
  if (m.said) notice(m.said);
  later();
}

let noticeTimer = 0;
function notice(text) {
  $("notice").hidden = false;
  put($("notice"), text);
  clearTimeout(noticeTimer);
  noticeTimer = setTimeout(() => { $("notice").hidden = true; }, 6000);
}

// --- The frame of the page --------------------------------------------------------------------

function showLink(is, text) {
  if ($("link").dataset.is === is && $("link").textContent === text) return;
  $("link").dataset.is = is;
  put($("link"), text);
  say(`The meter is ${text}.`);
  document.querySelectorAll("#keys button, #faults button").forEach((b) => { b.disabled = is !== "live"; });
}

on("meter", () => {
  const m = state.get("meter");
  showLink(m.live ? "live" : "gone", m.live ? "live" : "gone");
  put($("clock"), m.clock || "");
  put($("about"), [facts && facts.definition, m.runtime].filter(Boolean).join(" · "));
});

function showFacts() {
  document.title = `${facts.name} · Picometer`;
  put($("name"), facts.name);
  layRegisters();
  laySeries();
  layKeys();
}

for (const b of document.querySelectorAll(".tabs button")) {
  b.onclick = () => {
    document.body.dataset.pane = b.dataset.pane;
    for (const other of document.querySelectorAll(".tabs button")) other.removeAttribute("aria-current");
    b.setAttribute("aria-current", "true");
    window.dispatchEvent(new Event("resize"));
  };
}
