# SPDX-License-Identifier: MIT
"""Push setup on MicroPython: notifications are made, protected and confirmed with the heap locked.

    micropython pushes.py FOLDER

FOLDER holds definition.py of push.toml. Prints an APDU a line: what was made for each object, and
what has been handed to the path.
"""

import sys
from binascii import hexlify, unhexlify

sys.path.append(sys.argv[1])

import definition  # noqa: E402
from cosem.model import Model  # noqa: E402
from cosem.notifier import Notifier  # noqa: E402
from dlms.server import Server  # noqa: E402
from firmware.ports import ciphers  # noqa: E402
from firmware.ports import micropython as port  # noqa: E402
from firmware.store import RAMStorage  # noqa: E402
from micropython import heap_lock, heap_unlock  # noqa: E402

GENERAL_BY_GLO = 3
AUTHENTICATED_AND_ENCRYPTED = 3


class Paths:
    def is_ready(self, service):
        return True

    def begin(self, service, destination, acknowledged, client_sap, server_sap, buf, pos, n):
        say("sent", buf, pos, pos + n)
        return 1

    def outcome(self):
        return 1

    def is_lost(self):
        return False

    def stop(self, done):
        pass

    def is_idle(self):
        return True


def say(what, buf, pos, end):
    print(what, hexlify(buf[pos:end]).decode())


def name(text):
    return unhexlify(text.replace(" ", ""))


storage = RAMStorage()
storage.prepare(definition)
model = Model(definition)
model.storage = storage
model.aes = ciphers.aes
model.new_hash = ciphers.new_hash
model.random_fill = port.random_fill
model.save = lambda: True
model.start()
server = Server(model)
clock = model.handler("clock")
clock.set_utc(13936920, 0)
profiles = model.handler("profile_generic")
for k in range(5):
    profiles.capture(model.find_any(name("0007 0100630100FF"), 0))
handler = model.handler("push_setup")
notifier = Notifier(model, server, Paths(), 2000, True)
handler.notifier = notifier
buf = bytearray(1024)


def element(class_id, obis, index, restriction="0202 1600 00", columns="0100"):
    text = "0206 12%s 0906%s 0F02 12%s %s %s" % (class_id, obis, index, restriction, columns)
    return name(text)


def put(row, attribute, data):
    if model.write(row, attribute, data, 0, len(data)):
        raise ValueError(attribute)


# Ten registers; the newest two rows, and entries 2 to 3 of one column.
V2 = model.find_any(name("0028 0004190900FF"), 0)
ENTRIES = "0202 1602 0202 0600000002 0600000003"
COLUMN = "0101 0204 120003 09060100010800FF 0F02 120000"
ten = [element("0003", "01000108%02XFF" % k, "0000") for k in range(10)]
rows = [
    element("0007", "0100630100FF", "F002"),
    element("0007", "0100630100FF", "0000", ENTRIES, COLUMN),
]
put(V2, 3, name("0203 1600 0909 3132372E302E302E31 1600"))
for elements in (ten, rows):
    put(V2, 2, bytes((1, len(elements))) + b"".join(elements))
    for sap in (1, 40):
        put(V2, 9, bytes((0x0F, sap)))
        envelope = notifier.envelope
        envelope.become(V2)
        context = envelope.context
        if context is not None and not context.loaded:
            model.handler_of(context.row).load(context)
            model.handler_of(context.row).reserve(context, context.unicast, context.unicast.rx)
        heap_lock()
        end = notifier.put(V2, buf, 64, 1000, 7, True)
        pos = 64
        if context is not None and end > 0:
            pos = envelope.wrap(
                context, GENERAL_BY_GLO, AUTHENTICATED_AND_ENCRYPTED, buf, pos, end
            )
            end = envelope.client.plain_end
        heap_unlock()
        say("made", buf, pos, end)

# A push from its method to its confirmation, both with the heap locked.
put(V2, 9, b"\x0f\x01")
put(V2, 11, b"\x16\x02")
heap_lock()
model.act(V2, 1, b"\x0f\x00", 0, 2)
heap_unlock()
handler.tick(clock.minute)
notifier.turn()
confirmation = bytearray(b"\x10\x40\x00\x00\x01\x00")
channel = server.channel()
heap_lock()
n = server.request(channel, 1, 1, confirmation, 0, 6)
heap_unlock()
notifier.turn()
print("answer", n, "done", notifier.done, "lost", notifier.lost, "idle", notifier.is_idle())
