# SPDX-License-Identifier: MIT
"""The meter on a board: what main.py is on a PC. The board's module `wiring` says which UARTs.

    start() -> Board        everything made and open; says each link, then `ready`, on the REPL
    run() -> bool           start(), then serve until Ctrl-C; True: the firmware has been updated,
                            and is to be started again

Keys of the options, all of which may be missing: seed, start (minute, second), speed;
associations: how many at a time; state: as STATE of `wiring`, (module, block device, first block,
number of blocks, ...) for raw flash, a folder, or None (nothing is kept); locked: True proves that
serving takes no memory, for requests are served under a locked heap then; update: folder of images
of the firmware, see update.py; dog: a watchdog that is to be fed, see launch.py; feed: octets of
the buffer of a feed for programs, see feed.py.
"""

import gc
import sys

from micropython import const, heap_lock, heap_unlock

# While the meter is put together much is allocated and dropped. Collected in portions of this
# size, it leaves room where large things can go; else the heap is full of holes. A large heap
# takes larger ones, and they take its collector longer.
_PORTION = const(2048)
_PORTION_SHIFT = const(6)
gc.threshold(max(_PORTION, gc.mem_free() >> _PORTION_SHIFT))

from firmware.meter.running import forget  # noqa: E402
from firmware.ports import board as port  # noqa: E402

# Clients at a time: each costs memory for a long request.
_ASSOCIATIONS = const(2)

# HDLC has no room for information fields longer than the standard's, unless the definition asks.
_INFO_LEN = const(128)

# What is loaded when it is wanted, and goes after that: parts (Server.part()), what jobs of
# security import (lib/dlms/secured.py), and what sends unasked; then, security itself.
_JOBS = (
    "dlms.set",
    "dlms.undo",
    "dlms.action",
    "dlms.access",
    "dlms.short_names",
    "dlms.read",
    "dlms.write",
    "dlms.variables",
    "dlms.names",
    "dlms._names_viper",
    "dlms._names_loop",
    "cosem.association_sn",
    "dlms.opening",
    "dlms.places",
    "cosem.activity_calendar",
    "cosem.schedule",
    "cosem.timetable",
    "cosem.special_days",
    "cosem.single_action_schedule",
    "cosem.register_activation",
    "cosem.push_setup",
    "cosem.limiter",
    "cosem.thresholds",
    "cosem.arbitrator",
    "cosem.array_manager",
    "cosem.association_ln",
    "cosem.compact_data",
    "cosem.image_transfer",
    "cosem.link_setup",
    "cosem.ipv6_setup",
    "cosem.profile_range",
    "cosem.values",
    "cosem.elements",
    "cosem.access_rights",
    "cosem.compact_capture",
    "cosem.compact_data",
    "dlms.compact",
    "cosem.register",
    "cosem.register_table",
    "cosem.sap_assignment",
    "cosem.security_setup",
    "cosem.status_mapping",
    "cosem.utility_tables",
    "dlms.acse",
    "dlms.initiate",
    "dlms.ber",
    "dlms.general",
    "dlms.identified",
    "dlms.agreed",
    "dlms.gbt",
    "dlms.gbt_answer",
    "dlms.gbt_unasked",
    "dlms.sealed",
    "dlms.certificates",
    "cosem.key_transfer",
    "cosem.key_agreement",
    "cosem.key_places",
    "cosem.security_certificates",
    "cosem.security_methods",
    "cosem.users",
    "cosem.visible_objects",
    "cosem.certificate_fields",
    "crypto.certificate",
    "crypto.certificate_request",
    "crypto.der",
    "crypto.gcm_stream",
    "crypto.hashes",
    "crypto.kdf",
    "crypto.keywrap",
    "crypto.ec",
    "crypto.field",
    "crypto._field_viper",
    "crypto._field_ints",
    "crypto._points",
    "crypto._p256",
    "crypto._p384",
    "crypto.sha2",
    "crypto._sha2_viper",
    "crypto._sha2_loop",
    "crypto._sha2_k",
    "crypto.old_hashes",
    "cosem.notifier",
    "cosem.event_notification",
    "cosem.envelope",
    "cosem.push_list",
    "cosem.push_terms",
    "cosem.protected",
    "cosem.windows",
    "dlms.notification",
    "dlms.report",
    "dlms.outbox",
    "firmware.container",
    "firmware.links.push",
    "firmware.meter.sender",
    "firmware.meter.power_up",
    "firmware.meter.steady",
)

_SECURITY = (
    "dlms.secured",
    "dlms.security_work",
    "dlms.ciphering",
    "dlms.hls",
    "dlms.marks",
    "crypto.gcm",
    "crypto._gcm_viper",
    "crypto._gcm_loop",
    "firmware.ports.ciphers.micropython",
    "firmware.ports.ciphers",
    "firmware.vault",
)

_OPENING = "dlms.opening"
_STEPS = const(128)  # todo of the server: a job goes on, see security_work.py

# Where tools/provision.py writes who the meter is.
_RECORD = "provisioning.bin"


