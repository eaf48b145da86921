# SPDX-License-Identifier: MIT
"""A client of a target's association: a Client over a link, with the services of logical names."""

import os

from .case import Inconclusive, Verdict, expect, fail
from .client import Client, aare_fields, length, take_length
from .lines import Closed

CIPHERED = 3  # application context: logical names, with ciphering
_TRANSIENT = 2
_PATIENCE_S = 70  # with a meter that is locked after failed authentications
_GLO = "glo"
DAR = {
    0: "success", 1: "hardware-fault", 2: "temporary-failure", 3: "read-write-denied",
    4: "object-undefined", 9: "object-class-inconsistent", 11: "object-unavailable",
    12: "type-unmatched", 13: "scope-of-access-violated", 14: "data-block-unavailable",
    15: "long-get-aborted", 16: "no-long-get-in-progress", 17: "long-set-aborted",
    18: "no-long-set-in-progress", 19: "data-block-number-invalid", 250: "other-reason",
}  # fmt: skip
# Bits of the conformance block, as numbers of three octets.
BITS = {
    word: 1 << 23 - bit
    for bit, word in {
        1: "general-protection", 2: "general-block-transfer", 3: "read", 4: "write",
        5: "unconfirmed-write", 8: "attribute0-with-set", 9: "priority-mgmt",
        10: "attribute0-with-get", 11: "block-transfer-with-get", 12: "block-transfer-with-set",
        13: "block-transfer-with-action", 14: "multiple-references", 15: "information-report",
        16: "data-notification", 17: "access", 18: "parameterized-access", 19: "get", 20: "set",
        21: "selective-access", 22: "event-notification", 23: "action",
    }.items()
}  # fmt: skip


def obis(text):
    """Six octets of a logical name in digits; group F may be left out."""
    parts = [int(part) for part in text.split(".")]
    return bytes(parts + [255] * (6 - len(parts)))


def dotted(name):
    return ".".join(str(octet) for octet in name)


def descriptor(class_id, name, index):
    name = obis(name) if isinstance(name, str) else name
    return class_id.to_bytes(2, "big") + name + bytes((index & 0xFF,))


# GETs of the current association, by which it is seen that something is served.
NAME = b"\xc0\x01\xc1" + descriptor(15, "0.0.40.0.0", 1) + b"\0"
NAMED = b"\xc4\x01\xc1\x00\x09\x06" + obis("0.0.40.0.0")
OBJECT_LIST = b"\xc0\x01\xc1" + descriptor(15, "0.0.40.0.0", 2) + b"\0"


def is_answer(got):
    """To NAME; a meter may refuse it, too."""
    return got is not None and (got == NAMED or len(got) == 5 and got[:4] == b"\xc4\x01\xc1\x01")


def result(number):
    """Of data_access_result and action_result, which share their numbers."""
    return "%s (%d)" % (DAR[number], number) if number in DAR else "result %d" % number


class Talk:
    """What a Client talks through: a link of either kind."""

    def __init__(self, link):
        self.link = link

    def say(self, request):
        got = self.link.ask(bytes.fromhex(request))
        return "" if got is None else got.hex()


