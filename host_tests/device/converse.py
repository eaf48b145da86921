# SPDX-License-Identifier: MIT
"""Play conversations against a meter, on any runtime, with the heap locked while it serves.

Runs on CPython, MicroPython (unix, and boards through the REPL). Usage on a command line:

    micropython converse.py DEFINITION_DIR LINK STATE FILE...

LINK: wrapper or hdlc. STATE: a new folder for each conversation's storage, or - for RAM.

A conversation is a text file: `as CLIENT SERVER` says who talks, `> hex` is an APDU for the meter,
`< hex` the APDU that must come back (`..` is any octet, a trailing `*` any rest), `< -` silence,
`link lost` breaks the link, `tick N` lets N seconds of meter time pass, `#` is a remark.
`open hex` opens an association with high level security (client.py): all four passes, with this
InitiateRequest; what comes back is the InitiateResponse. From then on what the client says is
protected, and what comes back is shown without protection; `raw hex` is said as it stands.
Prints a line `ok FILE n` or `FAIL FILE:line: ...` for each file.
"""

import gc
import sys

if "." in __name__:
    from device import client as clients
else:
    import client as clients

try:
    from micropython import heap_lock, heap_unlock
except ImportError:

    def heap_lock():
        pass

    def heap_unlock():
        pass


START_MINUTE = 13675680  # 2026-01-01 00:00 UTC, a Thursday
SEED = 1


def octets(text):
    return bytes(int(x, 16) for x in text.split())


class WrapperClient:
    """The client's side of a wrapper link."""

    def __init__(self, meter):
        from profiles.wrapper import Wrapper

        self.profile = Wrapper(meter.server, meter.server.channel())

    def send(self, client, server, apdu):
        n = len(apdu)
        return [
            bytes((0, 1, client >> 8, client & 255, server >> 8, server & 255, n >> 8, n & 255))
            + apdu
        ]

    def receive(self, out, client, server):
        if len(out) < 8 or out[:6] != bytes(
            (0, 1, server >> 8, server & 255, client >> 8, client & 255)
        ):
            return None
        return out[8:]


class HDLCClient:
    """The client's side of an HDLC link: enough of it for one request at a time."""

    def __init__(self, meter):
        from profiles.hdlc import HDLC

        self.profile = HDLC(meter.server, meter.server.channel(), max_info=128)
        self.who = None
        self.ns = self.nr = 0
        self.apdu = b""
        self.segmented = False

    def frame(self, control, info, last=True):
        from dlms.prim import crc16

        client, server = self.who
        n = 2 + 1 + 1 + 1 + 2 + ((len(info) + 2) if info else 0)
        head = bytearray(
            (
                0xA0 | (0 if last else 8) | n >> 8,
                n & 255,
                server << 1 | 1,
                client << 1 | 1,
                control,
            )
        )
        crc = crc16(head, 0, len(head), 0xFFFF) ^ 0xFFFF
        head += bytes((crc & 255, crc >> 8))
        if info:
            head += info
            crc = crc16(head, 0, len(head), 0xFFFF) ^ 0xFFFF
            head += bytes((crc & 255, crc >> 8))
        return b"\x7e" + bytes(head) + b"\x7e"

    def connect(self, client, server):
        self.who = (client, server)
        self.ns = self.nr = 0
        return self.frame(0x93, b"")

    def send(self, client, server, apdu):
        frames = []
        if self.who != (client, server):
            if self.who:
                frames.append(self.frame(0x53, b""))
            frames.append(self.connect(client, server))
        info = b"\xe6\xe6\x00" + apdu
        while info:
            part, info = info[:128], info[128:]
            frames.append(self.frame(self.nr << 5 | 0x10 | self.ns << 1, part, not info))
            self.ns = self.ns + 1 & 7
        return frames

    def receive(self, out, client, server):
        """What is new of the information fields of the I-frames in out."""
        while len(out) > 1:
            n = (out[1] & 7) << 8 | out[2]
            if out[5] & 1 == 0:
                self.segmented = out[1] & 8 != 0
                self.apdu += out[8 : n - 1]
                self.nr = self.nr + 1 & 7
            out = out[n + 1 :] if out[n + 2 : n + 3] != b"\x7e" else out[n + 2 :]
        if self.segmented:
            return None
        apdu, self.apdu = self.apdu, b""
        return apdu[3:]

    def more(self):
        return self.frame(self.nr << 5 | 0x11, b"")


