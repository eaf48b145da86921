# SPDX-License-Identifier: MIT
"""Asks a meter with the client dlms-cosem: a program of its own, for the peers' environment only.

    build/peers/bin/python host_tests/peers/dlms_cosem_client.py --link hdlc --port 4060

The same commands and answers as gurux_client.py, see PROTOCOL.md; what this client cannot do (SET
and ACTION in blocks, lists of them) it says.

dlms-cosem is under the Business Source Licence. It is imported here and nowhere else, and nothing
imports this file.
"""

import argparse
import datetime
import json
import logging
import os
import socket
import sys
import time

import structlog

structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))

from dlms_cosem import cosem, dlms_data, enumerations, security, utils
from dlms_cosem.client import ActionError, DataResultError, DlmsClient
from dlms_cosem.cosem.capture_object import CaptureObject
from dlms_cosem.cosem.selective_access import RangeDescriptor
from dlms_cosem.exceptions import CommunicationError
from dlms_cosem.io import HdlcTransport, TcpTransport
from dlms_cosem.protocol import acse, xdlms


class Refused(Exception):
    """The answer is an error; its argument is what to report."""


class TCP:
    """What dlms-cosem wants of an IoImplementation.

    Its own one waits for ever when the meter closes the connection. And its HDLC looks for the
    end of a frame at every flag, but waits for one flag too many when the octet before the last
    flag is 0x7E too (one FCS in 256): so a frame comes whole, then nothing for each 0x7E in it.
    """

    def __init__(self, host, port, timeout_s):
        self.address = (host, port)
        self.timeout_s = timeout_s
        self.socket = None
        self.received = bytearray()
        self.inner_flags = 0

    def connect(self):
        self.socket = socket.create_connection(self.address, self.timeout_s)

    def disconnect(self):
        self.socket.close()

    def send(self, data):
        self.socket.sendall(data)

    def more(self):
        data = self.socket.recv(65536)
        if not data:
            raise CommunicationError("the meter has closed the connection")
        self.received += data

    def take(self, n):
        data = bytes(self.received[:n])
        del self.received[:n]
        return data

    def recv(self, amount=1):
        while len(self.received) < amount:
            self.more()
        return self.take(amount)

    def recv_until(self, end):
        if self.inner_flags:
            self.inner_flags -= 1
            return b""
        while len(self.received) < 3:
            self.more()
        n = (self.received[1] << 8 | self.received[2]) & 0x7FF
        frame = self.recv(n + 2)
        if not frame.startswith(end) or not frame.endswith(end):
            raise CommunicationError("no HDLC frame: %s" % frame.hex())
        self.inner_flags = frame[1:-1].count(end)
        return frame


class Watched(DlmsClient):
    """Remembers the last APDU that came, and does not wait for another one after an error."""

    last = None
    sent = 0

    def send(self, *events):
        self.sent += len(events)
        super().send(*events)

    def next_event(self):
        self.last = event = super().next_event()
        if isinstance(event, xdlms.ExceptionResponse):
            raise Refused(
                {
                    "kind": "exception_response",
                    "state": int(event.state_error),
                    "service": int(event.service_error),
                }
            )
        return event


class Selection:
    """An access descriptor from its encoding; dlms-cosem has no entry_descriptor of its own."""

    def __init__(self, encoding):
        self.encoding = encoding

    def to_bytes(self):
        return self.encoding


