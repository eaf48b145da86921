# SPDX-License-Identifier: MIT
"""The Read service, in conversations with the meter of definitions/short_names.toml.

Expected octets are from IEC 62056-5-3 by way of the public vectors (vectors/sn.jsonl), the rest
written down from the rules. Names: 0100 a Register, 2A40 an unsigned, 0140 an octet-string that is
long, 0150 what the public does not see, 0160 what may only be written, FD00 the logical device
name.
"""

import json
import random
import subprocess

import pytest
from dlms.names import resolve
from short import HERE, ShortMeter, joined

VECTORS = [json.loads(line) for line in (HERE / "vectors/sn.jsonl").read_text().splitlines()]


@pytest.fixture
def meter():
    return ShortMeter()


@pytest.fixture
def client(meter):
    return meter.short()


def test_a_variable(client):
    assert client.say("05 01 02 0108") == "0C01000600001391"
    assert client.say("05 01 02 0100") == "0C010009060100010800FF"
    assert client.say("05 01 02 FD08") == "0C01000910504D5430303030303030303030303031"
    assert client.say("05 01 02 2A48") == "0C01001107"


def test_the_same_objects_with_logical_names(meter, client):
    other = meter.talk(client=1)
    other.open(conformance="00FE1F")
    assert other.say("C00141 0003 0100010800FF 02 00") == "C40141000600001391"
    assert other.say("C10141 0001 0000603201FF 02 00 1109") == "C5014100"
    assert client.read("2A48") == "1109"


def test_a_name_that_nobody_has(client):
    # Before the first, behind an object's last, between two offsets, in a hole, at the ends.
    for name in ("0000", "00F8", "0118", "0109", "2A50", "FA80", "FE00", "FFF8", "FB28"):
        assert client.say("050102" + name) == "0C010104", name


def test_no_right_to_read(meter, client):
    public = meter.talk(client=16)
    assert public.open_short(secret=None).startswith("6129A109060760857405080102A203020100")
    assert client.say("050102 0168") == "0C010103"
    assert public.say("050102 0168") == "0C01001101"
    assert public.say("050102 0158") == "0C010104"
    assert client.say("050102 0158") == "0C01001101"


def test_lists(client):
    assert client.say("0503 02 2A48 02 0169 02 0168") == "0C0300110701040103"
    assert client.say("0502 02 FA00 02 0100") == (
        "0C02 0009060000280000FF 0009060100010800FF".replace(" ", "")
    )
    assert client.say("05 81 02 02 2A48 02 2A48") == "0C02001107001107"


def test_selective_access(client):
    registers = "0C010001010204100100120003110009060100010800FF"
    assert client.say("0501 04 FA08 01 0101 120003") == registers
    assert client.say("0501 04 FA08 02 0202 120003 09060100010800FF") == registers
    assert client.say("0501 04 FA08 02 0101 0202 120003 09060100010800FF") == registers
    assert client.say("0501 04 FA08 02 0100") == "0C01000100"
    # A selector that the attribute lacks, one with a parameter of another form.
    assert client.say("0501 04 FA08 03 0100") == "0C01010D"
    assert client.say("0501 04 2A48 01 00") == "0C01010D"
    assert client.say("0501 04 FA08 01 00") == "0C01010C"
    assert client.say("0502 04 FA08 01 0101 120003 02 2A48") == "0C02" + registers[4:] + "001107"


def test_in_blocks(meter):
    client = meter.short(max_pdu=40)
    value = bytes(range(100))
    assert client.say("0601 02 0148 01 0964" + value.hex()) == "0D0100"
    first = client.say("0501 02 0148")
    # Count, choice and Data: all of the answer is in the blocks.
    assert first == "0C0102" + "00" + "0001" + "21" + "01000964" + value[:29].hex().upper()
    assert client.say("0501 05 0001") == "0C0102000002" + "21" + value[29:62].hex().upper()
    assert client.say("0501 05 0002")[:12] == "0C0102000003"
    assert client.say("0501 05 0003") == "0C0102010004" + "05" + value[95:].hex().upper()
    assert client.say("0501 05 0004") == "0C010110"  # no-long-get-in-progress
    assert client.read("0148") == "0964" + value.hex().upper()


def test_a_list_in_blocks(meter):
    whole = meter.short().say("0504" + 4 * "02 FD08")
    client = meter.short(max_pdu=24, channel=meter.server.channel())
    got = client.say("0504" + 4 * "02 FD08")
    assert got.startswith("0C010200") and joined(client.say, got, most=24) == whole