def exchange(profile, frames, now, server):
    """Hand frames to the profile under a locked heap; what it sends, joined."""
    out = bytearray()
    for frame in frames:
        pos = 0
        while True:
            heap_lock()
            try:
                pos = profile.receive(frame, pos, len(frame), now)
                n = profile.transmit(now)
            finally:
                heap_unlock()
            if not n:
                if not server.todo:
                    break
                # What requests wait for is done between them, as a link does.
                server.work()
            while n:
                out += profile.out[profile.out_pos : profile.out_pos + n]
                heap_lock()
                try:
                    n = profile.transmit(now)
                finally:
                    heap_unlock()
    return bytes(out)


def ask(client, meter, who, link, apdu, now):
    """The answer to an APDU, or None."""
    out = exchange(client.profile, client.send(who[0], who[1], apdu), now, meter.server)
    got = client.receive(out, *who) if out else b""
    if link == "hdlc":
        # Segments that wait for the client: ask for them.
        while client.segmented:
            out = exchange(client.profile, [client.more()], now, meter.server)
            got = client.receive(out, *who)
    return got


def opening(secure, say, initiate):
    """The four passes; the InitiateResponse, or the answer that was wrong."""
    aare = say(secure.aarq(initiate))
    reply = secure.reply(aare)
    answer = say(reply) if reply else aare
    return secure.initiate if reply and secure.is_open(answer) else answer


def matches(wanted, got):
    """None if octets fit the pattern text, else what was wanted."""
    words = wanted.split()
    if words and words[-1] == "*":
        words.pop()
        if len(got) < len(words):
            return wanted
        got = got[: len(words)]
    if len(words) != len(got):
        return wanted
    for w, g in zip(words, got):
        if w != ".." and int(w, 16) != g:
            return wanted
    return None


def play(path, make_meter, link):
    """Play one file; a list of complaints, and how many exchanges there were."""
    from firmware.ports import ciphers

    meter = make_meter()
    client = WrapperClient(meter) if link == "wrapper" else HDLCClient(meter)
    who = (16, 1)
    complaints = []
    got = b""
    n = 0
    now = 1000
    secured = {}  # (client SAP, server SAP) -> client.Client

    def say(apdu):
        return ask(client, meter, who, link, apdu, now)

    with open(path) as f:
        for number, line in enumerate(f, 1):
            line = line.split("#")[0].strip()
            if not line:
                continue
            word, _, rest = line.partition(" ")
            if word == "as":
                a, b = rest.split()
                who = (int(a), int(b))
            elif word == "link":
                client.profile.reset()
                if link == "hdlc":
                    client.who = None
            elif word == "tick":
                meter.program.step(int(rest))
            elif word == "only":
                if rest != link:
                    return [], 0
            elif word == ">":
                n += 1
                secure = secured.get(who)
                if secure:
                    got = secure.opened(say(secure.protect(octets(rest))))
                else:
                    got = say(octets(rest))
                if getattr(meter.server, "fault", None):
                    complaints.append("%s:%d: fault %r" % (path, number, meter.server.fault))
                    meter.server.fault = None
            elif word == "raw":
                n += 1
                got = say(octets(rest))
            elif word == "open":
                n += 2
                secured[who] = clients.of(meter, who[0], who[1], ciphers)
                got = opening(secured[who], say, octets(rest))
            elif word == "<":
                wanted = matches("" if rest == "-" else rest, got or b"")
                if wanted is not None:
                    text = " ".join("%02X" % x for x in got) if got else "-"
                    complaints.append(
                        "%s:%d: wanted %s\n  got %s" % (path, number, wanted or "-", text)
                    )
            else:
                complaints.append("%s:%d: what is %r?" % (path, number, word))
    return complaints, n


def main(argv):
    directory, link, state = argv[:3]
    sys.path.insert(0, directory)
    import definition
    from firmware import app, ports

    numbers = []

    def make_meter():
        from firmware.store import FileStorage, RAMStorage

        gc.collect()
        numbers.append(None)
        storage = RAMStorage() if state == "-" else FileStorage("%s%d" % (state, len(numbers)))
        return app.build(definition, storage, ports.current(), SEED, START_MINUTE, 0, 0)

    failed = 0
    for path in argv[3:]:
        complaints, n = play(path, make_meter, link)
        for c in complaints:
            print("FAIL " + c)
        failed += len(complaints)
        if not complaints:
            print("ok %s %d" % (path, n))
    return failed


if __name__ == "__main__":
    sys.exit(1 if main(sys.argv[1:]) else 0)
