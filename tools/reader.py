# SPDX-License-Identifier: MIT
"""As little of a DLMS client as it takes to see who a meter is, and whether secrets and keys open
it. Clients with keys need the package `cryptography`; without it they are not tried.

    check(sheet, where)        sheet: as sheet.py makes it; where: wrapper-tcp:HOST:PORT,
                               hdlc-tcp:HOST:PORT or hdlc-serial:DEVICE[:BAUD]

IEC 62056-5-3 (AARQ, AARE, GET-Normal, Read with parameterized access, HLS with GMAC and SHA-256,
glo-ciphering), 62056-47 (wrapper), 62056-46 (one frame at a time). It knows nothing of the meter
but the connection sheet.
"""

import hashlib
import secrets
import socket
import struct

from bootstrap import Trouble

try:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM
except ImportError:
    AESGCM = None

_ANSWER_S = 10
_NAME = bytes.fromhex("0001 00002A0000FF 02")
_SERIAL_NUMBER = bytes.fromhex("0001 0000600100FF 02")
_LLS = 1
_GMAC = 5
_SHA256 = 6
_PUBLIC_CLIENT = 16
_CIPHERED = 3  # application contexts
_SHORT_NAMES = 2
_SHORT_NAMES_CIPHERED = 4
_TAG_LEN = 12
_TITLE = b"PMTOOL\0\0"  # the system title that these clients say
_INITIATE = bytes.fromhex("01000000065F1F0400FFFFFF0400")


class Wrapper:
    def __init__(self, s):
        self.socket = s
        self.client = self.server = 0

    def open(self, client, server):
        self.client, self.server = client, server

    def ask(self, apdu):
        self.socket.sendall(struct.pack(">HHHH", 1, self.client, self.server, len(apdu)) + apdu)
        n = struct.unpack(">HHHH", self._octets(8))[3]
        return self._octets(n)

    def close(self):
        pass

    def _octets(self, n):
        got = b""
        while len(got) < n:
            part = self.socket.recv(n - len(got))
            if not part:
                raise Trouble("The meter has closed the connection.")
            got += part
        return got


class HDLC:
    """receive() gives octets, b"" when none came in time."""

    def __init__(self, send, receive):
        self.send = send
        self.receive = receive
        self.address = b""
        self.ns = self.nr = 0

    def open(self, client, server):
        self.address = bytes((server << 1 | 1, client << 1 | 1))
        self.ns = self.nr = 0
        if self._exchange(0x93)[0] != 0x73:
            raise Trouble("The meter does not take up an HDLC connection.")

    def ask(self, apdu):
        control = self.nr << 5 | 0x10 | self.ns << 1
        self.ns = self.ns + 1 & 7
        answer = self._exchange(control, b"\xe6\xe6\x00" + apdu)
        if answer[0] & 1 or answer[1:4] != b"\xe6\xe7\x00":
            raise Trouble("The meter answered with no information frame.")
        self.nr = self.nr + 1 & 7
        return answer[4:]

    def close(self):
        self._exchange(0x53)

    def _exchange(self, control, info=b""):
        """Send a frame; control octet and information of the answer."""
        n = 7 + (len(info) + 2 if info else 0)
        frame = bytes((0xA0, n)) + self.address + bytes((control,))
        frame += _crc(frame)
        if info:
            frame += info + _crc(frame + info)
        self.send(b"\x7e" + frame + b"\x7e")
        got = b""
        while True:
            got = got.lstrip(b"\x7e")
            if len(got) >= 2 and len(got) > ((got[0] & 7) << 8 | got[1]):
                got = got[: (got[0] & 7) << 8 | got[1]]
                break
            part = self.receive()
            if not part:
                raise Trouble("The meter does not answer.")
            got += part
        if _crc(got[:-2]) != got[-2:] or got[2:4] != self.address[::-1]:
            raise Trouble("The meter's answer is damaged.")
        return got[4:5] + got[7:-2]


def _crc(data):
    crc = 0xFFFF
    for octet in data:
        crc ^= octet
        for _ in range(8):
            crc = crc >> 1 ^ (0x8408 if crc & 1 else 0)
    return (crc ^ 0xFFFF).to_bytes(2, "little")


# --- The application layer ------------------------------------------------------------------


def field(tag, content):
    n = len(content)
    length = (n,) if n < 0x80 else (0x81, n) if n < 0x100 else (0x82, n >> 8, n & 0xFF)
    return bytes((tag, *length)) + content


