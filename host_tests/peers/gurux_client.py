# SPDX-License-Identifier: MIT
"""Asks a meter with the Gurux client: a program of its own, for the peers' environment only.

    build/peers/bin/python host_tests/peers/gurux_client.py --link wrapper --port 4059 --client 16

Commands come on stdin, one JSON object a line; the answer to each is one line on stdout, which has
"error" when it was refused, by the meter or by Gurux. Octets are hexadecimal. PROTOCOL.md beside
this file lists the commands; dlms_cosem_client.py has the same.

gurux-dlms is GPLv2. It is imported here and nowhere else, and nothing imports this file.
"""

import argparse
import contextlib
import datetime
import hashlib
import json
import os
import socket
import sys
import time
import types

from gurux_dlms import (
    GXByteBuffer,
    GXDateTime,
    GXDLMSClient,
    GXDLMSConfirmedServiceError,
    GXDLMSException,
    GXDLMSExceptionResponse,
    GXReplyData,
)
from gurux_dlms.ecdsa import GXEcdsa, GXPrivateKey, GXPublicKey
from gurux_dlms.ecdsa._GXShamirs import _GXShamirs
from gurux_dlms.ecdsa.enums import Ecc
from gurux_dlms.ecdsa.GXCurve import GXCurve
from gurux_dlms.ecdsa.GXEccPoint import GXEccPoint
from gurux_dlms.enums import (
    AccessServiceCommandType,
    Authentication,
    Command,
    Conformance,
    DataType,
    InterfaceType,
    ObjectType,
    RequestTypes,
    Security,
)
from gurux_dlms.GXBitString import GXBitString
from gurux_dlms.GXDLMSGateway import GXDLMSGateway
from gurux_dlms.GXDLMS import GXDLMS
from gurux_dlms.GXDLMSAccessItem import GXDLMSAccessItem
from gurux_dlms.GXDLMSLNParameters import GXDLMSLNParameters
from gurux_dlms.internal._GXCommon import _GXCommon
from gurux_dlms.internal._GXDataInfo import _GXDataInfo
from gurux_dlms.objects import (
    GXDLMSCaptureObject,
    GXDLMSObject,
    GXDLMSProfileGeneric,
    GXDLMSSecuritySetup,
)
from gurux_dlms.objects.enums import SecuritySuite
from gurux_dlms.secure import GXDLMSSecureClient

_ACCESS = {
    "get": AccessServiceCommandType.GET,
    "set": AccessServiceCommandType.SET,
    "action": AccessServiceCommandType.ACTION,
}
_NAMES = {
    "null-data": DataType.NONE,
    "array": DataType.ARRAY,
    "structure": DataType.STRUCTURE,
    "boolean": DataType.BOOLEAN,
    "double-long": DataType.INT32,
    "double-long-unsigned": DataType.UINT32,
    "octet-string": DataType.OCTET_STRING,
    "visible-string": DataType.STRING,
    "integer": DataType.INT8,
    "long": DataType.INT16,
    "unsigned": DataType.UINT8,
    "long-unsigned": DataType.UINT16,
    "enum": DataType.ENUM,
}
_GET_WITH_LIST_MOST = 10
_MECHANISMS = {
    "none": Authentication.NONE,
    "lls": Authentication.LOW,
    "md5": Authentication.HIGH_MD5,
    "sha1": Authentication.HIGH_SHA1,
    "gmac": Authentication.HIGH_GMAC,
    "sha256": Authentication.HIGH_SHA256,
    "ecdsa": Authentication.HIGH_ECDSA,
}
_PROTECT = {
    "none": Security.NONE,
    "authenticated": Security.AUTHENTICATION,
    "encrypted": Security.ENCRYPTION,
    "both": Security.AUTHENTICATION_ENCRYPTION,
}


# What Gurux calls, and has forgotten to write, for answers to Read that come in blocks.
if not hasattr(GXReplyData, "setTotalCount"):
    GXReplyData.setTotalCount = lambda reply, n: setattr(reply, "totalCount", n)
    GXReplyData.getMoreData = lambda reply: reply.moreData


class Refused(Exception):
    """The answer is an error; its argument is what to report."""


class TCP:
    def __init__(self, host, port, timeout_s):
        self.socket = socket.create_connection((host, port), timeout_s)

    def write(self, data):
        self.socket.sendall(data)

    def read(self):
        data = self.socket.recv(65536)
        if not data:
            raise Refused({"kind": "link", "text": "the meter has closed the connection"})
        return data

    def close(self):
        self.socket.close()