def test_a_block_number_that_jumps(meter):
    client = meter.short(max_pdu=40)
    client.say("0601 02 0148 01 0964" + bytes(100).hex())
    assert client.say("0501 02 0148").startswith("0C0102")
    assert client.say("0501 05 0002") == "0C010113"
    assert client.say("0501 05 0001") == "0C010110"
    assert client.say("0501 02 0148").startswith("0C0102")
    # Another request ends what runs.
    assert client.say("0501 02 2A48") == "0C01001107"
    assert client.say("0501 05 0001") == "0C010110"


def test_a_long_request(client):
    assert client.say("0501 06 00 0001 04 02 02FD08") == "0C01030001"
    assert client.say("0501 06 01 0002 03 022A48") == (
        "0C02000910504D5430303030303030303030303031001107"
    )
    # A vector: the first block of one variable.
    assert client.say("050106000001040102fa00") == "0C01030001"
    assert client.say("0501 06 00 0003 00") == "0C010113"
    assert client.say("0501 06 01 0002 00") == "0C010110"
    assert client.say("0501 06 01 0001 04 0102FA00") == "0C010009060000280000FF"
    # The first block again: anew.
    assert client.say("0501 06 00 0001 02 0102") == "0C01030001"
    assert client.say("0501 06 01 0001 04 0102FA00") == "0C010009060000280000FF"


def test_a_long_request_that_is_wrong_as_a_whole(client):
    assert client.say("0501 06 01 0001 03 0102FA") == "0E050300"
    assert client.say("0501 06 01 0001 05 0102FA00") == "0E050300"
    assert client.say("0501 02 2A48") == "0C01001107"


def test_a_request_longer_than_the_work_buffer(client):
    number = 0
    while True:
        number += 1
        got = client.say("0501 06 00 %04X 81C8" % number + 200 * "00")
        if got != "0C010300%02X" % number:
            break
    assert got == "0C01010F" and number == 4


def test_a_long_request_and_a_long_answer(meter):
    client = meter.short(max_pdu=24)
    assert client.say("0501 06 00 0001 07 04 02FD08 02FD08") == "0C01030001"
    got = client.say("0501 06 01 0002 06 02FD08 02FD08")
    assert got.startswith("0C0102000001")
    assert joined(client.say, got) == "0C04" + 4 * "000910504D5430303030303030303030303031"


# --- Methods ---------------------------------------------------------------------------------


def test_a_method_is_read_with_its_parameter(client):
    # reset of a Register has no return data: null-data. Any selector is taken.
    assert client.say("0501 04 0128 00 0F00") == "0C010000"
    assert client.read("0108") == "0600000000"
    assert client.say("0501 04 0128 01 0F00") == "0C010000"
    assert client.say("0501 04 0128 00 0F01") == "0C01010C"
    assert client.say("0501 04 0128 00 00") == "0C010000"  # null-data: without a parameter


def test_methods_of_a_list_run_first_and_once(client):
    """The script writes 17 to 0138, and the answer has that before, in blocks and without."""
    got = client.say("0503 02 0138 04 FB20 00 120001 04 FB20 00 120009")
    assert got == "0C0300120011000001FA"
    edits = client.meter.model.edits
    short = client.meter.short(max_pdu=14, channel=client.meter.server.channel())
    got = short.say("0503 04 FB20 00 120001 02 FD08 02 0138")
    assert got.startswith("0C010200")
    for number in range(1, 9):
        got = short.say("050105%04X" % number)
        assert got.startswith("0C0102")
        if got[6:8] == "01":
            break
    # A SET of the script, and the method.
    assert client.meter.model.edits == edits + 2


def test_a_method_without_its_parameter(client):
    assert client.say("0501 02 FB20") == "0C010103"
    assert client.say("0501 04 FB20 00 00") == "0C01010C"
    assert client.say("0501 04 FB20 00 1101") == "0C01010C"


# --- What is refused as a whole --------------------------------------------------------------


@pytest.mark.parametrize(
    "request_, answer",
    [
        ("05", "0E050300"),
        ("0500", "0E050300"),
        ("0501", "0E050300"),
        ("050102", "0E050300"),
        ("05010201", "0E050300"),
        ("0501020108FF", "0E050300"),
        ("0502020108", "0E050300"),
        ("05010401", "0E050300"),
        ("050104FA0801", "0E050300"),
        ("0501050001FF", "0E050300"),
        ("0501030108", "0E050302"),
        ("0502020108070108", "0E050302"),
        ("0502 020108 050001", "0E050302"),
        ("0D0100", "D80202"),
        ("18000102010001120005", "D80202"),
        ("C00141000301000108 00FF0200", "D80102"),
    ],
)
def test_refused(client, request_, answer):
    assert client.say(request_) == answer
    assert client.say("0501 02 2A48") == "0C01001107"


