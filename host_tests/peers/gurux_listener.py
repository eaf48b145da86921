# SPDX-License-Identifier: MIT
"""Waits for what a meter sends unasked, and shows it as Gurux understands it: a program of its
own, for the peers' environment only.

    build/peers/bin/python host_tests/peers/gurux_listener.py --port 4061 --guek HEX --gak HEX

It listens on 127.0.0.1 for TCP, wrapper, and first says on which port (--port 0: any free one).
Each notification is one line of JSON: value, time, raw (the wpdu, in hexadecimal). Of one that is
to be confirmed, it sends the confirmation: in plain text, for Gurux has no such APDU.

gurux-dlms is GPLv2. It is imported here and in gurux_client.py, and nothing imports this file.
"""

import argparse
import contextlib
import json
import socket
import sys

from gurux_dlms import GXByteBuffer, GXReplyData
from gurux_dlms.enums import Authentication, Command, InterfaceType, Security
from gurux_dlms.secure import GXDLMSSecureClient

_CONFIRMED = 0x40000000


def client_of(options):
    # It keeps what it knows of the meter, so there is a new one for each notification.
    client = GXDLMSSecureClient(True, 1, 1, Authentication.NONE, None, InterfaceType.WRAPPER)
    if options.guek:
        client.ciphering.security = Security.AUTHENTICATION_ENCRYPTION
        client.ciphering.systemTitle = bytearray.fromhex(options.title)
        client.ciphering.blockCipherKey = bytearray.fromhex(options.guek)
        client.ciphering.authenticationKey = bytearray.fromhex(options.gak)
    return client


def plain(value):
    """As JSON has it: octets as hexadecimal."""
    if isinstance(value, (bytes, bytearray)):
        return bytes(value).hex()
    if isinstance(value, (list, tuple)):
        return [plain(v) for v in value]
    if value is None or isinstance(value, (bool, str)):
        return value
    return int(value) if isinstance(value, int) else str(value)


def understood(wpdu, options):
    notify = GXReplyData()
    with contextlib.redirect_stdout(sys.stderr):  # Gurux talks
        client_of(options).getData(GXByteBuffer(wpdu), GXReplyData(), notify)
    if notify.command != Command.DATA_NOTIFICATION:
        raise ValueError("this is no notification")
    return {"value": plain(notify.value), "time": str(notify.time), "id": notify.invokeId}


def octets(s, n):
    got = b""
    while len(got) < n:
        part = s.recv(n - len(got))
        if not part:
            return b""
        got += part
    return got


def listen(s, options):
    """All that comes on a connection."""
    while True:
        head = octets(s, 8)
        if not head:
            return
        wpdu = head + octets(s, int.from_bytes(head[6:], "big"))
        try:
            answer = understood(wpdu, options)
        except Exception as e:
            answer = {"error": "%s: %s" % (type(e).__name__, e)}
        answer["raw"] = wpdu.hex()
        print(json.dumps(answer), flush=True)
        if answer.get("id", 0) & _CONFIRMED:
            apdu = b"\x10" + answer["id"].to_bytes(4, "big") + b"\0"
            s.sendall(head[:2] + head[4:6] + head[2:4] + len(apdu).to_bytes(2, "big") + apdu)


def main():
    p = argparse.ArgumentParser(description="Show the notifications of a meter.")
    p.add_argument("--port", type=int, default=4061)
    p.add_argument("--guek", metavar="HEX", default="", help="key of ciphered ones")
    p.add_argument("--gak", metavar="HEX", default="", help="authentication key")
    p.add_argument("--title", metavar="HEX", default="434C490000000001", help="our system title")
    options = p.parse_args()
    listener = socket.create_server(("127.0.0.1", options.port))
    print(json.dumps({"port": listener.getsockname()[1]}), flush=True)
    while True:
        s, _ = listener.accept()
        with s:
            try:
                listen(s, options)
            except OSError as e:
                print(e, file=sys.stderr)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        pass
