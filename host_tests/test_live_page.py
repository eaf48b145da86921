# SPDX-License-Identifier: MIT
"""The live page in a browser: a running meter, real clicks, what shows (tools/live/page)."""

import os
import re
import shutil
import socket
import time

import bootstrap
import apt_packages
import pytest
import running
from playwright.sync_api import expect, sync_playwright

CHROMIUM = "chromium"
PATIENCE_MS = 30000
OPTIONS = ("--runtime", "cpython", "--seed", "1", "--wrapper-tcp", "0", "--hdlc-tcp", "0",
           "--page", "0")  # fmt: skip


@pytest.fixture(scope="module")
def browser():
    try:
        apt_packages.install({CHROMIUM: "chromium"})
    except bootstrap.Trouble as e:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(str(e))
    args = ["--no-sandbox"] if os.getuid() == 0 else []
    with sync_playwright() as p:
        browser = p.chromium.launch(executable_path=shutil.which(CHROMIUM), args=args)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def meter():
    with running.Running(*OPTIONS) as meter:
        (meter.page,) = [line[5:] for line in meter.lines if line.startswith("page ")]
        yield meter


@pytest.fixture
def client(meter):
    """A reading client with its association open."""
    with meter.connect("wrapper-tcp") as s:
        client = running.Wrapper(s, running.READING)
        assert client.ask(running.aarq_with(b"demo-reading"))[:1] == b"\x61"
        yield client


class Tab:
    """A page that is open; troubles: what the browser complains about."""

    def __init__(self, browser, meter, **how):
        self.context = browser.new_context(**how)
        self.context.set_default_timeout(PATIENCE_MS)
        self.page = self.context.new_page()
        self.troubles = []
        self.addresses = []
        self.page.on("pageerror", lambda e: self.troubles.append(str(e)))
        self.page.on(
            "console", lambda m: self.troubles.append(m.text) if m.type == "error" else None
        )
        self.page.on("request", lambda r: self.addresses.append(r.url))
        self.page.goto(meter.page)
        self.see("#link", "live")

    def see(self, selector, text):
        expect(self.page.locator(selector)).to_have_text(re.compile(text), timeout=PATIENCE_MS)

    def lines(self, text):
        """Lines of the conversation with this text, that are in sight."""
        return self.page.locator("#lines .line:not([hidden])", has_text=text)

    def close(self):
        self.context.close()
        assert self.troubles == []


@pytest.fixture
def tab(browser, meter):
    tab = Tab(browser, meter)
    yield tab
    tab.close()


def get(client, what):
    return client.ask(bytes.fromhex("C001C1" + what))


VOLTAGE = "0003 0100200700FF 02 00"
SECRET = "000F 0000280002FF 07 00"


# --- What it shows --------------------------------------------------------------------------


def test_it_comes_from_here_alone_and_at_once(browser, meter):
    tab = Tab(browser, meter)
    paint = "performance.getEntriesByName('first-contentful-paint')[0].startTime"
    assert tab.page.evaluate(paint) > 0
    assert {re.sub(":.*", "", url) for url in tab.addresses} <= {"http", "data", "ws"}
    own = meter.page.split("//")[1]
    for url in tab.addresses:
        assert url.startswith("data:") or url.split("//")[1].startswith(own)
    # A script that somebody slips in does not run.
    tab.page.evaluate(
        "const s = document.createElement('script'); s.text = 'window.slipped = 1';"
        " document.body.append(s)"
    )
    assert tab.page.evaluate("window.slipped") is None
    tab.troubles.clear()
    tab.close()


def test_the_meter(tab, client):
    tab.see("#name", "PMT1000000000001")
    tab.see("#about", "residential · CPython 3")
    tab.see("#clock", "UTC")
    tab.see("#lcd-value", r"\S")
    tab.see("#supply", "^connected$")
    tab.see("#now tbody tr:has-text('U') td:nth-child(2)", r"^2\d\d\.\d$")
    tab.see("#energy tbody tr:first-child td:nth-child(2)", r"^\d+\.\d\d\d$")
    label = tab.page.locator("#phasors").get_attribute("aria-label")
    assert re.search(r"U2 2\d\d\.?\d* V at 120 degrees", label)
    tab.see("#events", "power up")
    tab.see("#counters", "starts of the program")
    tab.see("#counts", "Requests since the start")
    tab.see("#memory", "Heap")