class Client:
    def __init__(self, options):
        self.options = options
        self.client = None

    def do_open(self, c):
        o = self.options
        secret = bytes.fromhex(c.get("secret", o.secret))
        io = TCP(o.host, o.port, o.timeout)
        if o.link == "wrapper":
            transport = TcpTransport(o.client, o.server, io, o.timeout)
        else:
            transport = HdlcTransport(
                o.client,
                o.server,
                io,
                server_physical_address=o.lower,
                extended_addressing=o.address_size == 4,
                timeout=o.timeout,
            )
        authentication = security.NoSecurityAuthentication()
        if secret:
            authentication = security.LowLevelSecurityAuthentication(secret)
        ciphering = {}
        if o.title:
            if not secret:
                authentication = security.HighLevelSecurityGmacAuthentication(o.challenge)
            ciphering = {
                "encryption_key": bytes.fromhex(c.get("guek", o.guek)),
                "authentication_key": bytes.fromhex(c.get("gak", o.gak)),
                "client_system_title": bytes.fromhex(o.title),
                "client_initial_invocation_counter": c.get("counter", o.counter),
                # The last that it has seen; a meter with a new key begins at 0.
                "meter_initial_invocation_counter": -1,
            }
        self.client = Watched(transport, authentication, max_pdu_size=o.max_pdu, **ciphering)
        self.client.connect()
        return self.associate()

    def associate(self):
        proposed = conformance(self.client.dlms_connection.conformance)
        self.client.send(self.client.dlms_connection.get_aarq())
        aare = self.client.next_event()
        if not isinstance(aare, acse.ApplicationAssociationResponse):
            raise Refused({"kind": "peer", "text": "no AARE but %r" % (aare,)})
        if aare.result is not enumerations.AssociationResult.ACCEPTED:
            raise Refused(
                {
                    "kind": "association",
                    "result": int(aare.result),
                    "diagnostic": int(aare.result_source_diagnostics),
                }
            )
        content = aare.user_information.content
        if self.client.should_send_hls_reply():
            self.prove()
        return {
            "max_pdu": content.server_max_receive_pdu_size,
            "conformance": conformance(content.negotiated_conformance),
            "proposed": proposed,
        }

    def prove(self):
        """Pass 3 and 4 of high level security."""
        connection = self.client.dlms_connection
        try:
            data = self.client.send_hls_reply()
        except ActionError:
            raise Refused(
                {"kind": "action_result", "code": int(self.client.last.status)}
            ) from None
        proof = utils.parse_as_dlms_data(data)
        if not connection.authentication.hls_meter_data_is_valid(proof, connection):
            raise Refused({"kind": "peer", "text": "the proof of the meter is wrong"})

    def do_counter(self, c):
        """The invocation counter that is used next; another one if the command has it."""
        connection = self.client.dlms_connection
        if "counter" in c:
            connection.client_invocation_counter = c["counter"]
        return {"counter": connection.client_invocation_counter}

    def do_associate(self, c):
        raise Refused({"kind": "peer", "text": "its states have no second AARQ"})

    # --- GET

    def get(self, class_id, name, attribute, selection=None):
        try:
            return self.client.get(attribute_of(class_id, name, attribute), selection)
        except DataResultError:
            raise Refused(
                {"kind": "data_access_result", "code": int(self.client.last.error)}
            ) from None

    def do_objects(self, c):
        raw = self.get(15, "0.0.40.0.0.255", 2)
        listed = []
        for class_id, version, name, (attributes, methods) in utils.parse_as_dlms_data(raw):
            listed.append(
                {
                    "class_id": class_id,
                    "version": version,
                    "obis": ".".join(str(octet) for octet in name),
                    "attributes": [[a[0], a[1], a[2]] for a in attributes],
                    "methods": [[m[0], int(m[1])] for m in methods],
                }
            )
        return {"raw": raw.hex(), "objects": listed}

    def do_get(self, c):
        selection = Selection(bytes.fromhex(c["selection"])) if "selection" in c else None
        sent = self.client.sent
        raw = self.get(c["class_id"], c["obis"], c["attribute"], selection)
        return {**decoded(raw), "packets": self.client.sent - sent}

    def do_get_all(self, c):
        answers = []
        for d in c["attributes"]:
            try:
                answers.append(self.do_get(d))
            except Refused as e:
                answers.append({"error": e.args[0]})
        return {"answers": answers}

    def do_get_list(self, c):
        items = [
            cosem.CosemAttributeWithSelection(
                attribute_of(d["class_id"], d["obis"], d["attribute"]), None
            )
            for d in c["attributes"]
        ]
        # client.get_many() knows no blocks; the parts of it do.
        self.client.send(xdlms.GetRequestWithList(cosem_attributes_with_selection=items))
        response = self.client.next_event()
        collected = b""
        while isinstance(response, xdlms.GetResponseWithBlock):
            collected += response.data
            self.client.send(
                xdlms.GetRequestNext(
                    invoke_id_and_priority=response.invoke_id_and_priority,
                    block_number=response.block_number,
                )
            )
            response = self.client.next_event()
        if isinstance(response, xdlms.GetResponseLastBlock):
            n, rest = dlms_data.decode_variable_integer(collected + response.data)
            parts = xdlms.GetResponseWithList.parse_list_response(rest, n)
            response = xdlms.GetResponseWithList(response_data=parts)
        values = []
        for v in response.result:
            refused = isinstance(v, enumerations.DataAccessResult)
            values.append({"data_access_result": int(v)} if refused else plain(v))
        return {"values": values}

    def do_by_entry(self, c):
        encoding = (
            b"\x02\x02\x04\x06"
            + c["from"].to_bytes(4, "big")
            + b"\x06"
            + c["to"].to_bytes(4, "big")
            + b"\x12\x00\x01\x12\x00\x00"
        )
        return decoded(self.get(7, c["obis"], 2, Selection(encoding)))

    def do_by_range(self, c):
        if c.get("columns"):
            raise Refused({"kind": "peer", "text": "it cannot select columns"})
        clock = CaptureObject(attribute_of(8, "0.0.1.0.0.255", 2))
        selection = RangeDescriptor(
            clock,
            datetime.datetime.fromisoformat(c["from"]),
            datetime.datetime.fromisoformat(c["to"]),
        )
        return decoded(self.get(7, c["obis"], 2, selection))

    # --- SET and ACTION

    def do_set(self, c):
        response = self.client.set(
            attribute_of(c["class_id"], c["obis"], c["attribute"]), encoded(c)
        )
        if response.result != enumerations.DataAccessResult.SUCCESS:
            raise Refused({"kind": "data_access_result", "code": int(response.result)})
        return {}

    def do_set_list(self, c):
        raise Refused({"kind": "peer", "text": "it has no SET with a list"})

    def do_action(self, c):
        method = cosem.CosemMethod(
            interface(c["class_id"]), cosem.Obis.from_string(c["obis"]), c["method"]
        )
        try:
            data = self.client.action(method, encoded(c))
        except ActionError:
            raise Refused(
                {"kind": "action_result", "code": int(self.client.last.status)}
            ) from None
        return decoded(bytes(data)) if data else {"raw": "", "value": None}

    # --- The end

    def do_release(self, c):
        answer = self.client.release_association()
        return {"reason": int(answer.reason) if answer.reason is not None else None}

    def do_close(self, c):
        if self.client is not None:
            self.client.disconnect()
            self.client = None
        return {}


