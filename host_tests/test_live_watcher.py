# SPDX-License-Identifier: MIT
"""tools/live/watcher.py, source.py, facts.py, event_names.py: from the feed of a double
(doubles/fed.py) to what the page shows."""

import asyncio
import datetime
import functools
import re

import feeds
import pytest
import running
from doubles.fed import Fed
from live import event_names, facts, hub, plain, source, talk, watcher

from firmware.meter import events

LINK = (1, "wrapper-tcp", "127.0.0.1:4059", "127.0.0.1:50000")


@functools.cache
def residential():
    return facts.load(running.DEFAULT_DEFINITION)


class Bench:
    """A double, and what a browser would be told of it in `state`."""

    def __init__(self, fed):
        self.fed = fed
        self.ended = asyncio.Event()
        self.feed = feeds.Feed()
        self.hub = hub.Hub({})
        self.watcher = watcher.Watcher(
            residential(), self.feed, self.hub, talk.Talk(residential())
        )
        source.Source(fed.far, self.feed, self.ended.set)
        self.state = self.hub.state

    async def until(self, true):
        async with asyncio.timeout(20):
            while not true():
                await asyncio.sleep(0.01)

    async def ask(self, view, **message):
        """A command of a browser; what is said to it, or None."""
        try:
            self.watcher.commands[message["do"]](view, message)
        except ValueError as e:
            return str(e)
        n = len(self.fed.commands)
        await self.until(lambda: len(self.fed.commands) >= n and not self.feed._asked)
        return (view.take() or {}).get("said")


def run(test, *, begun=True):
    async def whole():
        with Fed() as fed:
            bench = Bench(fed)
            if begun:
                fed.begin()
                fed.open(*LINK)
                await bench.until(lambda: bench.state["links"])
            await test(bench, fed)

    asyncio.run(whole())


def shown(bench, key):
    return bench.state.get(key)


# --- What the feed says ---------------------------------------------------------------------


def test_from_begin_to_end():
    async def test(bench, fed):
        assert not shown(bench, "meter")["live"]
        fed.begin()
        await bench.until(lambda: shown(bench, "meter")["live"])
        assert shown(bench, "meter")["runtime"] == "a double"
        fed.state(time=[0, 61])
        await bench.until(lambda: shown(bench, "meter")["clock"] == "2000-01-01 00:01:01 UTC")
        fed.end()
        async with asyncio.timeout(20):
            await bench.ended.wait()
        bench.watcher.gone()
        assert not shown(bench, "meter")["live"]

    run(test, begun=False)


def test_a_meter_that_hangs(monkeypatch):
    monkeypatch.setattr(watcher, "_SILENT_S", 0.2)

    async def test(bench, fed):
        task = asyncio.create_task(bench.watcher.look())
        await bench.until(lambda: not shown(bench, "meter")["live"])
        fed.state()
        await bench.until(lambda: shown(bench, "meter")["live"])
        task.cancel()

    run(test)


def test_links_come_and_go_and_are_counted():
    async def test(bench, fed):
        fed.received(1, bytes(21))
        fed.sent(1, bytes(15))
        fed.state()
        await bench.until(lambda: shown(bench, "links")[0]["tx"])
        assert shown(bench, "links") == [
            {"link": "wrapper-tcp", "peer": "127.0.0.1:50000", "rx": 21, "tx": 15}
        ]
        fed.close(1)
        await bench.until(lambda: not shown(bench, "links"))

    run(test)


