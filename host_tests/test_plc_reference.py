# SPDX-License-Identifier: MIT
"""The whole reference meter behind the modems of PRIME, G3, LON and the raw link: a reading client
gets its object list and every attribute in it.
"""

import types

import pytest
import small
from doubles import g3_adp, mip_u61, prime_node
from doubles.meters import CLIENT, OWN, Bench, packet
from fakes import value
from test_plc_profiles import Line

from firmware import app, store
from firmware.meter import fittings
from firmware.ports import cpython

REFERENCE = "../../firmware/definitions/%s.toml"
AARQ = small.aarq(b"demo-reading", max_pdu=900)  # as the client of the raw link has room
READER = 2
OBJECT_LIST = bytes.fromhex("000F 0000280002FF 02".replace(" ", ""))


def over_prime(line):
    line.double.identifiers = {bytes(line.meter.model.devices[0][3]): 0x123}
    line.up()

    def ask(apdu):
        line.double.hear(1, READER, apdu)
        return line.answer(20000)[3]

    return ask


def over_g3(line):
    line.up()

    def ask(apdu):
        wpdu = bytes((0, 1, 0, READER, 0, 1)) + len(apdu).to_bytes(2, "big") + apdu
        line.double.hear(packet(wpdu, CLIENT, OWN, (5000, 4059)))
        return line.answer(20000)[56:]

    return ask


def over_lon(line):
    line.up()
    line.run(50)
    number = 0

    def say(message):
        nonlocal number
        number = number % 15 + 1
        line.double.hear(bytes.fromhex("00 19 0185 0382 51 %02X" % number) + message)
        return line.answer(20000)[8:]

    def ask(apdu):
        response = say(bytes((0x2D, 0x10, READER, 1)) + apdu)
        answer = response[5 if response[1] & 2 else 4 :]
        while response[1] & 8:
            response = say(bytes((0x2D, 0x13, READER, 1, response[4] + 1)))
            answer += response[5:]
        return answer

    return ask


def get(ask, descriptor):
    """The A-XDR of an attribute, or its data_access_result."""
    answer = ask(b"\xc0\x01\xc1" + descriptor + b"\x00")
    data = b""
    while answer[1] == 2:
        assert answer[8] == 0, "a block"
        at = 10 + (answer[9] & 0x7F if answer[9] >= 0x80 else 0)
        data += answer[at:]
        if answer[3]:
            return data
        answer = ask(b"\xc0\x02\xc1" + answer[4:8])
    assert answer[:2] == b"\xc4\x01", answer.hex()
    return answer[4:] if answer[3] == 0 else answer[4]


@pytest.mark.parametrize(
    "profile, double, over, definition",
    [
        ("prime", prime_node.Double, over_prime, "residential"),
        ("g3", g3_adp.Double, over_g3, "residential"),
        ("lon", mip_u61.Double, over_lon, "lon"),
    ],
)
def test_all_attributes_of_all_objects(profile, double, over, definition, monkeypatch):
    monkeypatch.setattr(fittings, "pins_of", lambda: None)
    line = Line(profile, double(), REFERENCE % definition)
    try:
        read_all(over(line))
        assert line.station.n_lost == 0
    finally:
        line.close()


def test_all_attributes_over_a_raw_link():
    path = small.HERE.parent / "firmware/definitions/residential.toml"
    packed = types.SimpleNamespace(**small.packed(path))
    made = app.build(packed, store.RAMStorage(), cpython, 1, 13675680, 0, 0)
    bench = Bench(meter=made, client_sap=READER)
    read_all(lambda apdu: bytes.fromhex(bench.ask(apdu)))
    assert bench.station.n_lost == 0


def read_all(ask):
    assert ask(AARQ)[:1] == b"\x61"
    objects = value(get(ask, OBJECT_LIST))
    assert len(objects) > 150
    n = refused = octets = 0
    for class_id, _version, name, rights in objects:
        for attribute in rights[0]:
            found = get(ask, class_id.to_bytes(2, "big") + bytes(name) + bytes((attribute[0],)))
            n += 1
            if isinstance(found, int):
                refused += 1
            else:
                octets += len(found)
                value(found)
    assert n > 800 and refused < n // 4 and octets > 20000, (n, refused, octets)