def aarq(mechanism, value, initiate=_INITIATE, context=1, title=b""):
    """value: the secret, or the challenge."""
    body = bytes.fromhex("A1090607608574050801") + bytes((context,))
    if title:
        body += field(0xA6, field(4, title))
    if mechanism:
        body += bytes.fromhex("8A0207808B07608574050802") + bytes((mechanism,))
        body += field(0xAC, field(0x80, value))
    return field(0x60, body + field(0xBE, field(4, initiate)))


def fields(aare):
    """{tag: content} of an AARE; {} if it is none."""
    found = {}
    if aare[:1] == b"\x61":
        at = 2 if aare[1] < 0x80 else 3
        while at + 2 <= len(aare):
            found[aare[at]] = aare[at + 2 : at + 2 + aare[at + 1]]
            at += 2 + aare[at + 1]
    return found


def accepted(aare):
    """Is this an AARE with result accepted?"""
    return fields(aare).get(0xA2) == b"\x02\x01\x00"


def get_text(link, descriptor, short):
    """An octet-string attribute as text. short: by read_by_logicalname of Association SN."""
    if short:
        element = (
            b"\x12" + descriptor[:2] + b"\x09\x06" + descriptor[2:8] + b"\x0f" + descriptor[8:]
        )
        answer = link.ask(bytes.fromhex("0501 04FA30 00 0101 0203") + element)
        head = bytes.fromhex("0C0100 0101 09")
    else:
        answer = link.ask(b"\xc0\x01\xc1" + descriptor + b"\x00")
        head = b"\xc4\x01\xc1\x00\x09"
    if not answer.startswith(head):
        raise Trouble("The meter does not tell who it is (answer %s)." % answer[:4].hex())
    n = len(head)
    return answer[n + 1 : n + 1 + answer[n]].decode("ascii", "replace")


class HLS:
    """A client that proves who it is, and asks the meter to; ciphers if there are keys.

    a: its entry of the sheet; counter: the invocation counter to begin with
    """

    def __init__(self, link, a, server_title, counter):
        self.link = link
        self.mechanism = a["mechanism_id"]
        self.secret, self.gak = (bytes.fromhex(a.get(k, "")) for k in ("secret_hex", "gak_hex"))
        self.ciphered = a["application_context_id"] == _CIPHERED
        self.gcm = AESGCM(bytes.fromhex(a["guek_hex"])) if "guek_hex" in a else None
        self.server_title = server_title
        self.counter = counter
        self.suite = a.get("security_suite", 0)

    def open(self):
        """The four passes; False: the meter refuses, or is not who it should be."""
        ctos = secrets.token_bytes(16)
        initiate = self.sealed(0x21, _INITIATE) if self.ciphered else _INITIATE
        context = _CIPHERED if self.ciphered else 1
        aare = self.link.ask(aarq(self.mechanism, ctos, initiate, context, _TITLE))
        if not accepted(aare):
            return False
        stoc = fields(aare)[0xAA][2:]
        proof = self.proof(_TITLE, self.server_title, stoc, ctos, self.next_counter)
        answer = self.ask(bytes.fromhex("C301C1000F0000280000FF010109") + field(9, proof)[1:])
        if answer[:7] != bytes.fromhex("C701C100010009"):
            return False
        proof = answer[8:]
        return proof == self.proof(self.server_title, _TITLE, ctos, stoc, lambda: proof[1:5])

    def proof(self, title, other_title, challenge, other_challenge, counter):
        if self.mechanism == _SHA256:
            parts = self.secret + title + other_title + challenge + other_challenge
            return hashlib.sha256(parts).digest()
        head = bytes((0x10 | self.suite,))
        ic = counter()
        return (
            head + ic + self.gcm.encrypt(title + ic, b"", head + self.gak + challenge)[:_TAG_LEN]
        )

    def next_counter(self):
        self.counter += 1
        return (self.counter - 1).to_bytes(4, "big")

    def sealed(self, tag, apdu):
        head = bytes((0x30 | self.suite,))
        ic = self.next_counter()
        made = self.gcm.encrypt(_TITLE + ic, apdu, head + self.gak)
        return field(tag, head + ic + made[: len(apdu) + _TAG_LEN])

    def ask(self, apdu):
        if not self.ciphered:
            return self.link.ask(apdu)
        answer = self.link.ask(self.sealed(apdu[0] + 8, apdu))
        if answer[:1] != bytes((apdu[0] + 12,)):
            return answer
        head, ic, body = answer[2:3], answer[3:7], answer[7:-_TAG_LEN]
        # Counter mode is its own inverse.
        text = self.gcm.encrypt(self.server_title + ic, body, b"")[: len(body)]
        made = self.gcm.encrypt(self.server_title + ic, text, head + self.gak)
        return text if made[len(body) :][:_TAG_LEN] == answer[-_TAG_LEN:] else b""

    def release(self):
        information = field(0xBE, field(4, self.sealed(0x21, _INITIATE))) if self.ciphered else b""
        self.link.ask(field(0x62, b"\x80\x01\x00" + information))