def test_state():
    async def test(bench, fed):
        fed.state(
            display=["1.8.0", "1.00 kWh"], heap=[300000, 5000],
            supply=[{"connected": False, "state": 2, "mode": 4}], counters={"requests": 7},
            associations=[
                {"link": 1, "client": 2, "server": 1, "mechanism": 1, "state": "open"},
                {"link": 1, "client": 1, "server": 1, "mechanism": 5, "state": "pending"},
            ],
        )  # fmt: skip
        await bench.until(lambda: shown(bench, "counts"))
        assert shown(bench, "display") == {"label": "1.8.0", "value": "1.00 kWh"}
        assert shown(bench, "memory") == {
            "Heap": "297.9 KB", "In use, with garbage": "293.0 KB",
            "Least of the last minute": "293.0 KB",
        }  # fmt: skip
        assert shown(bench, "supply") == 2
        who = {a["client"]: a["open"] for a in shown(bench, "who") if a["server"] == 1}
        assert who[2] == "wrapper-tcp 127.0.0.1:50000" and who[1].endswith("not proven yet")
        assert not who[16]

    run(test)


def test_memory_that_is_in_use_without_garbage():
    async def test(bench, fed):
        for allocated in (300000, 301000, 3000, 4000):
            fed.state(heap=[allocated, 305000 - allocated])
        await bench.until(lambda: "4000 octets" in (shown(bench, "memory") or {}).values())
        assert shown(bench, "memory")["Least of the last minute"] == "3000 octets"

    run(test)


def test_the_conversation_and_what_of_it_was_lost():
    async def test(bench, fed):
        view = bench.hub.open()
        fed.received(1, b"\0\1\0\x10\0\1\0\x0d" + running.GET_TIME)
        fed.say("L 0 12")
        await bench.until(lambda: view.dropped)
        message = view.take()
        assert message["talk"][0]["text"] == "Clock 0.0.1.0.0 time" and message["dropped"] == 12

    run(test)


@pytest.mark.parametrize(
    "line", ["S 1 []", 'S 1 {"time": 5, "counters": {}}', 'S 1 {"display": [1]}', "X", "R 1 9 0"]
)
def test_what_only_looks_like_a_line(line):
    async def test(bench, fed):
        fed.say(line)
        fed.state()
        await bench.until(lambda: (shown(bench, "counts") or {}).get("garbage"))
        assert shown(bench, "meter")["live"]

    run(test)


# --- What is read while somebody looks ------------------------------------------------------


def test_it_ends_though_an_answer_comes_at_that_moment():
    async def test(bench, fed):
        asked = []
        bench.feed.send = lambda command, then: asked.append(then)
        task = asyncio.create_task(bench.watcher._read("get 1 0.0.42.0.0.255 2"))
        await bench.until(lambda: asked)
        asked[0](feeds.Answer({}, b"\x11\1"))
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    run(test)


def date_time(text):
    at = datetime.datetime.fromisoformat(text)
    return b"\x09\x0c" + bytes(
        (at.year >> 8, at.year & 0xFF, at.month, at.day, 0xFF, at.hour, at.minute, at.second, 0,
         0x80, 0, 0)
    )  # fmt: skip


def test_nothing_is_read_while_nobody_looks():
    async def test(bench, fed):
        bench.fed.values["3 1.0.32.7.0.255 2"] = b"\x12\x08\xff"
        bench.fed.values["3 1.0.1.8.0.255 2"] = b"\x06\0\0\x30\x3a"
        task = asyncio.create_task(bench.watcher.look())
        await asyncio.sleep(0.2)
        assert fed.commands == []
        bench.hub.open()
        await bench.until(lambda: "v:3/1.0.81.7.60/2" in bench.state)
        assert shown(bench, "v:3/1.0.32.7.0/2") == "230.3"
        assert shown(bench, "v:3/1.0.1.8.0/2") == "12.346"
        assert shown(bench, "v:3/1.0.52.7.0/2") is None  # the meter has not given it
        task.cancel()

    run(test)


