# SPDX-License-Identifier: MIT
"""A small meter of Gurux' own server classes, for tools/conformance.py to be played against a
meter that nobody here wrote: a program of its own, for the peers' environment only.

    build/peers/bin/python host_tests/peers/gurux_server.py --link wrapper --port 4059

It listens on 127.0.0.1 for TCP, wrapper or HDLC, and first says on which port (--port 0: any free
one). Client 16 reads without a secret, client 32 with one (LLS), which may write too; both at
server 1. Each connection has a server of its own: Gurux' has the state of one client.

What the classes leave to a program is filled in here, and no more: who may do what, and the
functions that its handlers call by names of its Java edition, which the Python edition has not.

gurux-dlms is GPLv2. It is imported here and in gurux_client.py, and nothing imports this file.
"""

import argparse
import contextlib
import datetime
import json
import socket
import sys
import threading
import traceback

from gurux_dlms import GXByteBuffer, GXDateTime, GXServerReply, ValueEventArgs
from gurux_dlms.enums import (
    AccessMode,
    Authentication,
    Conformance,
    DataType,
    InterfaceType,
    MethodAccessMode,
    SourceDiagnostic,
)
from gurux_dlms.objects import (
    GXDLMSAssociationLogicalName,
    GXDLMSCaptureObject,
    GXDLMSClock,
    GXDLMSData,
    GXDLMSProfileGeneric,
    GXDLMSRegister,
    GXDLMSSapAssignment,
)
from gurux_dlms.secure import GXDLMSSecureServer

_PUBLIC, _READER = 16, 32
_NAME = b"GRX0000000001"
_ROWS = 6
_CHUNK = 4096


class Clock(GXDLMSClock):
    """The base class stands still."""

    def getValue(self, settings, e):
        if e.index == 2:
            self.time = GXDateTime(datetime.datetime.now(datetime.timezone.utc))
        return super().getValue(settings, e)


class Meter(GXDLMSSecureServer):
    def __init__(self, interface, secret):
        super().__init__(True, interface)
        self.secret = secret
        self.conformance = (
            Conformance.GET | Conformance.SET | Conformance.ACTION
            | Conformance.BLOCK_TRANSFER_WITH_GET_OR_READ | Conformance.SELECTIVE_ACCESS
            | Conformance.MULTIPLE_REFERENCES
        )  # fmt: skip
        for one in objects():
            self.items.append(one)
        self.settings.gbtWndowSize = 1
        self.settings.getMaxPduSize = lambda: self.settings.maxPduSize
        if interface == InterfaceType.HDLC:
            self.hdlc = self.settings.hdlc
            self.hdlc.inactivityTimeout = 0
            self.hdlc.update = lambda settings: None
            self.hdlc.maximumInfoLengthReceive = self.hdlc.maximumInfoLengthTransmit = 128
        self.initialize()

    # --- What a program has to say

    def isTarget(self, serverAddress, clientAddress):
        return serverAddress == 1 and clientAddress in (_PUBLIC, _READER)

    def onValidateAuthentication(self, authentication, password):
        client = self.settings.clientAddress
        if client == _READER and authentication == Authentication.NONE:
            return SourceDiagnostic.AUTHENTICATION_REQUIRED
        wanted = Authentication.LOW if client == _READER else Authentication.NONE
        if authentication != wanted:
            return SourceDiagnostic.AUTHENTICATION_MECHANISM_NAME_REQUIRED
        if client == _READER and bytes(password or b"") != self.secret:
            return SourceDiagnostic.AUTHENTICATION_FAILURE
        return SourceDiagnostic.NONE

    def onGetAttributeAccess(self, arg):
        may_write = self.settings.clientAddress == _READER and isinstance(arg.target, GXDLMSData)
        return AccessMode.READ_WRITE if may_write and arg.index == 2 else AccessMode.READ

    def onGetMethodAccess(self, arg):
        return MethodAccessMode.NO_ACCESS

    def onFindObject(self, objectType, sn, ln):
        return None

    def _nothing(self, *_):
        pass

    onPreRead = onPostRead = onPreWrite = onPostWrite = onPreAction = onPostAction = _nothing
    onPreGet = onPostGet = onConnected = onDisconnected = onInvalidConnection = _nothing

    def answer(self, octets):
        """What it says to octets. Where its handlers fail, nothing; and it goes on."""
        reply = Reply(GXByteBuffer(octets))
        try:
            self.handleRequest(reply)
        except Exception:
            traceback.print_exc()
            self.info.clear()
            self.receivedData.clear()
            self.replyData.clear()
            self.transaction = None
        return bytes(reply.reply or b"")

    # --- What the handlers call, and the Python edition does not have

    notifyRead = notifyConnected = _nothing

    def getTransaction(self):
        return self.transaction

    def setTransaction(self, value):
        self.transaction = value