def test_what_was_not_negotiated(meter):
    public = meter.talk(client=16)
    assert public.open_short(secret=None).endswith("5F1F0400100000012CFA00")
    assert public.say("0501 02 2A48") == "0C01001107"
    assert public.say("0502 02 2A48 02 2A48") == "0E050302"
    assert public.say("0501 04 FA08 01 0100") == "0E050302"
    assert public.say("0501 06 01 0001 04 0102FA00") == "0E050302"
    assert public.say("0601 02 2A48 01 1108") == "0E060302"
    assert public.say("1601 02 2A48 01 1108") == ""
    # No blocks: too long is too long.
    assert public.say("0501 02 FA10") == "0E050301"
    writes = meter.short(conformance="080000", channel=meter.server.channel())
    assert writes.say("0501 02 2A48") == "0E050302"


def test_without_an_association(meter):
    assert meter.talk(client=2).say("0501 02 2A48") == "D80101"
    assert meter.talk(client=77).say("0501 02 2A48") == "D80101"


def test_logical_names_do_not_read(meter):
    other = meter.talk(client=1)
    other.open()
    assert other.say("0501 02 2A48") == "D80102"


@pytest.mark.parametrize("vector", VECTORS, ids=lambda v: v["id"])
def test_vectors(client, vector):
    """They are understood. 2A48 is the time of a clock there, an unsigned here."""
    answers = {
        "sn-read-param": "0C010001010204100170120008110009060000010000FF",
        "sn-read": "0C010009060000603201FF",
        "sn-write": "0D01010C",
        "sn-read-ldn": "0C01000910504D5430303030303030303030303031",
        "sn-read-two": "0C020009060000280000FF0009060100010800FF",
        "sn-read-datablock": "0C01030001",
        "sn-write-block": "0D01020001",
        "sn-unconf-write": "",
    }
    assert client.say(vector["hex"]) == answers[vector["id"]]


# --- Names -----------------------------------------------------------------------------------


def random_names(seed):
    """Names of a random device: NAMES, MEMBERS, and what each of the 65536 names is."""
    r = random.Random(seed)
    table, members, meaning = b"", b"", {}
    name = 8 * r.randrange(1, 50)
    for row in range(r.randrange(1, 40)):
        kinds = (0, r.randrange(1, 20), 0x80 | r.randrange(1, 9))
        own = [r.choice(kinds) for _ in range(r.randrange(1, 30))]
        table += b"".join(n.to_bytes(2, "big") for n in (name, row + 300, len(members)))
        members += bytes([len(own)] + own)
        for k, m in enumerate(own):
            if m:
                meaning[name + 8 * k] = (row + 300) << 8 | m
        name += 8 * (len(own) + r.choice((0, 0, r.randrange(4))))
    return table, members, meaning


@pytest.mark.parametrize("seed", range(4))
def test_every_name(seed):
    table, members, meaning = random_names(seed)
    n = len(table) // 6
    for name in range(0xFA00):
        key = name.to_bytes(2, "big")
        assert resolve(table, 0, n, members, key, 0, 8) == meaning.get(name, -1)
    own = int.from_bytes(table[:2], "big")
    for k in range(256):
        expected = meaning.get(own + k, -1) if 8 * members[0] > k else -1
        assert resolve(table, 0, n, members, bytes((0xFA, k)), 0, own) == expected


def test_viper_is_the_same(micropython, tmp_path):
    """The viper form against the loop, on MicroPython, over every name."""
    table, members, _ = random_names(7)
    (tmp_path / "case.py").write_text(
        "from dlms import _names_viper, _names_loop\n"
        "table, members = %r, %r\n"
        "for own in (table[0] << 8 | table[1], 0xFA00):\n"
        "    for name in range(65536):\n"
        "        key = bytes((name >> 8, name & 255))\n"
        "        a = (table, 0, len(table) // 6, members, key, 0, own)\n"
        "        assert _names_viper.resolve(*a) == _names_loop.resolve(*a), name\n"
        "print('same')\n" % (table, members)
    )
    done = subprocess.run(
        [micropython, str(tmp_path / "case.py")], capture_output=True, text=True, timeout=120,
        env={"MICROPYPATH": "%s:.frozen" % (HERE.parent / "lib")},
    )  # fmt: skip
    assert (done.stdout, done.stderr) == ("same\n", "")
