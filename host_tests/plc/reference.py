# SPDX-License-Identifier: MIT
"""The reference meter and its reading client, over a network and beside it: both say the same."""

import types

import small
from fakes import value

from firmware import app, store
from firmware.ports import cpython
from plc.initiator import whole

READING = 2
START = 13675680
OBJECT_LIST = (15, bytes.fromhex("0000280000FF"), 2)
_PASSWORD = 7  # secret of Association LN


def get(class_id, name, attribute):
    return b"\xc0\x01\xc1" + class_id.to_bytes(2, "big") + name + bytes((attribute, 0))


class Reference:
    """made: the meter; ask(apdu): what the client hears over the network."""

    def __init__(self, definition, over):
        """over(made) puts it on a network, and gives `ask`."""
        packed = types.SimpleNamespace(**small.packed(definition))
        self.made = app.build(packed, store.RAMStorage(), cpython, 1, START, 0, 0)
        self.ask = over(self.made)
        config = next(c for c in packed.ASSOCIATIONS if c[0] == READING)
        model = self.made.model
        at = model.slot(config[2], _PASSWORD)
        aarq = small.aarq(bytes(model.image[at + 2 : at + 2 + model.image[at + 1]]), "FEFF1F")
        assert self.ask(aarq)[:1] == b"\x61"
        self._beside = small.Talk(self.made, self.made.server.channel(), READING, 1)
        assert self._beside.say(aarq.hex()).startswith("61")

    def over_the_line(self, apdu):
        return whole(self.ask, apdu)

    def directly(self, apdu):
        return whole(lambda a: bytes.fromhex(self._beside.say(a.hex())), apdu)

    def compare(self, count_what_is_asked):
        """Every attribute that the client may read, block by block; but for those of classes whose
        values change by that. Returns the classes of the objects, and how many attributes."""
        found = self.over_the_line(get(*OBJECT_LIST))
        assert found == self.directly(get(*OBJECT_LIST))
        classes = []
        n = 0
        for class_id, _version, name, (attributes, _methods) in value(found[1:]):
            classes.append(class_id)
            for attribute, mode, *_ in attributes:
                if not mode & 1:
                    continue
                request = get(class_id, bytes(name), attribute)
                over = self.over_the_line(request)
                if class_id not in count_what_is_asked:
                    assert over == self.directly(request), (class_id, name, attribute)
                assert over[0] == 0, (class_id, bytes(name).hex(), attribute)
                n += 1
        return classes, n