def test_who_is_there(tab, client):
    who = tab.page.locator("#who tr", has_text="reading client").first
    expect(who).to_contain_text("open wrapper-tcp 127.0.0.1:", timeout=PATIENCE_MS)
    expect(tab.page.locator("#links")).to_contain_text("wrapper-tcp", timeout=PATIENCE_MS)
    client.socket.shutdown(socket.SHUT_RDWR)
    expect(who).not_to_contain_text("open", timeout=PATIENCE_MS)


def test_the_conversation_as_it_happens(tab, client):
    get(client, VOLTAGE)
    line = tab.lines("voltage L1").last
    expect(line).to_contain_text("1.0.32.7.0 value")
    expect(tab.lines(" V").last).to_contain_text(re.compile(r"2\d\d\.\d V"))
    line.click()
    tab.see("#tree", "cosem-attribute-descriptor")
    tab.see("#hex", "01 00 20 07 00 FF")
    tab.page.locator("#tree .n", has_text="instance-id").hover()
    tab.see("#hex mark", "^01 00 20 07 00 FF$")
    tab.page.click("#d-close")
    expect(tab.page.locator("#detail")).to_be_hidden()


def test_filters(tab, client):
    get(client, VOLTAGE)
    expect(tab.lines("voltage L1").last).to_be_visible()
    shown = tab.page.locator("#lines .line:not([hidden])")
    tab.page.select_option("#filters [name=service]", "association")
    expect(tab.lines("voltage L1")).to_have_count(0)
    expect(shown.first).to_contain_text("aar")
    tab.page.select_option("#filters [name=way]", "tx")
    expect(tab.lines("aarq")).to_have_count(0)
    tab.page.select_option("#filters [name=way]", "")
    tab.page.select_option("#filters [name=service]", "")
    tab.page.fill("#filters [name=text]", "VOLTAGE")
    expect(tab.lines("aare")).to_have_count(0)
    expect(tab.lines("voltage L1").last).to_be_visible()
    tab.page.select_option("#filters [name=link]", "wrapper-tcp")
    expect(tab.lines("voltage L1").last).to_be_visible()


def test_pause_and_clear(tab, client):
    own = '#lines .line:not([hidden])[title*=":%d,"]' % client.socket.getsockname()[1]
    expect(tab.page.locator(own, has_text="aare")).to_be_visible()
    tab.page.click("#wipe")
    expect(tab.page.locator("#lines .line:not([hidden])")).to_have_count(0)
    tab.page.click("#pause")
    get(client, VOLTAGE)
    tab.see("#rate", "2 wait")
    expect(tab.lines("voltage")).to_have_count(0)
    tab.page.click("#pause")
    expect(tab.lines("voltage")).to_have_count(1)


def test_by_keyboard(tab, client):
    get(client, VOLTAGE)
    expect(tab.lines("voltage L1").last).to_be_visible()
    tab.page.focus("#lines")
    tab.page.keyboard.press("End")
    tab.page.keyboard.press("ArrowUp")
    tab.see("#tree", "get-request-normal")
    tab.page.keyboard.press("Escape")
    expect(tab.page.locator("#detail")).to_be_hidden()


def test_no_secret_is_in_it(tab, client):
    get(client, SECRET)
    expect(tab.lines("hidden").last).to_be_visible()
    tab.lines("hidden").last.click()
    tab.see("#tree", "hidden")
    text = tab.page.content() + str(
        tab.page.evaluate("JSON.stringify([lines, [...state], facts])")
    )
    hexed = b"demo-reading".hex()
    for form in ("demo-reading", hexed, hexed.upper(), "DEMO", b"DEMO".hex(), "44 45 4D 4F"):
        assert form not in text


def test_a_load_profile(tab, client):
    tab.page.select_option("#series", "1.0.99.1.0 5")
    tab.see("#chart-note", "no row yet|of 1 rows")
    tab.page.select_option("#series", "live")
    tab.see("#chart-note", "since this page was opened")
    expect(tab.page.locator("#chart canvas")).to_be_visible()


# --- Clicks that reach the meter ------------------------------------------------------------


def test_the_key_of_the_display(tab):
    shown = tab.page.locator("#lcd").get_attribute("aria-label")
    tab.page.click("[data-key=display]")
    expect(tab.page.locator("#lcd")).not_to_have_attribute("aria-label", shown)