class Serial:
    def __init__(self, path, timeout_s):
        import serial

        self.port = serial.Serial(path, 9600, timeout=timeout_s)

    def write(self, data):
        self.port.write(bytes(data))

    def read(self):
        data = self.port.read(1)
        if not data:
            raise Refused({"kind": "link", "text": "the meter does not answer"})
        return data + self.port.read(self.port.in_waiting)

    def close(self):
        self.port.close()


class Optical(Serial):
    """A serial port on which the meter is signed on with IEC 62056-21, mode E, before HDLC. The
    library has what comes after that (HDLC_WITH_MODE_E); readers do the rest, as here."""

    _RATES = (300, 600, 1200, 2400, 4800, 9600, 19200)

    def __init__(self, path, timeout_s):
        import termios

        import serial

        class Port(serial.Serial):
            def _reconfigure_port(self, force_update=False):
                with contextlib.suppress(termios.error):  # a pseudo-terminal has no parity
                    super()._reconfigure_port(force_update)

        self.port = Port(path, 300, 7, serial.PARITY_EVEN, timeout=timeout_s)
        self.write(b"/?!\r\n")
        identification = self.line()
        if identification[:1] != b"/" or identification[5:7] != b"\\2":
            raise Refused({"kind": "link", "text": "no mode E: %r" % identification})
        rate = identification[4:5]
        option = b"\x062" + rate + b"2\r\n"
        self.write(option)
        if self.line() != option:
            raise Refused({"kind": "link", "text": "the meter does not confirm mode E"})
        self.port.parity = serial.PARITY_NONE
        self.port.bytesize = serial.EIGHTBITS
        self.port.baudrate = self._RATES[int(rate)]

    def line(self):
        data = self.port.read_until(b"\n")
        if data[-1:] != b"\n":
            raise Refused({"kind": "link", "text": "the meter does not answer"})
        return bytes(data)


class Curve:
    """ECDSA and ECDH of a suite, on Gurux's points.

    Its own class has P-256 alone: of P-384 it says that it does not know it. And its ECDH does not
    run at all.
    """

    def __init__(self, suite):
        self.scheme, self.size, self.hash = {
            1: (Ecc.P256, 32, "sha256"),
            2: (Ecc.P384, 48, "sha384"),
        }[suite]
        self.curve = GXCurve(self.scheme)

    def number(self, octets):
        return int.from_bytes(octets, "big")

    def digest(self, data):
        return self.number(hashlib.new(self.hash, bytes(data)).digest())

    def pair(self):
        """(private key, public key as x and y)"""
        public, private = GXEcdsa.generateKeyPair(self.scheme)
        return bytes(private.rawValue), bytes(public.rawValue)[1:]

    def times(self, point, scalar):
        made = GXEccPoint()
        _GXShamirs.pointMulti(self.curve, made, point, scalar)
        return made

    def sign(self, private, data):
        if self.scheme == Ecc.P256:
            return GXEcdsa(GXPrivateKey.fromRawBytes(private)).sign(data)
        n = self.curve.n
        k = 1 + self.number(os.urandom(self.size)) % (n - 1)
        r = self.times(self.curve.g, k).x % n
        s = pow(k, -1, n) * (self.digest(data) + r * self.number(private)) % n
        return r.to_bytes(self.size, "big") + s.to_bytes(self.size, "big")

    def verify(self, public, signature, data):
        key = GXPublicKey.fromRawBytes(b"\4" + bytes(public))
        if self.scheme == Ecc.P256:
            return GXEcdsa(key).verify(signature, data)
        n = self.curve.n
        r, s = (self.number(part) for part in (signature[: self.size], signature[self.size :]))
        w, made = pow(s, -1, n), GXEccPoint()
        _GXShamirs.trick(self.curve, key, made, self.digest(data) * w % n, r * w % n)
        return made.x % n == r

    def secret(self, private, public):
        x, y = (self.number(part) for part in (public[: self.size], public[self.size :]))
        z = self.times(GXEccPoint(x, y), self.number(private)).x
        return z.to_bytes(self.size, "big")

    def derive(self, z, algorithm, u, v):
        text = b"\0\0\0\1" + z + bytes.fromhex(algorithm) + bytes(u) + bytes(v)
        return hashlib.new(self.hash, text).digest()[: 16 if self.size == 32 else 32]