def counter_of(link, server, name):
    """The invocation counter that anybody may read; 0 where there is no object."""
    if not name:
        return 0
    link.open(_PUBLIC_CLIENT, server)
    link.ask(aarq(0, b""))
    octets = bytes(int(part) for part in name.split("."))
    answer = link.ask(b"\xc0\x01\xc1\x00\x01" + octets + b"\x02\x00")
    link.ask(b"\x62\x03\x80\x01\x00")
    link.close()
    return int.from_bytes(answer[5:9], "big") if answer[3:5] == b"\x00\x06" else 0


# --- The check ------------------------------------------------------------------------------


def check(sheet, where):
    """Trouble unless the meter there is the one of the sheet; what was seen, as sentences."""
    kind, _, address = where.partition(":")
    if kind not in ("wrapper-tcp", "hdlc-tcp", "hdlc-serial") or not address:
        raise Trouble(
            "%s is no place of a meter: wrapper-tcp:HOST:PORT, hdlc-tcp:HOST:PORT or"
            " hdlc-serial:DEVICE[:BAUD]." % where
        )
    try:
        return _serial(sheet, address) if kind == "hdlc-serial" else _tcp(sheet, kind, address)
    except (OSError, ValueError) as e:
        raise Trouble("There is no talking to a meter at %s (%s)." % (where, e)) from None


def _tcp(sheet, kind, address):
    host, _, number = address.rpartition(":")
    if not number.isdigit():
        raise Trouble("%s has no port number." % address)
    with socket.create_connection((host.strip("[]"), int(number)), _ANSWER_S) as s:
        link = Wrapper(s) if kind == "wrapper-tcp" else HDLC(s.sendall, lambda: s.recv(512))
        return seen(sheet, link)


def _serial(sheet, address):
    import serial

    device, _, baud = address.partition(":")
    if "://" in address:
        device, baud = address, ""
    with serial.serial_for_url(device, int(baud or 9600), timeout=_ANSWER_S) as s:
        return seen(sheet, HDLC(s.write, lambda: s.read(1) + s.read(s.in_waiting)))


def can(a):
    """Is this a client that can be tried here, with what the sheet says?"""
    context = a["application_context_id"]
    if context == _SHORT_NAMES_CIPHERED or context == _SHORT_NAMES and a["mechanism_id"] > _LLS:
        return False
    if a["mechanism_id"] == _GMAC or context == _CIPHERED:
        return a["mechanism_id"] == _GMAC and "guek_hex" in a and AESGCM is not None
    if a["mechanism_id"]:
        return a["mechanism_id"] in (_LLS, _SHA256) and "secret_hex" in a
    return not a["pre_established"]


def seen(sheet, link):
    """Go through all associations of the sheet."""
    names = {d["server_sap"]: d["logical_device_name"] for d in sheet["logical_devices"]}
    said = []
    for a in sheet["associations"]:
        client, server = a["client_sap"], a["server_sap"]
        if not can(a):
            continue
        secret = bytes.fromhex(a.get("secret_hex", ""))
        asks = link
        if a["mechanism_id"] > _LLS:
            counter = counter_of(link, server, a.get("invocation_counter"))
            link.open(client, server)
            asks = HLS(link, a, bytes.fromhex(sheet["system_title"]), counter)
            good = asks.open()
        else:
            link.open(client, server)
            context = a["application_context_id"]
            good = accepted(link.ask(aarq(a["mechanism_id"], secret, context=context)))
        if not good:
            raise Trouble(
                "The meter refuses client %d at SAP %d%s."
                % (client, server, ", with what the record has" if a["mechanism_id"] else "")
            )
        short = a["application_context_id"] == _SHORT_NAMES
        name = get_text(asks, _NAME, short)
        if name != names[server]:
            raise Trouble("This is another meter: %s, and not %s." % (name, names[server]))
        text = "client %d at SAP %d reads %s" % (client, server, name)
        if server == sheet["logical_devices"][0]["server_sap"]:
            number = get_text(asks, _SERIAL_NUMBER, short)
            if number != sheet["serial_number"]:
                raise Trouble(
                    "Its serial number is %s, and not %s." % (number, sheet["serial_number"])
                )
            text += ", serial number %s" % number
        said.append(text)
        if asks is link:
            link.ask(b"\x62\x03\x80\x01\x00")
        else:
            asks.release()
        link.close()
    return said