def test_the_key_of_the_disconnector(tab, meter):
    """Control mode 4 keeps it closed; 2 lets it be opened by hand."""
    tab.see("#supply", "^connected$")
    tab.page.click("[data-key=disconnector]")
    tab.see("#notice", "control_mode 4 does not allow it")
    with meter.connect("wrapper-tcp") as s:
        link = running.Wrapper(s, running.MANAGEMENT)
        client = running.Secured(link, running.MANAGEMENT, int(time.time())).open()
        mode = "C101C1 0046 000060030AFF 04 00 16 02"
        assert client.ask(bytes.fromhex(mode)).hex() == "c501c100"
    tab.page.click("[data-key=disconnector]")
    tab.see("#supply", "ready for reconnection")
    tab.see("#say", "Supply|Event")
    tab.see("#events", "manual disconnection")
    tab.page.click("[data-key=disconnector]")
    tab.see("#supply", "^connected$")


def test_an_answer_that_is_dropped(tab, client):
    tab.page.select_option("#faults [name=fault]", "drop")
    tab.page.click("#faults [type=submit]")
    tab.see("#faulty", "all links: 1 dropped")
    client.socket.settimeout(0.5)
    with pytest.raises(TimeoutError):
        get(client, VOLTAGE)
    expect(tab.lines("a fault has kept this answer here").last).to_be_visible()
    expect(tab.page.locator("#faulty li")).to_have_count(0)
    client.socket.settimeout(running.PATIENCE_S)
    assert get(client, VOLTAGE)[:1] == b"\xc4"


def test_answers_that_are_late_and_mended(tab, client):
    tab.page.select_option("#faults [name=fault]", "delay")
    tab.page.fill("#faults [name=ms]", "300")
    tab.page.click("#faults [type=submit]")
    tab.see("#faulty", "300 ms late")
    assert get(client, VOLTAGE)[:1] == b"\xc4"
    tab.page.click("#mend")
    expect(tab.page.locator("#faulty li")).to_have_count(0)


def test_a_fault_that_the_meter_refuses(tab, client):
    """The wrapper has no check that could be wrong."""
    expect(tab.page.locator("#faults [name=link] option")).to_contain_text(["all", "wrapper-tcp"])
    tab.page.select_option("#faults [name=link]", "wrapper-tcp")
    tab.page.click("#faults [type=submit]")
    tab.see("#notice", "has no check")


def test_a_bad_checksum(tab, meter):
    with meter.connect("hdlc-tcp") as s:
        client = running.HDLC(s.sendall, lambda: s.recv(4096))
        assert client.connect() == 0x73
        tab.page.click("#faults [type=submit]")
        tab.see("#faulty", "1 with a bad checksum")
        client.exchange(client.frame(0x93))
        expect(tab.page.locator("#lines .line.bad").last).to_be_visible()


# --- Whatever it is looked at with ----------------------------------------------------------


def test_two_browsers(browser, meter, tab, client):
    other = Tab(browser, meter, color_scheme="dark")
    get(client, VOLTAGE)
    for one in (tab, other):
        expect(one.lines("voltage L1").last).to_be_visible()
    other.close()


def test_on_a_phone(browser, meter, client):
    tab = Tab(browser, meter, viewport={"width": 360, "height": 740}, has_touch=True)
    get(client, VOLTAGE)
    expect(tab.page.locator("#talk")).to_be_hidden()
    tab.page.locator(".tabs button", has_text="Conversation").tap()
    expect(tab.lines("voltage L1").last).to_be_visible()
    expect(tab.page.locator("#meter")).to_be_hidden()
    for name in ("Meter", "Conversation", "Log"):
        tab.page.locator(".tabs button", has_text=name).tap()
        assert tab.page.evaluate("document.documentElement.scrollWidth") <= 360, name
        assert tab.page.evaluate(CUT) == [], name
    tab.close()


# Headings, keys and chips whose text is wider than they are.
CUT = """() => [...document.querySelectorAll("h2, button, .chip, summary")]
  .filter((e) => e.offsetParent && e.scrollWidth > e.clientWidth).map((e) => e.textContent)"""