def test_its_clock_shows_its_own_time():
    """As its events, its load profiles and its display do."""

    async def test(bench, fed):
        at = bytearray(date_time("2026-11-21T10:00:00"))
        at[11:13] = (-60).to_bytes(2, "big", signed=True)
        fed.values["8 0.0.1.0.0.255 2"] = bytes(at)
        fed.state(time=[0, 61])
        bench.hub.open()
        task = asyncio.create_task(bench.watcher.look())
        await bench.until(lambda: "+01:00" in (shown(bench, "meter")["clock"] or ""))
        assert shown(bench, "meter")["clock"] == "2000-01-01 01:01:01 UTC+01:00"
        task.cancel()

    run(test)


def test_events_by_their_names():
    async def test(bench, fed):
        fed.values["7 0.0.99.98.0.255 2 10"] = b"\x01\x01\x02\x02" + date_time(
            "2026-11-21T10:00:00"
        ) + b"\x11\x02"  # fmt: skip
        fed.values["7 0.0.99.98.1.255 2 10"] = b"\x01\x01\x02\x02" + date_time(
            "2026-11-21T10:00:05"
        ) + b"\x11\x2e"  # fmt: skip
        bench.hub.open()
        task = asyncio.create_task(bench.watcher.look())
        await bench.until(lambda: shown(bench, "events"))
        assert [(e["time"], e["log"], e["name"]) for e in shown(bench, "events")] == [
            ("11-21 10:00:05", "fraud", "association authentication failed"),
            ("11-21 10:00:00", "standard", "power up"),
        ]
        task.cancel()

    run(test)


def test_a_load_profile():
    async def test(bench, fed):
        row = b"\x02\x08" + date_time("2026-11-21T10:00:00") + b"\x11\0"
        row += (
            b"".join(b"\x06" + n.to_bytes(4, "big") for n in (12345, 0, 0, 0, 1500))
            + b"\x12\x08\xff"
        )
        fed.values["7 1.0.99.1.0.255 7"] = b"\x06\0\0\0\1"
        fed.values["7 1.0.99.1.0.255 2 192"] = b"\x01\x01" + row
        view = bench.hub.open()
        assert await bench.ask(view, do="profile", id="1.0.99.1.0") is None
        task = asyncio.create_task(bench.watcher.look())
        await bench.until(lambda: "profile:1.0.99.1.0" in bench.state)
        assert shown(bench, "profile:1.0.99.1.0") == {
            "total": 1,
            "rows": [[1795255200, None, 12.345, 0, 0, 0, 1500, 230.3]],
        }
        for other in ("1.0.99.9.0", None, 0, [], {}):
            assert "no such profile" in await bench.ask(view, do="profile", id=other)
        task.cancel()

    run(test)


def test_a_meter_of_another_definition():
    async def test(bench, fed):
        for value in (b"\x12\0\1", b"\x01\x01\x12\0\1", b"\x01\x01\x02\x02\0\0", b"\x02\0"):
            fed.values["7 0.0.99.98.0.255 2 10"] = fed.values["7 1.0.99.1.0.255 2 192"] = value
            fed.values["7 1.0.99.1.0.255 7"] = b"\x06\0\0\0" + value[:1]
            view = bench.hub.open()
            await bench.ask(view, do="profile", id="1.0.99.1.0")
            task = asyncio.create_task(bench.watcher.look())
            await bench.until(lambda: "profile:1.0.99.1.0" in bench.state)
            assert not task.done() and shown(bench, "events") == []
            task.cancel()
            del bench.state["profile:1.0.99.1.0"]
            bench.watcher._profiles.clear()

    run(test)


# --- What a browser asks for ----------------------------------------------------------------


def test_keys():
    async def test(bench, fed):
        view = bench.hub.open()
        assert await bench.ask(view, do="key", name="display") is None
        assert fed.commands == ["press display", "state"]
        fed.state(supply=[{"connected": True, "state": 1, "mode": 4}])
        await bench.until(lambda: shown(bench, "supply") == 1)
        await bench.ask(view, do="key", name="disconnector")
        fed.state(supply=[{"connected": False, "state": 2, "mode": 4}])
        await bench.until(lambda: shown(bench, "supply") == 2)
        await bench.ask(view, do="key", name="disconnector")
        assert fed.commands[2::2] == ["press disconnect", "press reconnect"]
        assert await bench.ask(view, do="key", name="other") == "The meter has no such key."
        fed.errors["press"] = "This meter has no display."
        assert await bench.ask(view, do="key", name="display") == "This meter has no display."

    run(test)