class Client:
    def __init__(self, options):
        self.options = options
        self.media = None
        self.objects = {}
        self.sent = 0
        self.left = b""
        options.gbt_wrapper = options.gbt and options.link == "wrapper"

    # --- Octets to and fro

    def exchange(self, message, reply):
        """One request and the whole of its answer, blocks and frames included."""
        if message is None:
            return reply
        self.packet(message, reply)
        in_blocks = False
        while reply.isMoreData():
            if self.options.short:
                # Gurux notes the kind of a request only with logical names.
                self.client.settings.command = Command.READ_REQUEST
                in_blocks = in_blocks or bool(reply.moreData & RequestTypes.DATABLOCK)
            self.packet(self.go_on(reply), reply)
        if in_blocks:
            self.one_result(reply)
        return reply

    def go_on(self, reply):
        """What asks for more; None: it comes by itself."""
        if reply.moreData != RequestTypes.GBT:
            return self.client.receiverReady(reply)
        if reply.isStreaming():
            # With HDLC nobody speaks who is not asked.
            hdlc = self.options.link == "hdlc"
            return self.client.receiverReady(RequestTypes.FRAME) if hdlc else None
        # Gurux takes the number of its block from where it keeps none.
        settings = self.client.settings
        settings.blockNumber = settings.blockIndex
        return self.client.receiverReady(reply)

    def one_result(self, reply):
        """The blocks of an answer to Read hold all of it: a list of results, here of one. Gurux
        takes them for its Data."""
        raw = bytes(reply.data.array())
        if raw[0] != 1:
            raise Refused({"kind": "peer", "text": "a list of results in blocks"})
        if raw[1]:
            raise Refused({"kind": "data_access_result", "code": raw[2]})
        reply.data.clear()
        reply.data.set(raw[2:])
        reply.value = _GXCommon.getData(self.client.settings, GXByteBuffer(raw[2:]), _GXDataInfo())

    def packet(self, message, reply):
        if message is not None:
            self.sent += 1
            if self.options.trace:
                sys.stderr.write("TX: %s\n" % bytes(message).hex())
            self.media.write(message)
        received = GXByteBuffer()
        notify = GXReplyData()
        repeats = self.options.repeats if message is not None else 0
        while True:
            try:
                received.set(self.one_wpdu() if self.options.gbt_wrapper else self.media.read())
            except TimeoutError:
                if not repeats:
                    raise
                repeats -= 1
                received.clear()
                self.media.write(message)
                continue
            if self.client.getData(received, reply, notify):
                break
        if self.options.trace:
            sys.stderr.write("RX: %s\n" % bytes(received.array()).hex())
        if reply.error:
            raise Refused({"kind": "data_access_result", "code": int(reply.error)})

    def one_wpdu(self):
        """Gurux takes one at a time; those of a window may come together."""
        while len(self.left) < 8 or len(self.left) < 8 + int.from_bytes(self.left[6:8], "big"):
            self.left += self.media.read()
        n = 8 + int.from_bytes(self.left[6:8], "big")
        first, self.left = self.left[:n], self.left[n:]
        return first

    def request(self, messages):
        """Several messages are blocks, or segments, of one request: the last answer counts."""
        if messages and not isinstance(messages[0], (bytes, bytearray)):
            messages = messages[0]
        reply = GXReplyData()
        for message in messages:
            reply.clear()
            self.exchange(message, reply)
        return reply

    # --- Commands

    def do_open(self, c):
        o = self.options
        wrapper = o.link == "wrapper"
        server = o.server
        if o.lower is not None:
            server = GXDLMSClient.getServerAddress(o.server, o.lower, o.address_size)
        secret = bytes.fromhex(c.get("secret", o.secret))
        mechanism = o.mechanism or ("lls" if secret else "none")
        self.client = (GXDLMSSecureClient if o.title else GXDLMSClient)(
            not o.short,
            o.client,
            server,
            _MECHANISMS[mechanism],
            secret or None,
            InterfaceType.WRAPPER
            if wrapper
            else InterfaceType.HDLC_WITH_MODE_E
            if o.mode_e
            else InterfaceType.HDLC,
        )
        if o.title:
            self.secure(c)
        self.client.autoIncreaseInvokeID = True
        self.client.maxReceivePDUSize = o.max_pdu
        if o.short:
            self.client.proposedConformance |= (
                Conformance.BLOCK_TRANSFER_WITH_GET_OR_READ
                | Conformance.BLOCK_TRANSFER_WITH_SET_OR_WRITE
            )
        # General block transfer, which the meter may not have, would take the place of blocks.
        without = Conformance.GENERAL_BLOCK_TRANSFER
        if o.gbt:
            without = (
                Conformance.BLOCK_TRANSFER_WITH_GET_OR_READ
                | Conformance.BLOCK_TRANSFER_WITH_SET_OR_WRITE
                | Conformance.BLOCK_TRANSFER_WITH_ACTION
            )
            self.client.proposedConformance |= Conformance.GENERAL_BLOCK_TRANSFER
            self.client.gbtWndowSize = o.gbt
        self.client.proposedConformance &= ~without
        if o.gateway:
            network_id, address = o.gateway.split(":")
            self.client.gateway = GXDLMSGateway()
            self.client.gateway.networkId = int(network_id)
            self.client.gateway.physicalDeviceAddress = bytearray.fromhex(address)
        if o.access:
            self.client.proposedConformance |= Conformance.ACCESS
        if o.address_size:
            self.client.serverAddressSize = o.address_size
        h = self.client.hdlcSettings
        h.maxInfoTX = h.maxInfoRX = o.max_info
        h.windowSizeTX = h.windowSizeRX = o.window
        if self.media is None:
            if o.serial:
                self.media = (Optical if o.mode_e else Serial)(o.serial, o.timeout)
            else:
                self.media = TCP(o.host, o.port, o.timeout)
        reply = GXReplyData()
        message = self.client.snrmRequest()
        if message is not None:
            self.exchange(message, reply)
            self.client.parseUAResponse(reply.data)
        return self.associate()

    def secure(self, c):
        """Keys, counter and system title, of the options or of the command."""
        o = self.options
        cipher = self.client.ciphering
        cipher.systemTitle = bytearray.fromhex(o.title)
        cipher.security = _PROTECT[o.protect]
        cipher.securitySuite = SecuritySuite(o.suite)
        cipher.blockCipherKey = bytearray.fromhex(c.get("guek", o.guek))
        cipher.authenticationKey = bytearray.fromhex(c.get("gak", o.gak))
        cipher.invocationCounter = c.get("counter", o.counter)
        if o.dedicated:
            cipher.dedicatedKey = bytearray.fromhex(o.dedicated)
        if o.signing_key:
            cipher.signingKeyPair = (
                GXPublicKey.fromRawBytes(b"\4" + bytes.fromhex(o.meter_signing_key)),
                GXPrivateKey.fromRawBytes(bytes.fromhex(o.signing_key)),
            )
            # Its own challenges have 16 octets; for ECDSA they have to have 32 to 64.
            self.client.settings.useCustomChallenge = True
            self.client.settings.ctoSChallenge = bytearray(os.urandom(32))
            if o.suite == 2:
                self.sign_as_suite_2()
        self.client.useProtectedRelease = o.protect != "none"
        if o.general:
            self.client.proposedConformance |= Conformance.GENERAL_PROTECTION

    def associate(self):
        reply = self.request(self.client.aarqRequest())
        aare = bytes(reply.data.array())
        try:
            self.client.parseAareResponse(reply.data)
        except GXDLMSException as e:
            raise Refused(
                {
                    "kind": "association",
                    "result": int(e.errorCode),
                    "diagnostic": int(getattr(e, "diagnostic", 0) or 0),
                    "raw": aare.hex(),
                }
            ) from e
        if self.client.isAuthenticationRequired:
            self.prove()
        answer = {
            "raw": aare.hex(),
            "max_pdu": self.client.maxReceivePDUSize,
            "conformance": conformance(self.client.negotiatedConformance),
            "proposed": conformance(self.client.proposedConformance),
        }
        if self.options.link == "hdlc":
            h = self.client.hdlcSettings
            answer["hdlc"] = [h.maxInfoTX, h.maxInfoRX, h.windowSizeTX, h.windowSizeRX]
        # A limit of the client's own, so that what it sends comes in blocks too.
        if self.options.max_send:
            self.client.settings.maxPduSize = self.options.max_send
        return answer

    @staticmethod
    def sign_as_suite_2():
        curve = Curve(2)

        def sign(self, data):
            return curve.sign(self._GXEcdsa__privateKey.rawValue, data)

        def verify(self, signature, data):
            return curve.verify(self._GXEcdsa__publicKey.rawValue[1:], signature, data)

        GXEcdsa.sign, GXEcdsa.verify = sign, verify

    def do_agree(self, c):
        """key_agreement of Security setup: the keys, by key_id, that both sides have then.

        Gurux's own method stops before it has signed anything.
        """
        o = self.options
        curve = Curve(o.suite)
        private = bytes.fromhex(o.signing_key)
        ephemeral, parts = {}, b""
        for key_id in c["key_ids"]:
            ephemeral[key_id], public = curve.pair()
            data = public + curve.sign(private, bytes([key_id]) + public)
            head = bytes([len(data)]) if len(data) < 128 else b"\x81" + bytes([len(data)])
            parts += b"\2\2\x16" + bytes([key_id]) + b"\x09" + head + data
        parameter = b"\1" + bytes([len(ephemeral)]) + parts
        setup = GXDLMSSecuritySetup(c["obis"])
        reply = self.action(self.client.method(setup, 3, bytearray(parameter), DataType.ARRAY))
        keys = {}
        theirs = bytes.fromhex(o.meter_signing_key)
        title, own = self.client.settings.sourceSystemTitle, self.client.ciphering.systemTitle
        for key_id, data in plain(reply.value):
            data = bytes.fromhex(data)
            public, signature = data[: 2 * curve.size], data[2 * curve.size :]
            if not curve.verify(theirs, signature, bytes([key_id]) + public):
                raise Refused({"kind": "peer", "text": "the signature of the meter is wrong"})
            z = curve.secret(ephemeral[key_id], public)
            # AES-GCM, or AES key wrap for the master key, of 128 or 256 bits.
            algorithm = "608574050803%02x" % ((2 if key_id == 3 else 0) + o.suite - 1)
            keys[key_id] = curve.derive(z, algorithm, own, title).hex()
        return {"keys": [keys[key_id] for key_id in c["key_ids"]]}

    def do_setup(self, c):
        """A method of Gurux's Security setup; arguments in hexadecimal are octets."""
        setup = GXDLMSSecuritySetup(c["obis"])
        arguments = [bytearray.fromhex(a) if isinstance(a, str) else a for a in c["arguments"]]
        if c["call"] == "importCertificate":
            arguments = [types.SimpleNamespace(encoded=a) for a in arguments]
        method = getattr(setup, c["call"])
        return self.value(self.action(method(self.client, *arguments)))

    def prove(self):
        """Pass 3 and 4 of high level security."""
        if self.options.short:
            return self.prove_short()
        reply = self.action(self.client.getApplicationAssociationRequest())
        self.client.parseApplicationAssociationResponse(reply.data)

    def prove_short(self):
        """With short names Gurux writes f(StoC), and so would not hear f(CtoS): it is read here,
        with f(StoC) as the parameter."""
        taken = []
        self.client._GXDLMSClient__method = lambda *arguments: taken.append(arguments)
        self.client.getApplicationAssociationRequest()
        del self.client._GXDLMSClient__method
        parameter = GXByteBuffer(b"\x00")  # selector
        _GXCommon.setData(self.client.settings, parameter, DataType.OCTET_STRING, taken[0][3])
        kind = ObjectType.ASSOCIATION_SHORT_NAME
        # reply_to_HLS_authentication is where attribute 12 would be.
        reply = self.request(self.client._read(0xFA00, kind, 12, parameter))
        self.client.parseApplicationAssociationResponse(reply.data)

    def name(self, c):
        """What Gurux calls an object: its logical name, or its base_name."""
        if not self.options.short:
            return c["obis"]
        return self.objects[(c["class_id"], c["obis"])].shortName & 0xFFFF

    def do_counter(self, c):
        """The invocation counter that is used next; another one if the command has it."""
        cipher = self.client.ciphering
        if "counter" in c:
            cipher.invocationCounter = c["counter"]
        return {"counter": cipher.invocationCounter}

    def do_transfer(self, c):
        """key_transfer of Security setup: keys [[key_id, key]] under a KEK."""
        setup = GXDLMSSecuritySetup(c["obis"])
        keys = [(key_id, bytearray.fromhex(key)) for key_id, key in c["keys"]]
        messages = setup.globalKeyTransfer(self.client, bytearray.fromhex(c["kek"]), keys)
        return self.value(self.action(messages))

    def do_keys(self, c):
        """The client's own keys are others from now on."""
        cipher = self.client.ciphering
        cipher.blockCipherKey = bytearray.fromhex(
            c.get("guek") or bytes(cipher.blockCipherKey).hex()
        )
        cipher.authenticationKey = bytearray.fromhex(
            c.get("gak") or bytes(cipher.authenticationKey).hex()
        )
        cipher.invocationCounter = c.get("counter", cipher.invocationCounter)
        return {}

    def do_activate(self, c):
        """security_activate of Security setup."""
        setup = GXDLMSSecuritySetup(c["obis"])
        return self.value(self.action(setup.activate(self.client, c["policy"])))

    def do_associate(self, c):
        """AARQ once more, over the same connection."""
        return self.associate()

    def do_objects(self, c):
        reply = self.request([self.client.getObjectsRequest()])
        raw = bytes(reply.data.array())
        with contextlib.redirect_stdout(sys.stderr):
            objects = self.client.parseObjects(GXByteBuffer(raw), False, False)
        self.objects = {(int(o.objectType), o.logicalName): o for o in objects}
        listed = []
        for o in objects:
            if type(o) is GXDLMSObject:
                self.objects.pop((int(o.objectType), o.logicalName))
            listed.append(
                {
                    "class_id": int(o.objectType),
                    "version": int(o.version),
                    "obis": o.logicalName,
                    "known": type(o) is not GXDLMSObject,
                    "description": o.description or "",
                }
            )
        rights = _GXCommon.getData(self.client.settings, GXByteBuffer(raw), _GXDataInfo())
        if self.options.short:
            for entry, o in zip(listed, objects):
                entry["base_name"] = o.shortName & 0xFFFF
                self.objects[(entry["class_id"], entry["obis"])] = o
            return {"raw": raw.hex(), "objects": listed}
        for entry, right in zip(listed, rights):
            attributes, methods = right[3]
            entry["attributes"] = [
                [int(a[0]), int(a[1]), None if a[2] is None else [int(n) for n in a[2]]]
                for a in attributes
            ]
            entry["methods"] = [[int(m[0]), int(m[1])] for m in methods]
        return {"raw": raw.hex(), "objects": listed}

    def do_get(self, c):
        class_id, name, attribute = c["class_id"], self.name(c), c["attribute"]
        if "offset" in c:
            # Gurux reckons that attributes are 8 apart.
            name += c["offset"] - 8 * (attribute - 1)
        selection = None
        if "selection" in c:
            selection = GXByteBuffer(bytes.fromhex(c["selection"]))
        sent = self.sent
        # pylint: disable=protected-access
        reply = self.request(self.client._read(name, ObjectType(class_id), attribute, selection))
        answer = self.value(reply)
        answer["packets"] = self.sent - sent
        known = self.objects.get((class_id, c["obis"]))
        if known is not None and not selection:
            answer.update(self.understand(known, attribute, reply.value))
        return answer

    def understand(self, item, attribute, value):
        """What Gurux's own interface class makes of the value."""
        try:
            with contextlib.redirect_stdout(sys.stderr):
                understood = self.client.updateValue(item, attribute, value)
        except Exception as e:  # whatever it is, that is the answer
            return {"understood": False, "why": "%s: %s" % (type(e).__name__, e)}
        try:
            return {"understood": True, "shown": str(understood)}
        except TypeError:  # Gurux's objects in a list cannot be shown
            return {"understood": True}

    @staticmethod
    def value(reply):
        raw = bytes(reply.data.array())
        # An empty array, or structure, is no value to Gurux.
        value = [] if raw in (b"\x01\x00", b"\x02\x00") else plain(reply.value)
        return {"raw": raw.hex(), "value": value}

    def do_unpack(self, c):
        """The gurux-dlms of Python has no class for Compact data, but its compact-array is the
        same: the structure that the template says, once."""
        contents = bytes.fromhex(c["contents"])
        raw = b"\x13" + bytes.fromhex(c["template"]) + bytes((len(contents),)) + contents
        info = _GXDataInfo()
        return {"value": plain(_GXCommon.getData(self.client.settings, GXByteBuffer(raw), info))}

    def do_get_all(self, c):
        return {"answers": [self.one(self.do_get, d) for d in c["attributes"]]}

    @staticmethod
    def one(method, c):
        try:
            return method(c)
        except Refused as e:
            return {"error": e.args[0]}
        except GXDLMSExceptionResponse as e:
            return {"error": exception_response(e)}

    def do_get_list(self, c):
        items = []
        for d in c["attributes"]:
            item = self.client.createObject(ObjectType(d["class_id"]))
            item.logicalName = d["obis"]
            if self.options.short:
                item.shortName = self.name(d)
            items.append((item, d["attribute"]))
        values = []
        # Gurux puts at most ten into one request.
        for k in range(0, len(items), _GET_WITH_LIST_MOST):
            # It notes the kind of a request only when an answer to it is decoded.
            reply = GXReplyData()
            for messages in self.client.readList(items[k : k + _GET_WITH_LIST_MOST]):
                for message in messages:
                    reply.clear()
                    self.exchange(message, reply)
            values += [plain(v) for v in reply.value]
        return {"values": values}

    def do_by_entry(self, c):
        profile = self.profile(c)
        first, last = c["from"], c["to"]
        count = last - first + 1 if last else 0
        reply = self.request(self.client.readRowsByEntry(profile, first, count))
        return self.value(reply)

    def do_by_range(self, c):
        profile = self.profile(c)
        columns = None
        if c.get("columns"):
            columns = []
            for class_id, name, attribute in c["columns"]:
                item = self.client.createObject(ObjectType(class_id))
                item.logicalName = name
                columns.append((item, GXDLMSCaptureObject(attribute, 0)))
        messages = self.client.readRowsByRange(
            profile, moment(c["from"]), moment(c["to"]), columns
        )
        return self.value(self.request(messages))

    @staticmethod
    def profile(c):
        profile = GXDLMSProfileGeneric(c["obis"])
        clock = GXDLMSClient.createObject(ObjectType.CLOCK)
        clock.logicalName = "0.0.1.0.0.255"
        profile.captureObjects.append((clock, GXDLMSCaptureObject(2, 0)))
        return profile

    def do_set(self, c):
        sent = self.sent
        messages = self.client._GXDLMSClient__write(
            self.name(c), value_of(c), _NAMES[c["type"]], ObjectType(c["class_id"]), c["attribute"]
        )
        self.request(messages)
        return {"packets": self.sent - sent}

    def do_set_list(self, c):
        """SET with list: Gurux's own writeList cannot be used, its items lose their object."""
        descriptors, data = GXByteBuffer(), GXByteBuffer()
        descriptors.setUInt8(len(c["attributes"]))
        data.setUInt8(len(c["attributes"]))
        for d in c["attributes"]:
            descriptors.setUInt16(d["class_id"])
            descriptors.set(_GXCommon.logicalNameToBytes(d["obis"]))
            descriptors.setUInt8(d["attribute"])
            descriptors.setUInt8(0)
            _GXCommon.setData(self.client.settings, data, _NAMES[d["type"]], value_of(d))
        from gurux_dlms.SetRequestType import SetRequestType

        descriptors.set(data)
        self.client.settings.resetBlockIndex()
        p = GXDLMSLNParameters(
            self.client.settings,
            0,
            Command.SET_REQUEST,
            SetRequestType.WITH_LIST,
            descriptors,
            None,
            0xFF,
        )
        self.request(GXDLMS.getLnMessages(p))
        return {}

    def do_access(self, c):
        """ACCESS: Gurux takes values and parameters from its objects."""
        items = []
        for d in c["items"]:
            target = Target(d)
            index = d.get("attribute", d.get("method"))
            items.append(GXDLMSAccessItem(_ACCESS[d["what"]], target, index))
        time = moment(c["time"]) if "time" in c else None
        reply = self.request(self.client.accessRequest(time, items))
        # Gurux has read the head already, and stands in front of it again.
        reply.data.position = 1
        GXDLMS.handleAccessResponse(self.client.settings, reply)
        # It would hand what it has read to objects.
        self.client.updateValue = lambda target, index, value: None
        self.client.parseAccessResponse(items, reply.data)
        del self.client.updateValue
        return {
            "values": [plain(i.value) for i in items],
            "results": [int(i.error) for i in items],
            "time": str(reply.time) if reply.time else None,
        }

    def do_action(self, c):
        sent = self.sent
        messages = self.client._GXDLMSClient__method(
            self.name(c),
            ObjectType(c["class_id"]),
            c["method"],
            value_of(c),
            _NAMES[c.get("type", "integer")],
        )
        answer = self.value(self.action(messages))
        answer["packets"] = self.sent - sent
        return answer

    def action(self, messages):
        try:
            return self.request(messages)
        except Refused as e:
            if "code" in e.args[0]:
                e.args[0]["kind"] = "action_result"
            raise

    def do_release(self, c):
        if "protected" in c:
            self.client.useProtectedRelease = c["protected"]
        messages = self.client.releaseRequest()
        reply = self.request(messages)
        return {"raw": bytes(reply.data.array()).hex()}

    def do_close(self, c):
        if self.media is None:
            return {}
        try:
            if self.options.link == "hdlc":
                self.exchange(self.client.disconnectRequest(True), GXReplyData())
        finally:
            self.media.close()
            self.media = None
        return {}


