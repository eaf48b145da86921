# SPDX-License-Identifier: MIT
"""The meter's main loop, the same on every runtime.

    run({"definition": "definition", "links": [["wrapper-tcp", "127.0.0.1", 4059]], ...})

Keys of the options (those with a default may be missing):
    definition  name of the generated module
    links       [kind, host, number] for wrapper-tcp, wrapper-udp, hdlc-tcp;
                [hdlc-uart, number, baud rate], [hdlc-usb, name, 0] on boards;
                [hdlc-pty, name, descriptor of the master side]; [hdlc-tty, path, baud rate]
                optical-uart, optical-pty, optical-tty: links/optical.py;
                [plc-sfsk, number, baud rate]: links/plc.py
    state       folder for storage; None: RAM
    storage     made already (see store.py), instead of state
    sync        True: what was written there survives a power failure, and takes longer
    provisioning  file of the record that says who the meter is; None: who the definition says
    associations  how many at a time; None: as many as the definition says
    terminals   {path: descriptor} of serial ports that the runtime cannot open itself
    mbus        ["tcp", host, number]: the M-Bus, instead of where the definition has it
    update      folder of images of the firmware, and slots that it runs from, see update.py
    push        "host:port": where Push setup objects without a destination push to
    display     terminal: the display list of the definition, as lines that begin with that word;
                ssd1306: on that display of a board; none: only the feed tells of it
    script      what happens to the simulated household, see meter/scripted.py
    feed        octets of the buffer of a feed for programs, see feed.py; 0: there is none
    speed       1; seed: None; start: [minute, second] or None; trace: False
    until       [minute, second] in UTC: the meter's time is stepped up to there, then it serves
    report      True: it says what came of that as a line of JSON, and ends instead
    progress    True: on a terminal, how far it has come
    watch_stdin True: end when stdin is closed (that is how the launcher ends a meter)

Says each open port, then `ready`, on stdout; `ready to be provisioned` if there should be a record
and is none. Ends on Ctrl-C too. Result: exit code; RESTART of launch.py asks for
another start. As a program (python -m firmware.main) it reads the options as a line of JSON.
"""

import gc
import sys

if hasattr(gc, "threshold"):
    # While the meter is put together much is allocated and dropped: collected in portions, it
    # leaves room where large things can go, see board_main.py.
    gc.threshold(16384)

from firmware import app, ports  # noqa: E402
from firmware.launch import RESTART  # noqa: E402
from firmware.links import interface  # noqa: E402
from firmware.links.make import make_links  # noqa: E402
from firmware.links.settings import apply  # noqa: E402

_PUSH_SETUP = 40
_DESTINATION = 3


class Fault(Exception):
    """Something a person must put right; its text says what."""


class Stdin:
    """Waits for the end of stdin: whoever started this meter ends it by closing the pipe."""

    def __init__(self):
        self.ready = False


def storage_for(path, sync):
    from firmware import store

    return store.FileStorage(path, store.Files(sync)) if path else store.RAMStorage()


def record_of(path):
    if not path:
        return None
    from firmware import provisioning

    return provisioning.load(path)


def open_links(links, poller, port):
    for link in links:
        try:
            link.open(poller)
        except OSError as e:
            raise Fault(link.name + ": " + why(e, link.host, link.number))
        port.out(link.name + " " + link.address)


def push_to(model, text):
    """Set the destination of Push setup objects that have none: TCP."""
    destination = b"\x02\x03\x16\x00\x09" + bytes((len(text),)) + text.encode() + b"\x16\x00"
    for row in model.rows(_PUSH_SETUP):
        buf = bytearray(256)
        model.read(row, _DESTINATION, buf, 0, len(buf))
        # 02 03 16 service 09 length
        if not buf[5] and model.write(row, _DESTINATION, destination, 0, len(destination)):
            raise Fault("%s is no destination for this meter's Push setup objects." % text)


def why(e, host, number):
    """An OSError of a socket, or of a serial port, as a sentence."""
    if e.args and isinstance(e.args[0], str):
        return e.args[0]
    code = e.errno if isinstance(e.errno, int) else 0
    if code == 98:
        return "port %d of %s is in use by another program." % (number, host)
    if code == 13:
        return "this user may not open port %d (ports below 1024 need rights)." % number
    if code == 99:
        return "%s is not an address of this machine." % host
    return "cannot open port %d of %s (%s)." % (number, host, e)


