# SPDX-License-Identifier: MIT
"""XML object lists of Gurux, by Gurux: a program of its own, for the peers' environment only.

    build/peers/bin/python host_tests/peers/gurux_templates.py load FILE
    build/peers/bin/python host_tests/peers/gurux_templates.py save FILE --port 4059 --client 2
    build/peers/bin/python host_tests/peers/gurux_templates.py read --port 4059 --client 2

load prints what the library finds in a file; save reads a meter as GXDLMSDirector does, its
association view and then each attribute that may be read, and lets the library write the file;
read prints those attributes. Each is one JSON object on stdout: "objects" is a list of {class_id,
logical_name, version, access, method_access, values}, "errors" what did not work.

gurux-dlms is GPLv2. It is imported in the programs of this folder and nowhere else.
"""

import argparse
import contextlib
import io
import json
import socket
import sys

from gurux_dlms import GXByteBuffer, GXDLMSClient, GXDLMSException, GXReplyData
from gurux_dlms.enums import AccessMode, Authentication, InterfaceType
from gurux_dlms.objects import GXDLMSObjectCollection

_ASSOCIATION_LN = 15
_PROFILE_GENERIC = 7
_BUFFER = 2
_OBJECT_LIST = 2


class Client:
    def __init__(self, options):
        secret = options.secret.encode() or None
        self.socket = socket.create_connection((options.host, options.port), 30)
        self.gurux = GXDLMSClient(
            True,
            options.client,
            options.server,
            Authentication.LOW if secret else Authentication.NONE,
            secret,
            InterfaceType.WRAPPER,
        )
        self.gurux.maxReceivePDUSize = 0xFFFF
        self.ask(self.gurux.aarqRequest(), self.gurux.parseAareResponse)
        self.errors = []

    def ask(self, messages, parse=None):
        reply = GXReplyData()
        for message in messages if isinstance(messages, list) else [messages]:
            reply.clear()
            self.packet(message, reply)
            while reply.isMoreData():
                self.packet(self.gurux.receiverReady(reply), reply)
        if parse:
            parse(reply.data)
        return reply

    def packet(self, message, reply):
        self.socket.sendall(message)
        received = GXByteBuffer()
        notify = GXReplyData()
        while True:
            data = self.socket.recv(65536)
            if not data:
                raise ConnectionError("the meter has closed the connection")
            received.set(data)
            if self.gurux.getData(received, reply, notify):
                break
        if reply.error:
            raise GXDLMSException(reply.error)

    def objects(self):
        reply = self.ask(self.gurux.getObjectsRequest())
        return self.gurux.parseObjects(reply.data, True)

    def read(self, it, index):
        """The octets of an attribute, after the object has been told its value."""
        reply = self.ask(self.gurux.read(it, index))
        return self.gurux.updateValue(it, index, reply.value)

    def read_all(self, objects):
        for it in objects:
            for index in range(1, it.getAttributeCount() + 1):
                if (it.objectType, index) == (_ASSOCIATION_LN, _OBJECT_LIST):
                    continue
                if not it.getAccess(index) & AccessMode.READ:
                    continue
                try:
                    self.read(it, index)
                except Exception as e:  # whatever the library trips over
                    self.errors.append("%d %s %d: %r" % (it.objectType, it.logicalName, index, e))


def plain(value):
    if isinstance(value, (bytes, bytearray)):
        return bytes(value).hex()
    if isinstance(value, bool) or value is None or isinstance(value, (str, float)):
        return value
    if isinstance(value, int):
        return int(value)
    if isinstance(value, dict):
        return [[plain(k), plain(v)] for k, v in value.items()]
    if isinstance(value, (list, tuple)):
        return [plain(v) for v in value]
    if hasattr(value, "objectType"):
        return "%d/%s" % (value.objectType, value.logicalName)
    if type(value).__str__ is not object.__str__:
        return str(value)
    return {k: plain(v) for k, v in vars(value).items()}


def shown(it):
    values = it.getValues()
    if (it.objectType, len(values) > 1) == (_ASSOCIATION_LN, True):
        values[_OBJECT_LIST - 1] = None
    return {
        "class_id": int(it.objectType),
        "logical_name": it.logicalName,
        "version": it.version,
        "description": it.description,
        "access": [int(it.getAccess(k + 1)) for k in range(it.getAttributeCount())],
        "method_access": [int(it.getMethodAccess(k + 1)) for k in range(it.getMethodCount())],
        "values": [plain(v) for v in values],
    }


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    p.add_argument("command", choices=("load", "save", "read"))
    p.add_argument("file", nargs="?")
    p.add_argument("--host", default="127.0.0.1")
    p.add_argument("--port", type=int)
    p.add_argument("--client", type=int, default=16)
    p.add_argument("--server", type=int, default=1)
    p.add_argument("--secret", default="")
    options = p.parse_args()
    said = io.StringIO()  # the library prints what it cannot do
    errors = []
    with contextlib.redirect_stdout(said):
        if options.command == "load":
            objects = GXDLMSObjectCollection.load(options.file)
        else:
            client = Client(options)
            objects = client.objects()
            client.read_all(objects)
            errors = client.errors
            if options.command == "save":
                objects.save(options.file)
        found = [shown(it) for it in objects]
    errors += said.getvalue().splitlines()
    json.dump({"objects": found, "errors": errors}, sys.stdout)


if __name__ == "__main__":
    main()