class Target:
    """What Gurux's ACCESS wants to know of an object."""

    settings = None

    def __init__(self, c):
        self.objectType = ObjectType(c["class_id"])
        self.logicalName = c["obis"]
        self._of = c

    def getValue(self, settings, e):
        return value_of(self._of)

    def getDataType(self, index):
        return _NAMES[self._of.get("type", "integer")]


def value_of(c):
    """The value to send: octets are given as hexadecimal, structures as their encoding."""
    value = c.get("value", 0)
    if isinstance(value, str) and c["type"] in ("octet-string", "array", "structure"):
        return bytearray.fromhex(value)
    return value


def moment(text):
    return GXDateTime(datetime.datetime.fromisoformat(text))


def conformance(flags):
    """Gurux's flags as the number that is on the wire: bit 0 of the Book is the highest."""
    return int("{:024b}".format(int(flags))[::-1], 2)


def plain(value):
    """A decoded value as JSON has it: octets as hexadecimal, numbers, lists."""
    if isinstance(value, GXBitString):
        return str(value)
    if value is None or isinstance(value, (bool, str)):
        return value
    if isinstance(value, (bytes, bytearray)):
        return bytes(value).hex()
    if isinstance(value, float):
        return float(value)
    if isinstance(value, int):
        return int(value)
    if isinstance(value, (list, tuple)):
        return [plain(v) for v in value]
    return str(value)