def test_faults():
    async def test(bench, fed):
        view = bench.hub.open()
        await bench.ask(view, do="fault", link="wrapper-tcp", fault="drop", n=2)
        assert shown(bench, "faulty") == ["wrapper-tcp 127.0.0.1:50000: 2 dropped"]
        fed.say("F 5 1 drop 00")
        await bench.until(lambda: "1 dropped" in shown(bench, "faulty")[0])
        await bench.ask(view, do="fault", link="", fault="delay", n=500)
        assert shown(bench, "faulty")[1] == "all links: 500 ms late"
        fed.close(1)
        await bench.until(lambda: len(shown(bench, "faulty")) == 1)
        await bench.ask(view, do="mend")
        assert shown(bench, "faulty") == []
        assert fed.commands == ["fault 1 drop 2", "fault * delay 500", "fault * none"]

    run(test)


@pytest.mark.parametrize(
    "link, fault, n",
    [("", "other", 1), ("", "drop", 0), ("", "drop", 100), ("", "delay", 60001), ("", "drop", "1"),
     ("", "crc", True), ("hdlc-tcp", "crc", 1)],
)  # fmt: skip
def test_faults_that_are_none(link, fault, n):
    async def test(bench, fed):
        view = bench.hub.open()
        assert await bench.ask(view, do="fault", link=link, fault=fault, n=n)
        assert fed.commands == []

    run(test)


def test_a_tree_that_is_not_kept():
    async def test(bench, fed):
        view = bench.hub.open()
        assert await bench.ask(view, do="tree", n=5) == "This line is not kept any more."

    run(test)


# --- Names ----------------------------------------------------------------------------------


def test_each_event_that_the_meter_notes_has_a_name():
    text = events.__doc__.split("standard ")[1].split("Where those come from")[0]
    said = set()
    for first, last in re.findall(r"(\d+)(?:\.\.(\d+))?", re.sub(r"L\d", "", text)):
        said.update(range(int(first), int(last or first) + 1))
    assert said == set(event_names.NAMES)
    assert event_names.name(7) == "event 7"


@pytest.mark.parametrize("name", ["residential", "polyphase", "prepayment", "heat", "optical"])
def test_facts_of_a_definition_have_no_secrets(name):
    path = running.DEFAULT_DEFINITION.replace("residential.toml", name + ".toml")
    known = facts.load(path)
    text = str(known.public) + str(known.associations) + str(known.notes)
    assert "44454D4F" not in text and "demo-reading" not in text and "DEMO" not in text
    assert known.values and known.logs and known.associations


def test_numbers_have_the_decimals_of_their_scaler():
    value = residential().by_id["3/1.0.1.8.0/2"]
    assert [value.text(n) for n in (0, 5, -12345)] == ["0.000", "0.005", "-12.345"]
    assert value.number(12345) == 12.345 and value.number(float("nan")) is None
    assert residential().by_id["1/0.0.97.97.0/2"].text(255) == "000000FF"


def test_how_far_a_time_is_ahead_of_utc():
    def at(deviation):
        return bytes(9) + deviation.to_bytes(2, "big") + b"\0"

    assert [plain.ahead(at(n)) for n in (0xFFC4, 60, 0, 0x8000)] == [60, -60, 0, None]
    assert plain.ahead(None) is None and plain.ahead(b"") is None and plain.ahead(5) is None


def test_times_that_are_not_whole():
    assert plain.seconds(b"\xff" * 12) is None and plain.seconds(b"") is None
