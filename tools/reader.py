# SPDX-License-Identifier: MIT
"""As little of a DLMS client as it takes to see who a meter is, and whether secrets open it.

    check(sheet, where)        sheet: as sheet.py makes it; where: wrapper-tcp:HOST:PORT,
                               hdlc-tcp:HOST:PORT or hdlc-serial:DEVICE[:BAUD]

IEC 62056-5-3 (AARQ, AARE, GET-Normal), 62056-47 (wrapper), 62056-46 (one frame at a time). It
knows nothing of the meter but the connection sheet.
"""

import socket
import struct

from bootstrap import Trouble

_ANSWER_S = 10
_NAME = bytes.fromhex("0001 00002A0000FF 02")
_SERIAL_NUMBER = bytes.fromhex("0001 0000600100FF 02")
_LLS = 1


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


def aarq(secret):
    body = bytes.fromhex("A1090607608574050801 01".replace(" ", ""))
    if secret:
        body += bytes.fromhex("8A0207808B0760857405080201")
        body += bytes((0xAC, 2 + len(secret), 0x80, len(secret))) + secret
    body += bytes.fromhex("BE10040E01000000065F1F0400FFFFFF0400")
    return bytes((0x60, len(body))) + body


def accepted(aare):
    """Is this an AARE with result accepted?"""
    if aare[:1] != b"\x61":
        return False
    at = 2
    while at + 2 <= len(aare):
        if aare[at] == 0xA2:
            return aare[at + 2 : at + 5] == b"\x02\x01\x00"
        at += 2 + aare[at + 1]
    return False


def get_text(link, descriptor):
    """An octet-string attribute as text."""
    answer = link.ask(b"\xc0\x01\xc1" + descriptor + b"\x00")
    if answer[:1] != b"\xc4" or answer[3:5] != b"\x00\x09":
        raise Trouble("The meter does not tell who it is (answer %s)." % answer[:4].hex())
    return answer[6 : 6 + answer[5]].decode("ascii", "replace")


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


def seen(sheet, link):
    """Go through all associations of the sheet."""
    names = {d["server_sap"]: d["logical_device_name"] for d in sheet["logical_devices"]}
    said = []
    for a in sheet["associations"]:
        if a["mechanism_id"] > _LLS:
            continue
        client, server = a["client_sap"], a["server_sap"]
        secret = bytes.fromhex(a.get("secret_hex", ""))
        if a["mechanism_id"] == _LLS and not secret:
            continue
        link.open(client, server)
        if not accepted(link.ask(aarq(secret))):
            raise Trouble(
                "The meter refuses client %d at SAP %d%s."
                % (client, server, ", with the secret of the record" if secret else "")
            )
        name = get_text(link, _NAME)
        if name != names[server]:
            raise Trouble("This is another meter: %s, and not %s." % (name, names[server]))
        text = "client %d at SAP %d reads %s" % (client, server, name)
        if server == sheet["logical_devices"][0]["server_sap"]:
            number = get_text(link, _SERIAL_NUMBER)
            if number != sheet["serial_number"]:
                raise Trouble(
                    "Its serial number is %s, and not %s." % (number, sheet["serial_number"])
                )
            text += ", serial number %s" % number
        said.append(text)
        link.ask(b"\x62\x03\x80\x01\x00")
        link.close()
    return said