class Board:
    def __init__(self, meter, links, locked, dog=None, feed=None):
        self.meter = meter
        self.links = links
        self.locked = locked
        self.dog = dog
        self.feed = feed
        self.poller = port.Poller()
        for link in links:
            link.open(self.poller)
        meter.connect(feed or port, self.poller, links)
        port.power_fail(meter.power_fails)
        if feed is not None:
            feed.begin(meter, links, None, False)

    def turn(self):
        """Wait for octets or the next second, and do what is due."""
        meter = self.meter
        if self.dog is not None:
            self.dog.feed()
        wait_ms = meter.wait_ms()
        for link in self.links:
            ms = link.wait_ms()
            if ms < wait_ms:
                wait_ms = ms
        if self.feed is not None:
            wait_ms = min(wait_ms, self.feed.wait_ms())
        meter.wait(self.poller, wait_ms)
        now_ms = port.ticks_ms()
        if self.locked:
            heap_lock()
        for link in self.links:
            link.poll(now_ms)
        if self.locked:
            heap_unlock()
        if meter.server.todo:
            if meter.server.wanted == _OPENING and meter.server.parts:
                # There may be no room for it beside them.
                self.rest(True)
            if meter.server.todo != _STEPS:
                # What is loaded stays for a time: close together, not behind what was dropped.
                gc.collect()
            cramped = meter.work(self.links, now_ms)
            if cramped or not meter.server.todo:
                self.rest(cramped)
        elif not meter.server.rests():
            self.rest()
        if meter.setup_changed:
            meter.setup_changed = False
            from firmware.links.settings import apply

            apply(meter.model, self.links)
            forget(("firmware.links.settings",))
        meter.tick(now_ms)
        if self.feed is not None:
            self.feed.turn(now_ms)
        if meter.rests:
            meter.rests = False
            self.rest()
        if meter.server.fault is not None:
            try:
                port.out("A request failed inside the meter: %r" % meter.server.fault)
                meter.server.fault = None
            except MemoryError:
                gc.collect()  # it is said with the next turn

    def rest(self, all_parts=False):
        """Nothing is to be done for requests, or there was or will be no room for it (all_parts):
        let go of what was loaded for them, unless an answer goes on with it."""
        server = self.meter.server
        if self.meter.sender is not None:
            return
        for a in server.associations:
            if a.transfer:
                return
        server.forget(all_parts)
        loaded = forget(_JOBS)
        if server.secured is None:
            loaded |= forget(_SECURITY)
        if loaded:
            gc.collect()

    def close(self):
        for link in self.links:
            link.close()
        if self.feed is not None:
            self.feed.turn(port.ticks_ms())
        self.meter.close()


def storage(state):
    """Storage of a kind that the option `state` names; the others are not even imported."""
    if isinstance(state, tuple):
        from firmware.flash import FlashStorage

        return FlashStorage(getattr(__import__(state[0]), state[1])(), *state[2:])
    from firmware import store

    return store.FileStorage(state) if state else store.RAMStorage()


def record(wiring):
    """Who this meter is: what stands in its provisioning record. A board may do without one,
    unless its wiring says PROVISIONING = True."""
    required = getattr(wiring, "PROVISIONING", False)
    if not required:
        try:
            open(_RECORD).close()
        except OSError:
            return None
    from firmware import provisioning

    return provisioning.load(_RECORD)


def build(wiring, options):
    """The meter. The frame of a function holds on to all that it has handed on: this one ends."""
    from firmware import app

    minute, second = options.get("start", (None, 0))
    return app.build(
        app.Tables("definition"),
        storage(options.get("state", wiring.STATE)),
        port,
        options.get("seed"),
        minute,
        second,
        options.get("speed", 1),
        record(wiring),
        options.get("associations", _ASSOCIATIONS),
        getattr(wiring, "DISPLAY", None),
        options.get("update"),
        slots=getattr(wiring, "SLOTS", None),
    )


def start(**options):
    import wiring
    from firmware import app

    meter = build(wiring, options)
    provisioned = meter.record is None or meter.record.good
    trouble = "" if provisioned else meter.record.message
    meter.record = None
    # Step by step: the links need room that the start of the meter has taken.
    app.forget()
    del app
    meter.server.forget()
    forget(_JOBS)
    gc.collect()
    from firmware.links.make import make_links

    feed = None
    if options.get("feed"):
        from firmware.feed import Feed

        feed = Feed(port, options["feed"])
    links = make_links(wiring.LINKS, meter, feed or port, info_len=_INFO_LEN)
    made = Board(meter, links, options.get("locked", False), options.get("dog"), feed)
    for link in links:
        port.out("%s %s" % (link.name, link.address))
    if meter.storage.message:
        port.out(meter.storage.message)
    if not provisioned:
        port.out(trouble)
    del sys.modules["wiring"]
    forget(("firmware.links.make", "firmware.links.settings", "firmware.links.optical"))
    made.rest()
    gc.threshold(-1)
    gc.collect()
    port.out("ready" if provisioned else "ready to be provisioned")
    return made


def run(**options):
    board = start(**options)
    try:
        while not board.meter.wants_restart():
            board.turn()
    except KeyboardInterrupt:
        pass
    board.close()
    return board.meter.wants_restart()