def go_ahead(meter, poller, port, watch, options):
    """Step the time of a meter that nobody is connected to. False: it was to end meanwhile."""
    from firmware.meter import ahead

    def goes_on(minute, percent):
        if options.get("progress"):
            print("\r%s  %d %% " % (ahead.date(minute), percent), end="", file=sys.stderr)
        poller.wait(0)
        return not watch.ready

    try:
        report = ahead.run(meter, options["until"], port, goes_on)
    except ValueError as e:
        raise Fault(text_of(e))
    if options.get("progress"):
        print(file=sys.stderr)
    if options.get("sync", True) and options.get("state"):
        meter.storage.sync(True)
    if report and options.get("report"):
        import json

        port.out(json.dumps(report))
    return report is not None


def loop(meter, links, poller, port, watch, feed):
    """Serve until stdin is closed, Ctrl-C, or an error that nothing can be done about."""
    while not watch.ready and not meter.wants_restart():
        if meter.setup_changed:
            meter.setup_changed = False
            apply(meter.model, links)
        wait_ms = meter.wait_ms()
        for link in links:
            ms = link.wait_ms()
            if ms < wait_ms:
                wait_ms = ms
        if feed is not None:
            wait_ms = min(wait_ms, feed.wait_ms())
        meter.wait(poller, wait_ms)
        now_ms = port.ticks_ms()
        for link in links:
            try:
                link.poll(now_ms)
            except MemoryError:
                # What came is lost, as on a bad line; the meter goes on.
                gc.collect()
        if meter.server.todo:
            meter.work(links, now_ms)
        meter.tick(now_ms)
        if feed is not None:
            feed.turn(now_ms)
        if meter.server.fault is not None:
            # The client got an exception-response; whoever runs the meter should hear of it too.
            print("A request failed inside the meter:", repr(meter.server.fault), file=sys.stderr)
            meter.server.fault = None


def run(options):
    """A meter from its start to its end."""
    port = ports.current()
    feed = None
    if options.get("feed"):
        from firmware.feed import Feed

        feed = port = Feed(port, options["feed"])
    meter = None
    links = []
    sync = options.get("sync", True)
    try:
        try:
            start = options.get("start") or (None, 0)
            meter = app.build(
                app.Tables(options["definition"]),
                options.get("storage")
                or storage_for(options.get("state"), sync and not options.get("until")),
                port,
                options.get("seed"),
                start[0],
                start[1],
                options.get("speed", 1),
                record_of(options.get("provisioning")),
                options.get("associations", 0),
                options.get("display"),
                options.get("update"),
                options.get("script"),
            )
            meter.terminals = options.get("terminals", meter.terminals)
            if options.get("mbus"):
                meter.mbus = tuple(options["mbus"])
            try:
                links = make_links(options["links"], meter, port, options.get("trace", False))
            except OSError as e:
                raise Fault(text_of(e))
        except OSError as e:
            raise Fault("The stored state cannot be used: %s" % text_of(e))
        except ValueError as e:
            raise Fault("The definition does not fit this meter: %s" % text_of(e))
        except MemoryError:
            raise Fault("The heap is too small for this meter.")
        except ImportError as e:
            raise Fault("This meter cannot be put together: %s." % e)
        if meter.storage.message:
            print(meter.storage.message.strip(), file=sys.stderr)
        record = meter.record
        if record is not None and record.message:
            print(record.message, file=sys.stderr)
        poller = port.Poller()
        watch = Stdin()
        if options.get("watch_stdin"):
            # Commands come by it too.
            poller.add(sys.stdin, watch if feed is None else feed)
        if hasattr(gc, "threshold"):
            gc.threshold(-1)
        if options.get("until"):
            if not go_ahead(meter, poller, port, watch, options) or options.get("report"):
                return 0
        open_links(links, poller, port)
        interface.tell(meter.model, links, port)
        if options.get("push"):
            push_to(meter.model, options["push"])
        meter.connect(port, poller, links)
        port.power_fail(meter.power_fails)
        if feed is not None:
            feed.begin(meter, links, watch, options.get("watch_stdin", False))
        gc.collect()
        port.out("ready" if record is None or record.good else "ready to be provisioned")
        loop(meter, links, poller, port, watch, feed)
        if meter.wants_restart():
            return RESTART
    except KeyboardInterrupt:
        pass
    except Fault as e:
        print(e, file=sys.stderr)
        return 1
    finally:
        for link in links:
            link.close()
        if feed is not None:
            feed.turn(port.ticks_ms())
        if meter is not None:
            meter.close()
    return 0


def text_of(e):
    """What an exception says: its own sentence, or the system's words for its number."""
    return str(e.args[0]) if e.args and isinstance(e.args[0], str) else str(e)


if __name__ == "__main__":
    import json

    # Not from the arguments: MicroPython's unix port takes none of more than 255 octets.
    sys.exit(run(json.loads(sys.stdin.readline())))