class Session(Client):
    """entry: of the target's description; how: what is to be otherwise (mechanism, context, kind,
    sc, secret, guek, gak, title, dedicated, challenge, ic)."""

    def __init__(self, trial, link, entry, **how):
        self.trial, self.link, self.entry = trial, link, entry
        hex_ = {k[:-4]: bytes.fromhex(v) for k, v in entry.items() if k.endswith("_hex")}
        context = how.pop("context", entry.get("application_context_id", 1))
        mechanism = how.pop("mechanism", entry.get("mechanism_id", 0))
        self._counters = trial.target.counters
        self._fixed_ic = None
        options = {
            "secret": hex_.get("secret", b""),
            "guek": hex_.get("guek", b""),
            "gak": hex_.get("gak", b""),
            "title": trial.target.client_title if mechanism > 1 or context >= CIPHERED else None,
            "kind": _GLO if context >= CIPHERED else None,
            "suite": entry.get("security_suite", 0),
            "meter_title": trial.target.system_title(entry),
            "challenge": os.urandom(16),
            **how,
        }
        ic = options.pop("ic", None)
        super().__init__(Talk(link), mechanism, context, ic=0, **options)
        self._fixed_ic = ic
        self.user_id = entry.get("user_id")
        self.kek = hex_.get("kek", b"")
        self.negotiated = 0
        self.max_pdu = 0
        self.is_open = False

    @property
    def ic(self):
        """The next counter of the client, which belongs to its key and not to the session."""
        return self._counters.get(self.guek, 0) if self._fixed_ic is None else self._fixed_ic

    @ic.setter
    def ic(self, value):
        if getattr(self, "_fixed_ic", None) is not None:
            self._fixed_ic = value
        elif hasattr(self, "guek"):
            self._counters[self.guek] = max(value, self._counters.get(self.guek, 0))

    # --- Opening and releasing

    def aare(self, octets):
        fields = aare_fields(octets)
        if not self.meter_title and 0xA4 in fields:
            self.meter_title = fields[0xA4][2:]
        return super().aare(octets)

    def begin(self, **options):
        """As a Client's; a meter that says that it is locked now is asked again."""
        waited = 0
        while True:
            octets = self.aarq(**options)
            self.trial.keep("asked", octets)
            got = bytes.fromhex(self.talk.say(octets.hex()))
            if not got:
                fail("The AARQ is not answered.")
            self.trial.keep("answered", got)
            fields = self.take(got)
            if fields["result"] != _TRANSIENT or waited >= _PATIENCE_S:
                break
            self.trial.note("rejected-transient: again in a second")
            self.trial.tap.wait(1)
            waited += 1
        self.learn(fields)
        return fields

    def learn(self, fields):
        information = fields["information"]
        if fields["result"] == 0 and information[:1] == b"\x08":
            at = 2 + information[1]
            expect(
                information[at + 1 : at + 5] == b"\x5f\x1f\x04\x00"
                and len(information) == at + 12,
                "The InitiateResponse is not to be understood: %s." % information.hex(" "),
            )
            self.negotiated = int.from_bytes(information[at + 5 : at + 8], "big")
            self.max_pdu = int.from_bytes(information[at + 8 : at + 10], "big")

    def open(self, **options):
        super().open(**options)
        self.is_open = True
        return self

    def ready(self, **options):
        """As open(), where another case has to show that this works: else it says nothing."""
        try:
            return self.open(**options)
        except (Verdict, Closed) as e:
            raise Inconclusive(
                "Client %d gets no association. %s" % (self.entry["client_sap"], e)
            ) from None

    def release(self):
        """RLRQ, in a ciphered context with an InitiateRequest; the answer."""
        inner = bytes.fromhex("01000000065F1F04007EFF1FFFFF")
        apdu = b"\x62\x03\x80\x01\x00"
        if self.context >= CIPHERED and self.kind:
            inner = self.protect(inner, kind=_GLO)
            body = b"\x80\x01\x00\xbe" + length(len(inner) + 2) + b"\x04" + length(len(inner))
            apdu = b"\x62" + length(len(body) + len(inner)) + body + inner
        self.trial.keep("asked", apdu)
        got = bytes.fromhex(self.talk.say(apdu.hex()))
        if got:
            self.trial.keep("answered", got)
        self.is_open = False
        return got

    def leave(self):
        """Release, and close the link, where what matters is over: nobody judges the answer."""
        try:
            self.release()
        except (Verdict, Closed) as e:
            self.trial.note("at the release: %s" % e)
        self.trial.done()

    def has(self, word):
        return bool(self.negotiated & BITS[word])

    # --- Services

    def request(self, apdu, **how):
        """The answer in plain text; b"" is silence. `unprotected` says whether it came so, in a
        session that ciphers."""
        self.trial.keep("asked", apdu)
        got = self.ask(apdu.hex(), **how)
        self.unprotected = got.startswith("!")
        octets = bytes.fromhex(got.lstrip("!"))
        if octets:
            self.trial.keep("answered", octets)
        return octets

    def sure(self, apdu, **how):
        """An answer, which has to be there."""
        got = self.request(apdu, **how)
        if not got:
            fail("No answer to the request %s." % apdu[:2].hex(" "))
        return got

    def get(self, class_id, name, index, selection=b"", iip=0xC1):
        """(0, A-XDR of the data) or (data_access_result, b""); blocks are put together."""
        apdu = b"\xc0\x01" + bytes((iip,)) + descriptor(class_id, name, index)
        got = self.sure(apdu + (b"\x01" + selection if selection else b"\0"))
        if got[:1] == b"\xd8":
            fail("GET is answered with an exception-response %s." % got.hex(" "))
        expect(got[2:3] == bytes((iip,)), "The answer has the invoke-id %s." % got[2:3].hex())
        if got[:2] == b"\xc4\x01":
            expect(len(got) > 4, "The answer to GET is too short.")
            return (0, got[4:]) if got[3] == 0 else (got[4], b"")
        expect(got[:2] == b"\xc4\x02", "GET is answered with %s." % got[:2].hex(" "))
        return 0, self.rest(got, iip)

    def rest(self, got, iip=0xC1):
        """All blocks of an answer, of which this is the first."""
        raw, number = b"", 1
        while True:
            last, n, part = block(got)
            expect(n == number, "Block %d came; expected %d." % (n, number))
            raw += part
            if last:
                return raw
            got = self.sure(b"\xc0\x02" + bytes((iip,)) + number.to_bytes(4, "big"))
            expect(
                got[:3] == b"\xc4\x02" + bytes((iip,)),
                "The next block is answered with %s." % got[:3].hex(" "),
            )
            number += 1

    def put(self, class_id, name, index, data):
        """data_access_result of a SET."""
        got = self.sure(b"\xc1\x01\xc1" + descriptor(class_id, name, index) + b"\0" + data)
        expect(
            got[:3] == b"\xc5\x01\xc1" and len(got) == 4, "SET is answered with %s." % got.hex()
        )
        return got[3]

    def act(self, class_id, name, index, data=None):
        """(action_result, A-XDR of return data or b"")."""
        apdu = b"\xc3\x01\xc1" + descriptor(class_id, name, index)
        got = self.sure(apdu + (b"\0" if data is None else b"\x01" + data))
        expect(
            got[:3] == b"\xc7\x01\xc1" and len(got) >= 5, "ACTION is answered with %s." % got.hex()
        )
        return got[3], got[6:] if got[4:6] == b"\x01\x00" else b""

    def is_alive(self):
        """Does it still answer a GET of its own association's name? It may refuse it, too."""
        return is_answer(self.sure(NAME))


def block(got):
    """(last, number, octets) of a get-response with a data block."""
    expect(len(got) > 9, "A block is too short: %s." % got.hex(" "))
    if got[8]:
        fail("A block says %s." % result(got[9]))
    n, at = take_length(got, 9)
    expect(at + n == len(got), "The length of a block is not that of its octets.")
    return bool(got[3]), int.from_bytes(got[4:8], "big"), got[at:]
