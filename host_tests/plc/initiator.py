# SPDX-License-Identifier: MIT
"""A concentrator: the initiator of an S-FSK network, with one client's head end behind it.

Its calls let time pass, until there is an answer or it is given up.
"""

from plc.sfsk import ALL_PHYSICAL, CONFIRM, DATA, SLOT_MS, Modem, one_way_ms

CIASE = 0xFD
TITLE = b"CONC01"
LLC_LEN = 3
SLACK_SLOTS = 2  # a request is taken in one slot and sent in the next, and so is the answer


class Initiator:
    def __init__(self, line, address=0xC00, title=TITLE, ic=0, tries=10):
        """ic: initial credit of what it sends. tries: of a request."""
        self.line = line
        self.clock = line.clock
        self.modem = Modem(line, address)
        self.modem.host = self
        self.title = title
        self.ic = ic
        self.tries = tries
        self.heard = []  # (source, destination, M_sdu, ms)
        self.log = []  # (ms, "->" or "<-", MAC address, M_sdu)
        self.n_asked = 0  # requests sent, with those sent again
        self.n_sent = 0

    def poll(self):
        modem = self.modem
        while True:
            event = modem.poll(self.clock.now_ms)
            if event == DATA:
                data = bytes(modem.buf[modem.pos : modem.end])
                self.heard.append((modem.source, modem.destination, data, self.clock.now_ms))
                self.log.append((self.clock.now_ms, "<-", modem.source, data))
            elif event == CONFIRM:
                self.n_sent += 1
            elif not event:
                return

    def put(self, destination, data, ic=None):
        """Send an M_sdu."""
        ic = self.ic if ic is None else ic
        while self.modem.send(data, 0, len(data), destination, ic << 5 | ic << 2) == 0:
            assert self.clock.step()
        self.log.append((self.clock.now_ms, "->", destination, bytes(data)))

    def wait(self, ms, found=None):
        """Let time pass until found(source, destination, M_sdu) likes what has come."""
        begin = len(self.heard)

        def done():
            return found is not None and any(found(*h[:3]) for h in self.heard[begin:])

        if self.clock.run(self.clock.now_ms + ms, done):
            return next(h for h in self.heard[begin:] if found(*h[:3]))
        return None

    # --- CIASE --------------------------------------------------------------------------------

    def manage(self, apdu, destination=ALL_PHYSICAL, ic=None):
        self.put(destination, b"\x90\x00\x01" + apdu, ic)

    def discover(self, slots, probability=100, credit=0, equal=0, ic=None):
        """System titles of those that were heard to report, each once."""
        ic = self.ic if ic is None else ic
        begin = len(self.heard)
        apdu = bytes((0x1D, probability, slots >> 8, slots & 0xFF, credit, equal))
        self.manage(apdu, ic=ic)
        n = LLC_LEN + len(apdu)
        report = LLC_LEN + 3 + len(self.title)
        self.wait(one_way_ms(n, ic) + slots * one_way_ms(report, credit) + SLACK_SLOTS * SLOT_MS)
        return reports(h[2] for h in self.heard[begin:])

    def register(self, addresses, ic=None):
        """addresses: {system title: MAC address}; in as many frames as it takes."""
        rows = [title + mac.to_bytes(2, "big") for title, mac in addresses.items()]
        per_frame = (self.modem.max_data - LLC_LEN - 2 - len(self.title)) // (len(self.title) + 2)
        for k in range(0, len(rows), per_frame):
            some = rows[k : k + per_frame]
            apdu = b"\x1c" + self.title + bytes((len(some),)) + b"".join(some)
            self.manage(apdu, ic=ic)
            ic_used = self.ic if ic is None else ic
            self.wait(one_way_ms(LLC_LEN + len(apdu), ic_used) + SLOT_MS)

    def ping(self, address, title):
        self.put(address, b"\x90\x00\x01\x19" + title)
        answer = self.wait(self.time_out_ms(10, 10), lambda s, d, m: m[3:4] == b"\x1a")
        return answer and answer[2][4:]

    # --- Requests -----------------------------------------------------------------------------

    def time_out_ms(self, request, answer):
        """How long an answer may take: octets of the M_sdu each way."""
        return one_way_ms(request, self.ic) + one_way_ms(answer, self.ic) + SLACK_SLOTS * SLOT_MS

    def ask(self, address, apdu, client=16, server=1, longest=None, tries=None):
        """The answer of a meter to an APDU, None: none came, however often it was asked.
        longest: octets of the longest answer that is waited for."""
        request = bytes((0x90, server, client)) + apdu
        longest = LLC_LEN + (longest or self.modem.max_data - LLC_LEN)

        def is_answer(source, destination, data):
            return source == address and data[:3] == bytes((0x90, client, server))

        for _ in range(tries or self.tries):
            self.n_asked += 1
            self.put(address, request)
            found = self.wait(self.time_out_ms(len(request), longest), is_answer)
            if found:
                return found[2][LLC_LEN:]
        return None


def reports(m_sdus):
    """System titles of six octets in DiscoverReports, in the order they came, each once."""
    found = []
    for data in m_sdus:
        if data[:4] == bytes((0x90, 0x00, CIASE, 0x1E)):
            at = 5
            for _ in range(data[4]):
                if data[at : at + 6] not in found:
                    found.append(data[at : at + 6])
                at += 7 + bool(data[at + 6])
    return found


def whole(ask, apdu):
    """The result of a GET, 00 and data, block by block; ask(apdu) gives an answer."""
    answer = ask(apdu)
    if answer[:2] == b"\xc4\x01":
        return answer[3:]
    found = b"\x00"
    number = 0
    while True:
        number += 1
        assert answer[:2] == b"\xc4\x02" and answer[8] == 0
        assert int.from_bytes(answer[4:8], "big") == number
        found += answer[10 + (answer[9] & 0x7F if answer[9] & 0x80 else 0) :]
        if answer[3]:
            return found
        answer = ask(b"\xc0\x02\xc1" + number.to_bytes(4, "big"))
