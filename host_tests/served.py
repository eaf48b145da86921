# SPDX-License-Identifier: MIT
"""Objects of a definition behind a server, and clients that ask for them: APDU by APDU, as values.

Client 16 may do everything, client 17 reads and executes, both in plain text.
"""

import fakes
import small
from cosem.model import Model
from dlms.server import Server

HEAD = """
name = "test"
limits = {associations = 2, work_len = 400, max_send_pdu = 300, max_receive_pdu = 300}
[[device]]
name = "meter"
sap = 1
[access]
all = {client = "r w x", reader = "r x"}
hidden = {client = "x"}
[[association]]
device = "meter"
client_sap = 16
object = "0.0.40.0.0.255"
mechanism = 0
role = "client"
conformance = ["get", "set", "action", "selective-access", "block-transfer-with-get-or-read", "block-transfer-with-set-or-write", "block-transfer-with-action"]
[[association]]
device = "meter"
client_sap = 17
object = "0.0.40.0.0.255"
mechanism = 0
role = "reader"
conformance = ["get", "set", "action"]
[[objects]]
device = "meter"
access = "all"
list = [
    {class = 15, obis = "0.0.40.0.0.255"},
    {class = 1, obis = "0.0.42.0.0.255", data_type = "octet-string", value = "TST0000000000001"},
"""  # noqa: E501


class Served:
    def __init__(self, objects):
        text = HEAD + fakes.lines(objects) + "]\n"
        self.model = Model(fakes.compiled(text))
        self.model.storage = fakes.Storage()
        self.server = Server(self.model)
        self.model.start()
        self.clients = {}
        for sap in (16, 17):
            self.clients[sap] = small.Talk(self, self.server.channel(), sap, 1)
            assert self.clients[sap].open(None).startswith("61")

    def say(self, client, head, class_id, name, index, data=None):
        what = "%04X" % class_id + fakes.obis(name).hex() + "%02X" % index
        tail = "00" if data is None else data.hex()
        return bytes.fromhex(self.clients[client].say(head + what + tail))

    def get(self, class_id, name, attribute, client=16):
        """The value, or a data_access_result in a list."""
        reply = self.say(client, "C001C1", class_id, name, attribute)
        assert reply[:3] == b"\xc4\x01\xc1"
        return [reply[4]] if reply[3] else fakes.value(reply[4:])

    def set(self, class_id, name, attribute, data, client=16):
        reply = self.say(client, "C101C1", class_id, name, attribute, b"\0" + data)
        assert reply[:3] == b"\xc5\x01\xc1" and len(reply) == 4
        return reply[3]

    def act(self, class_id, name, method, data=b"\x0f\x00", client=16):
        """action_result, and return data if there are some."""
        reply = self.say(client, "C301C1", class_id, name, method, b"\x01" + data)
        assert reply[:3] == b"\xc7\x01\xc1"
        if not reply[4]:
            return reply[3]
        assert not reply[5]
        return reply[3], fakes.value(reply[6:])
