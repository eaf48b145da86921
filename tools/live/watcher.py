# SPDX-License-Identifier: MIT
"""Makes what the feed says, and what it answers, the state that the page shows.

While somebody looks, the values of registers are read: instantaneous ones each second, all others
each fifth one; event logs when something has happened; a load profile when one is shown and has a
new row. A few commands are on their way at a time, the next round waits for the last one: a slow
line makes the page slower, nothing else.
"""

import asyncio
import collections
import contextlib
import datetime
import time

import feeds

from live import backlog, event_names, plain

_ROUND_S = 1
_LEAST_S = 0.05  # between two rounds
_SLOW = 5  # rounds
_AT_A_TIME = 8
_PATIENCE_S = 5
_SILENT_S = 5  # who has not even said its state for so long hangs
_ROWS = 192  # of a load profile: two days of quarters of an hour
_EVENTS = 40
_EVENT_ROWS = 10  # of each log
_EPOCH_2000 = 946684800
_MINUTE = 60  # states
_MOST_MS = 60000
_MOST_TIMES = 99
_FAULTS = {"crc": "%d with a bad checksum", "drop": "%d dropped", "delay": "%d ms late"}
_SUPPLY_ON = 1


class Watcher:
    """Events of `feed` go to take(); look() is to run beside. talk: a talk.Talk."""

    def __init__(self, facts, feed, hub, talk):
        self.facts = facts
        self.feed = feed
        self.hub = hub
        self.talk = talk
        self._backlog = backlog.Backlog(feed, talk, hub)
        self.commands = {
            "key": self._key,
            "fault": self._fault,
            "mend": self._mend,
            "tree": self._tree,
            "profile": self._profile,
        }
        self._links = {}  # number: [link, received, sent]
        self._faults = {}  # (number of the link, fault): n
        self._profiles = {}  # id: entries_in_use that the page has seen
        self._wanted = {}  # view: id of a profile
        self._logged = None  # events that the meter has counted when its logs were read
        self._state = {}
        self._ahead = None  # minutes that the meter's time is ahead of UTC, None: unknown
        self._used = collections.deque(maxlen=_MINUTE)  # octets of heap, second by second
        self._live = False
        self.heard = 0  # when the feed has said something
        self._runtime = ""
        self._hurry = asyncio.Event()
        hub.on_open = self._hurry.set
        feed.subscribe(self.take)
        hub.set("meter", {"live": False})
        for key in ("links", "events", "faulty"):
            hub.set(key, [])
        self._show_who()

    # --- What the feed says -------------------------------------------------------------------

    def take(self, event):
        self.heard = time.monotonic()
        try:
            self._TAKERS[type(event)](self, event)
        except Exception:
            # Whatever is on the port of a board may look like a line of the feed; it is counted.
            self.feed.garbage += 1

    def _begun(self, event):
        self._runtime = event.about.get("runtime", "")
        self._state = {}
        self._used.clear()
        self._logged = None
        self._profiles.clear()
        self._links.clear()
        self._faults.clear()
        self._show_links()
        self._show_faults()
        self._set_live(True)
        self._hurry.set()

    def _opened(self, event):
        self._links[event.link.number] = [event.link, 0, 0]
        self._backlog.put(event)
        self._show_links()

    def _closed(self, event):
        self._backlog.put(event)
        self._links.pop(event.link.number, None)
        for key in [key for key in self._faults if key[0] == event.link.number]:
            del self._faults[key]
        self._show_links()
        self._show_faults()

    def _octets(self, event):
        counted = self._links.get(event.link.number)
        if event.fault is None:
            if counted:
                counted[1 + event.sent] += len(event.octets)
        else:
            self._fault_has_struck(event)
        self._backlog.put(event)

    def _said(self, event):
        values = self._state = dict(event.values)
        self._set_live(True)
        display = values.get("display")
        self.hub.set("display", display and {"label": display[0], "value": display[1]})
        supply = values.get("supply")
        self.hub.set("supply", supply[0].get("state") if supply else None)
        self.hub.set("counts", {**values["counters"], "garbage": self.feed.garbage})
        self._show_memory(values.get("heap"))
        self._show_who()
        self._show_links()

    def gone(self):
        """The meter has ended, or its line is broken."""
        self._set_live(False)

    _TAKERS = {
        feeds.Begun: _begun,
        feeds.Opened: _opened,
        feeds.Closed: _closed,
        feeds.Octets: _octets,
        feeds.Lost: lambda self, event: self._backlog.put(event),
        feeds.State: _said,
    }

    def _set_live(self, live):
        self._live = live
        clock = None
        if self._state.get("time"):
            minute, second = self._state["time"]
            zone = datetime.timezone(datetime.timedelta(minutes=self._ahead or 0))
            at = datetime.datetime.fromtimestamp(_EPOCH_2000 + 60 * minute + second, zone)
            clock = at.strftime("%Y-%m-%d %H:%M:%S ") + zone.tzname(None)
        self.hub.set("meter", {"live": live, "runtime": self._runtime, "clock": clock})

    def _show_memory(self, heap):
        """What is in use counts what nobody needs any more, until it is collected."""
        memory = {"Heap": "this runtime cannot say"}
        if heap:
            self._used.append(heap[0])
            memory = {
                "Heap": octets(sum(heap)),
                "In use, with garbage": octets(heap[0]),
                "Least of the last minute": octets(min(self._used)),
            }
        self.hub.set("memory", memory)

    def _show_links(self):
        shown = [
            {"link": link.kind, "peer": link.peer, "rx": rx, "tx": tx}
            for link, rx, tx in self._links.values()
        ]
        self.hub.set("links", shown)

    def _show_who(self):
        open_ = {}
        for a in self._state.get("associations") or ():
            link = self._links.get(a.get("link"))
            words = (link[0].kind + " " + link[0].peer).strip() if link else "open"
            if a.get("state") == "pending":
                words += ", not proven yet"
            open_.setdefault((a.get("client"), a.get("server")), []).append(words)
        shown = [
            {**a, "open": ", ".join(open_.get((a["client"], a["server"]), ()))}
            for a in self.facts.associations
        ]
        self.hub.set("who", shown)

    def _fault_has_struck(self, event):
        for number in (event.link.number, "*"):
            key = (number, event.fault)
            if key in self._faults and event.fault != "delay":
                self._faults[key] -= 1
                if not self._faults[key]:
                    del self._faults[key]
                break
        self._show_faults()

    def _show_faults(self):
        words = []
        for (number, fault), n in self._faults.items():
            link = self._links.get(number)
            where = "all links" if link is None else "%s %s" % (link[0].kind, link[0].peer)
            words.append("%s: %s" % (where.strip(), _FAULTS[fault] % n))
        self.hub.set("faulty", words)

    # --- What a browser asks for --------------------------------------------------------------

    def _send(self, view, command, done=lambda: None):
        def then(answer):
            if answer.error:
                view.tell(said=answer.error)
            else:
                done()

        self.feed.send(command, then)

    def _key(self, view, message):
        name = message["name"]
        if name == "display":
            word = "display"
        elif name == "disconnector":
            supply = self._state.get("supply")
            on = supply and supply[0].get("state") == _SUPPLY_ON
            word = "disconnect" if on else "reconnect"
        else:
            raise ValueError("The meter has no such key.")
        self._send(view, "press " + word)
        self.feed.send("state")

    def _fault(self, view, message):
        fault, n, kind = message["fault"], message["n"], message["link"]
        if fault not in _FAULTS:
            raise ValueError("There is no such fault.")
        most = _MOST_MS if fault == "delay" else _MOST_TIMES
        if type(n) is not int or not 1 <= n <= most:
            raise ValueError("A fault takes a number from 1 to %d." % most)
        numbers = ["*"]
        if kind:
            numbers = [number for number, link in self._links.items() if link[0].kind == kind]
        if not numbers:
            raise ValueError("No such link is open.")
        for number in numbers:

            def done(number=number):
                self._faults[number, fault] = n
                self._show_faults()

            self._send(view, "fault %s %s %d" % (number, fault, n), done)

    def _mend(self, view, message):
        def done():
            self._faults.clear()
            self._show_faults()

        self._send(view, "fault * none", done)

    def _tree(self, view, message):
        tree = self.talk.tree(message["n"])
        if tree is None:
            raise ValueError("This line is not kept any more.")
        view.tell(tree=tree)

    def _profile(self, view, message):
        id_ = message["id"]
        if id_ != "" and not any(p.id == id_ for p in self.facts.profiles):
            raise ValueError("The meter has no such profile.")
        self._wanted[view] = id_
        self._hurry.set()

    # --- What is read while somebody looks ----------------------------------------------------

    async def look(self):
        turn = 0
        while True:
            self._hurry.clear()
            started = time.monotonic()
            if self._live and started - self.heard > _SILENT_S:
                self._set_live(False)
            self._wanted = {v: id_ for v, id_ in self._wanted.items() if v in self.hub.views}
            if self.hub.views and self._live:
                with contextlib.suppress(TimeoutError):
                    await self._round(turn % _SLOW == 0)
                turn += 1
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(max(_LEAST_S, started + _ROUND_S - time.monotonic())):
                    await self._hurry.wait()
                    turn = 0  # somebody new sees all at once

    async def _round(self, everything):
        wanted = [v for v in self.facts.values if everything or v.quick]
        at_a_time = asyncio.Semaphore(_AT_A_TIME)

        silent = []

        async def read(value):
            async with at_a_time:
                if silent:
                    return
                try:
                    n = await self._read(value.command)
                except TimeoutError:
                    silent.append(value)
                    return
                text = value.text(n) if isinstance(n, (int, float)) else None
                self.hub.set("v:" + value.id, text)

        await asyncio.gather(*map(read, wanted))
        if silent:
            return
        await self._read_logs()
        if everything and self.facts.clock:
            self._ahead = plain.ahead(await self._read(self.facts.clock))
            self._set_live(self._live)
        if everything:
            for id_ in set(self._wanted.values()) - {""}:
                await self._read_profile(next(p for p in self.facts.profiles if p.id == id_))

    async def _read(self, command):
        """A value of the meter, or None: it has not given any."""
        future = asyncio.get_running_loop().create_future()

        def then(answer):
            if not future.done():
                future.set_result(answer)

        self.feed.send(command, then)
        # Not wait_for(), which Python 3.11 may go on after, though it was cancelled.
        async with asyncio.timeout(_PATIENCE_S):
            answer = await future
        with contextlib.suppress(ValueError):
            if not answer.error:
                return plain.plain(answer.octets)
        return None

    async def _rows(self, command):
        """Rows of a buffer that have two columns at least. A meter of another definition may
        have anything there."""
        rows = await self._read(command)
        if not isinstance(rows, list):
            return []
        return [row for row in rows if isinstance(row, list) and len(row) > 1]

    async def _read_logs(self):
        counted = self.hub.state.get("v:" + self.facts.events_id) if self.facts.events_id else None
        if counted is not None and counted == self._logged:
            return
        events = []
        for log, command in self.facts.logs:
            for row in await self._rows("%s %d" % (command, _EVENT_ROWS)):
                if not isinstance(row[1], int):
                    continue
                at = plain.seconds(row[0])
                when = "" if at is None else datetime.datetime.fromtimestamp(
                    at, datetime.timezone.utc
                ).strftime("%m-%d %H:%M:%S")  # fmt: skip
                events.append((at or 0, len(events), when, log, row[1]))
        events.sort(reverse=True)
        self._logged = counted
        shown = [
            {"time": when, "log": log, "code": code, "name": event_names.name(code),
             "key": "%d %s %d" % (at, log, code)}
            for at, _k, when, log, code in events[:_EVENTS]
        ]  # fmt: skip
        self.hub.set("events", shown)

    async def _read_profile(self, profile):
        total = await self._read(profile.command + "7")
        if total is None or self._profiles.get(profile.id) == total:
            return
        self._profiles[profile.id] = total
        rows = await self._rows("%s2 %d" % (profile.command, _ROWS)) if total else []
        shown = []
        for row in rows:
            cells = [
                column.number(n) if column and isinstance(n, (int, float)) else None
                for column, n in zip(profile.columns, row[1:])
            ]
            shown.append([plain.seconds(row[0]), *cells])
        self.hub.set("profile:" + profile.id, {"rows": shown, "total": total})


def octets(n):
    return "%.1f KB" % (n / 1024) if n >= 10240 else "%d octets" % n