class Reply(GXServerReply):
    """With what the handlers call, and the Python edition does not have."""

    def setReply(self, octets):
        self.reply = octets

    def getConnectionInfo(self):
        return None

    def getCount(self):
        return self.count

    def setCount(self, value):
        self.count = value


def _made(old):
    def made(args, settings, *rest):
        old(args, settings, *rest)
        args.server = settings if isinstance(settings, Meter) else None
        args.isSkipMaxPduSize = False

    return made


ValueEventArgs.__init__ = _made(ValueEventArgs.__init__)


def objects():
    """A current association, a name, registers, a clock, a profile of some rows."""
    name = GXDLMSData("0.0.42.0.0.255")
    name.value = bytearray(_NAME)
    name.setDataType(2, DataType.OCTET_STRING)
    note = GXDLMSData("0.0.96.1.1.255")
    note.value = bytearray(b"plugfest")
    note.setDataType(2, DataType.OCTET_STRING)
    found = [name, note]
    for obis, value in (("1.0.1.8.0.255", 123456), ("1.0.2.8.0.255", 789)):
        register = GXDLMSRegister(obis)
        register.value, register.scaler, register.unit = value, 1, 30
        register.setDataType(2, DataType.UINT32)
        found.append(register)
    clock = Clock("0.0.1.0.0.255")
    sap = GXDLMSSapAssignment("0.0.41.0.0.255")
    sap.sapAssignmentList.append((1, _NAME.decode()))
    profile = GXDLMSProfileGeneric("1.0.99.1.0.255")
    profile.capturePeriod = 900
    profile.captureObjects.append((clock, GXDLMSCaptureObject(2, 0)))
    profile.captureObjects.append((found[2], GXDLMSCaptureObject(2, 0)))
    begin = datetime.datetime(2026, 1, 1, tzinfo=datetime.timezone.utc)
    for n in range(_ROWS):
        profile.buffer.append([GXDateTime(begin + n * datetime.timedelta(minutes=15)), n])
    profile.entriesInUse = profile.profileEntries = _ROWS
    current = GXDLMSAssociationLogicalName("0.0.40.0.0.255")
    found += [clock, sap, profile, current]
    for one in found:
        current.objectList.append(one)
    return found


def serve(s, options):
    """One connection, to its end."""
    interface = InterfaceType.WRAPPER if options.link == "wrapper" else InterfaceType.HDLC
    meter = Meter(interface, options.secret)
    with s:
        while octets := s.recv(_CHUNK):
            s.sendall(meter.answer(octets))


def quietly(s, options):
    try:
        serve(s, options)
    except OSError:
        pass
    except Exception:
        traceback.print_exc()


def main():
    p = argparse.ArgumentParser(description="A small meter of Gurux' classes.")
    p.add_argument("--link", choices=("wrapper", "hdlc"), default="wrapper")
    p.add_argument("--port", type=int, default=0)
    p.add_argument("--secret", type=bytes.fromhex, default=b"plugfest", help="of client 32, hex")
    options = p.parse_args()
    listener = socket.create_server(("127.0.0.1", options.port))
    print(json.dumps({"port": listener.getsockname()[1]}), flush=True)
    with contextlib.redirect_stdout(sys.stderr):  # Gurux talks
        while True:
            s, _ = listener.accept()
            threading.Thread(target=quietly, args=(s, options), daemon=True).start()


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        pass