def interface(class_id):
    try:
        return enumerations.CosemInterface(class_id)
    except ValueError:
        return class_id  # a class that dlms-cosem does not know is a number to it


def attribute_of(class_id, name, attribute):
    return cosem.CosemAttribute(interface(class_id), cosem.Obis.from_string(name), attribute)


def conformance(flags):
    return int.from_bytes(flags.to_bytes()[-3:], "big")


def decoded(raw):
    try:
        return {"raw": raw.hex(), "value": plain(utils.parse_as_dlms_data(raw))}
    except NotImplementedError as e:
        return {"raw": raw.hex(), "undecoded": str(e)}


def encoded(c):
    """The encoding of a value by dlms-cosem's own classes."""
    value = c.get("value", 0)
    name = c.get("type", "integer")
    if name in ("array", "structure"):
        return bytes.fromhex(value)
    if name == "octet-string":
        return dlms_data.OctetStringData(bytes.fromhex(value)).to_bytes()
    kind = {
        "integer": dlms_data.IntegerData,
        "unsigned": dlms_data.UnsignedIntegerData,
        "long": dlms_data.LongData,
        "long-unsigned": dlms_data.UnsignedLongData,
        "double-long": dlms_data.DoubleLongData,
        "double-long-unsigned": dlms_data.DoubleLongUnsignedData,
        "visible-string": dlms_data.VisibleStringData,
        "enum": dlms_data.EnumData,
    }[name]
    return kind(value).to_bytes()


def plain(value):
    """A decoded value as JSON has it: octets as hexadecimal, numbers, lists."""
    if isinstance(value, (bytes, bytearray)):
        return bytes(value).hex()
    if isinstance(value, (list, tuple)):
        return [plain(v) for v in value]
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    return str(value)


def parser():
    p = argparse.ArgumentParser(
        description="Read a meter with dlms-cosem, told what by JSON on stdin."
    )
    p.add_argument("--link", choices=("wrapper", "hdlc"), default="wrapper")
    p.add_argument("--host", default="127.0.0.1")
    p.add_argument("--port", type=int, required=True)
    p.add_argument("--client", type=int, default=16, help="client SAP")
    p.add_argument("--server", type=int, default=1, help="server SAP")
    p.add_argument("--lower", type=int, help="lower HDLC address")
    p.add_argument("--address-size", type=int, default=0, help="octets of an HDLC address")
    p.add_argument("--secret", default="", help="of LLS, hexadecimal; without: no authentication")
    p.add_argument("--title", help="system title, hexadecimal; with it the client ciphers")
    p.add_argument("--guek", default="", help="hexadecimal, as --gak")
    p.add_argument("--gak", default="")
    p.add_argument("--counter", type=int, default=1, help="invocation counter")
    p.add_argument("--challenge", type=int, default=32, help="octets of the challenge")
    p.add_argument("--max-pdu", type=int, default=1024)
    p.add_argument("--timeout", type=float, default=10, help="seconds")
    return p


def answer(client, c):
    try:
        return getattr(client, "do_" + c["do"])(c)
    except Refused as e:
        return {"error": e.args[0]}
    except (OSError, CommunicationError) as e:
        return {"error": {"kind": "link", "text": str(e) or type(e).__name__}}
    except Exception as e:  # dlms-cosem did not understand the meter, or this program it
        import traceback

        traceback.print_exc()
        return {"error": {"kind": "peer", "text": "%s: %s" % (type(e).__name__, e)}}


def main():
    # Nothing but answers on stdout.
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