def exception_response(e):
    return {
        "kind": "exception_response",
        "state": int(e.exceptionStateError),
        "service": int(e.exceptionServiceError),
    }


def parser():
    p = argparse.ArgumentParser(description="Read a meter with Gurux, told what by JSON on stdin.")
    p.add_argument("--link", choices=("wrapper", "hdlc"), default="wrapper")
    p.add_argument("--host", default="127.0.0.1")
    p.add_argument("--port", type=int)
    p.add_argument("--serial", help="a serial port instead of TCP")
    p.add_argument("--mode-e", action="store_true", help="which is an optical port")
    p.add_argument("--client", type=int, default=16, help="client SAP")
    p.add_argument("--server", type=int, default=1, help="server SAP")
    p.add_argument("--lower", type=int, help="lower HDLC address")
    p.add_argument("--address-size", type=int, default=0, help="octets of an HDLC address")
    p.add_argument("--gbt", type=int, help="general block transfer, of this window")
    p.add_argument("--gateway", metavar="N:HEX", help="network_id and physical_device_address")
    p.add_argument("--secret", default="", help="of LLS, hexadecimal; without: no authentication")
    p.add_argument("--mechanism", choices=sorted(_MECHANISMS), help="else by --secret")
    p.add_argument("--protect", choices=sorted(_PROTECT), default="none")
    p.add_argument("--suite", type=int, default=0)
    p.add_argument("--title", help="system title, hexadecimal; with it the client may cipher")
    p.add_argument("--guek", default="", help="hexadecimal, as --gak and --dedicated")
    p.add_argument("--gak", default="")
    p.add_argument("--dedicated", help="a dedicated key")
    p.add_argument("--signing-key", help="of the client, for ECDSA")
    p.add_argument("--meter-signing-key", help="the meter's public one, x and y")
    p.add_argument("--counter", type=int, default=1, help="invocation counter")
    p.add_argument("--general", action="store_true", help="propose general protection")
    p.add_argument("--access", action="store_true", help="propose ACCESS")
    p.add_argument("--short", action="store_true", help="short names")
    p.add_argument("--max-pdu", type=int, default=1024)
    p.add_argument("--max-send", type=int, help="octets of a PDU that is sent in one piece")
    p.add_argument("--max-info", type=int, default=128)
    p.add_argument("--window", type=int, default=1)
    p.add_argument("--timeout", type=float, default=10, help="seconds")
    p.add_argument("--repeats", type=int, default=0, help="of a frame of HDLC, on a time-out")
    p.add_argument("--trace", action="store_true", help="octets, on stderr")
    return p


def answer(client, c):
    try:
        return getattr(client, "do_" + c["do"])(c)
    except Refused as e:
        return {"error": e.args[0]}
    except GXDLMSExceptionResponse as e:
        return {"error": exception_response(e)}
    except GXDLMSConfirmedServiceError as e:
        return {"error": {"kind": "confirmed_service_error", "text": str(e)}}
    except OSError as e:
        return {"error": {"kind": "link", "text": str(e) or type(e).__name__}}
    except Exception as e:  # Gurux did not understand the meter, or this program Gurux
        import traceback

        traceback.print_exc()
        return {"error": {"kind": "peer", "text": "%s: %s" % (type(e).__name__, e)}}


def main():
    # Nothing but answers on stdout: Gurux prints what it does not know.
    out = os.fdopen(os.dup(1), "w")
    sys.stdout = sys.stderr
    client = Client(parser().parse_args())
    for line in sys.stdin:
        start = time.monotonic()
        a = answer(client, json.loads(line))
        a["seconds"] = round(time.monotonic() - start, 4)
        out.write(json.dumps(a) + "\n")
        out.flush()


if __name__ == "__main__":
    main()