CONTRAST = """() => {
  const rgb = (text) => text.match(/[\\d.]+/g).map(Number);
  const light = (c) => { const [r, g, b] = c.slice(0, 3).map((v) => { v /= 255;
    return v <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4; });
    return .2126 * r + .7152 * g + .0722 * b; };
  const ground = (e) => { for (; e; e = e.parentElement) {
    const c = rgb(getComputedStyle(e).backgroundColor);
    if (c.length < 4 || c[3] > .99) return c; } return [255, 255, 255]; };
  const found = [];
  for (const e of document.querySelectorAll("body *")) {
    const own = [...e.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim());
    const style = getComputedStyle(e);
    if (!own || !e.offsetParent || e.disabled || e.closest(".sr,svg,script,style,.skip")) continue;
    const [a, b] = [light(rgb(style.color)), light(ground(e))].sort((x, y) => y - x);
    const ratio = (a + .05) / (b + .05);
    if (ratio < 4.5) found.push(`${e.tagName} ${e.className} ${e.textContent} ${ratio}`);
  }
  return found;
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_can_be_read(browser, meter, client, scheme):
    """WCAG 2.1, 1.4.3: a contrast of 4.5 at least; and all that can be used has a name."""
    tab = Tab(browser, meter, color_scheme=scheme, viewport={"width": 1600, "height": 1000})
    get(client, "0003 0100010900FF 02 00")
    tab.lines("object-undefined").last.click()
    tab.see("#tree", "data-access-result")
    tab.see("#energy", r"\d\.\d\d\d")
    assert tab.page.evaluate(CONTRAST) == []
    for control in tab.page.locator("button, input, select").all():
        name = control.evaluate(
            "e => e.getAttribute('aria-label') || (e.labels?.[0] || e).textContent.trim()"
        )
        assert name, control.evaluate("e => e.outerHTML")
    tab.close()


def test_a_meter_that_has_less(browser):
    """No display, no disconnector, no phases, no counters, and a load that stays as it is."""
    path = running.DEFAULT_DEFINITION.replace("residential.toml", "heat.toml")
    with running.Running(*OPTIONS, "--definition", path) as meter:
        (meter.page,) = [line[5:] for line in meter.lines if line.startswith("page ")]
        tab = Tab(browser, meter)
        tab.see("#now", r"P\+W\d+")
        for absent in ("#lcd", "#keys", "#phasors", "#counters"):
            expect(tab.page.locator(absent)).to_be_hidden()
        tab.see("#nothing", "Nothing has been said yet")
        several = re.compile(r"Chart of ([3-9]|\d\d) values")
        expect(tab.page.locator("#chart")).to_have_attribute(
            "aria-label", several, timeout=PATIENCE_MS
        )
        tab.page.fill("#filters [name=text]", "other")
        with meter.connect("wrapper-tcp") as s:
            running.Wrapper(s).ask(running.AARQ)
            tab.see("#nothing", "No line passes the filters")
            tab.page.fill("#filters [name=text]", "")
            expect(tab.lines("aare").last).to_be_visible()
            expect(tab.page.locator("#nothing")).to_be_hidden()
        tab.close()


# --- Its end, and troubles ------------------------------------------------------------------


def test_the_meter_ends_and_another_begins(browser):
    with running.Running(*OPTIONS) as first:
        (address,) = [line[5:] for line in first.lines if line.startswith("page ")]
        port = address.rstrip("/").rpartition(":")[2]
        first.page = address
        tab = Tab(browser, first)
        first.stop()
        tab.see("#link", "not connected|gone")
        tab.troubles.clear()
        with running.Running(*OPTIONS[:-1], port) as second:
            tab.see("#link", "live")  # of another start: the page has loaded itself again
            tab.see("#supply", "^connected$")
            second.stop()
        tab.troubles.clear()
        tab.close()


def test_a_port_that_is_in_use():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        s.listen()
        port = str(s.getsockname()[1])
        meter = running.Running(*OPTIONS[:-1], port, wait=False)
        assert meter.wait_for("ready") is None
        assert meter.stop() == 1
    assert meter.errors.strip().endswith(
        "port %s of 127.0.0.1 is in use by another program." % port
    )


def test_others_may_reach_it_only_if_asked_for():
    with running.Running(*OPTIONS, "--page-host", "0.0.0.0") as meter:
        meter.stop()
    assert "Whoever reaches 0.0.0.0 can see this meter" in meter.errors


def test_a_page_that_dies_leaves_the_meter_alone(meter):
    """Its process is found by the port that it serves."""
    with running.Running(*OPTIONS) as own:
        pids = [
            int(pid)
            for pid in os.listdir("/proc")
            if pid.isdigit() and is_page_of(pid, own.process.pid)
        ]
        assert len(pids) == 1
        os.kill(pids[0], 9)
        with own.connect("wrapper-tcp") as s:
            client = running.Wrapper(s)
            assert client.ask(running.AARQ)[:1] == b"\x61"
            for _ in range(200):
                assert client.ask(running.GET_TIME)[:1] == b"\xc4"
        own.stop()
    assert "The live page has ended; the meter goes on." in own.errors


def is_page_of(pid, parent):
    try:
        with open("/proc/%s/stat" % pid) as f:
            found = int(f.read().rpartition(")")[2].split()[1])
        with open("/proc/%s/cmdline" % pid) as f:
            return found == parent and "page.py" in f.read()
    except OSError:
        return False
