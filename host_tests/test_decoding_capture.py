# SPDX-License-Identifier: MIT
"""tools/decoding/capture.py: octets of UDP and TCP out of packets, whatever has happened to these.
Packets are those of tools/capturing/packets.py, files are written here and by python-pcapng."""

import io
import random
import struct

import pytest
from capturing import packets
from bootstrap import Trouble
from decoding.capture import Capture, Packet, is_capture, is_ethernet
from hypothesis import given, settings
from hypothesis import strategies as st

CLIENT, METER = ("10.0.0.1", 50000), ("10.0.0.2", 4059)
CLIENT_6, METER_6 = ("fd00::1", 50000), ("fd00::2", 4059)
ASKED, ANSWERED = b"asked" * 9, b"answered" * 30
MAC = bytes(12)


def pcap(found, link_type=101, order="<", magic=0xA1B2C3D4, longest=1 << 16):
    file = struct.pack(order + "IHHiIII", magic, 2, 4, 0, 0, 65535, link_type)
    for k, packet in enumerate(found):
        part = packet[:longest]
        file += struct.pack(order + "IIII", 1700000000 + k, 500000, len(part), len(packet)) + part
    return file


def pcapng(found, link_type=101, flags=()):
    from pcapng import FileWriter, blocks
    from pcapng.structs import EPBFlags

    out = io.BytesIO()
    section = blocks.SectionHeader(options={})
    options = {"if_name": "hdlc-pty port"}
    section.new_member(
        blocks.InterfaceDescription, link_type=link_type, snaplen=0, options=options
    )
    writer = FileWriter(out, section)
    for k, packet in enumerate(found):
        options = {"epb_flags": EPBFlags(flags[k])} if flags else {}
        if not k:
            options["opt_comment"] = ["the first"]
        writer.write_block(
            section.new_member(
                blocks.EnhancedPacket, interface_id=0, packet_data=packet,
                packet_len=len(packet), options=options,
            )
        )  # fmt: skip
    return out.getvalue()


def read(file, ports=(4059,)):
    capture = Capture(io.BufferedReader(io.BytesIO(file)), ports)
    return capture, list(capture.read())


def heard(file, ports=(4059,)):
    """{direction: octets}, of one link."""
    found = {}
    for said in read(file, ports)[1]:
        if said.octets:
            found[said.direction] = found.get(said.direction, b"") + said.octets
    return found


def talk(client=CLIENT, meter=METER):
    t = packets.TCP(client, meter)
    return t.open() + t.data(True, ASKED) + t.data(False, ANSWERED) + t.close(True)


BOTH = {"rx": ASKED, "tx": ANSWERED}


@pytest.mark.parametrize("ends", [(CLIENT, METER), (CLIENT_6, METER_6)])
@pytest.mark.parametrize("order, magic", [("<", 0xA1B2C3D4), (">", 0xA1B2C3D4), ("<", 0xA1B23C4D)])
def test_tcp(ends, order, magic):
    file = pcap(talk(*ends), order=order, magic=magic)
    assert is_capture(file)
    assert heard(file) == BOTH


@pytest.mark.parametrize(
    "link_type, head",
    [
        (101, b""),
        (1, MAC + b"\x08\x00"),
        (1, MAC + b"\x81\x00\x00\x05\x08\x00"),
        (0, b"\x02\0\0\0"),
        (113, bytes(14) + b"\x08\x00"),
        (276, bytes(20)),
        (228, b""),
    ],
)
def test_link_types(link_type, head):
    assert heard(pcap([head + packet for packet in talk()], link_type)) == BOTH


def test_what_ethernet_adds_to_short_packets_is_left_out():
    found = [MAC + b"\x08\x00" + packet + bytes(20) for packet in talk()]
    assert heard(pcap(found, 1)) == BOTH
    assert is_ethernet(found[0]) and not is_ethernet(b"\x7e\xa0" * 30)


def test_udp():
    found = [packets.udp(CLIENT, METER, ASKED), packets.udp(METER, CLIENT, ANSWERED)]
    _, said = read(pcap(found))
    assert [(s.octets, s.direction, s.kind) for s in said] == [
        (ASKED, "rx", "packet"), (ANSWERED, "tx", "packet")
    ]  # fmt: skip
    assert said[0].link == said[1].link == "UDP 10.0.0.1:50000 - 10.0.0.2:4059"
    assert said[0].time == "22:13:20.500"


def test_pcapng_with_comments():
    _, said = read(pcapng([packets.udp(CLIENT, METER, ASKED)]))
    assert (said[0].octets, said[0].notes) == (ASKED, ("the first",))


def test_octets_of_a_serial_line():
    """As tools/capture.py writes them: a user's link type, flags say the direction."""
    _, said = read(pcapng([b"\x7e\xa0", b"\x7e\xa1"], 147, flags=(1, 2)))
    assert [(s.octets, s.direction, s.link) for s in said] == [
        (b"\x7e\xa0", "rx", "hdlc-pty port"), (b"\x7e\xa1", "tx", "hdlc-pty port")
    ]  # fmt: skip


def test_ipv6_with_extension_headers():
    packet = packets.udp(CLIENT_6, METER_6, ASKED)
    extension = bytes((17, 0)) + bytes(6)
    n = len(packet) - 40 + 8
    longer = packet[:4] + n.to_bytes(2, "big") + b"\0" + packet[7:40] + extension + packet[40:]
    assert heard(pcap([longer])) == {"rx": ASKED}


def fragment(packet, at, part, more):
    """A fragment of a packet of IPv4: a part of its payload, from an octet on."""
    length = (20 + len(part)).to_bytes(2, "big")
    where = (0x2000 * more | at >> 3).to_bytes(2, "big")
    return packet[:2] + length + b"\0\7" + where + packet[8:20] + part


def test_fragments_in_any_order():
    packet = packets.udp(CLIENT, METER, ANSWERED)
    body = packet[20:]
    parts = [
        fragment(packet, at, body[at : at + 64], at + 64 < len(body))
        for at in range(0, len(body), 64)
    ]
    assert len(parts) > 2
    assert heard(pcap(parts[::-1])) == {"rx": ANSWERED}
    assert heard(pcap(parts[:-1])) == {}


def test_fragments_that_lie_over_each_other_are_given_up():
    """Memory does not grow with them."""
    packet = packets.udp(CLIENT, METER, ANSWERED)
    c = Capture(None)
    for at in range(8, 1 << 16, 8):
        found = fragment(packet, at, bytes(1 << 15), True)
        assert list(c.packet(Packet(1, None, found, 0, 101))) == []
        held = sum(len(part) for f in c._fragments.values() for part, _ in f.values())
        assert held <= 1 << 18


# --- TCP -----------------------------------------------------------------------------------------


def many():
    t = packets.TCP(CLIENT, METER, first=0xFFFFFFF0)  # the numbers wrap
    parts = [bytes((k,)) * (k + 1) for k in range(12)]
    return t.open(), [t.data(False, part)[0] for part in parts], b"".join(parts)


@pytest.mark.parametrize("seed", range(8))
def test_segments_that_overtake_each_other_and_come_twice(seed):
    opened, data, octets = many()
    r = random.Random(seed)
    order = data + r.sample(data, 4)
    r.shuffle(order)
    assert heard(pcap(opened + order)) == {"tx": octets}


def test_a_segment_that_repeats_and_goes_on():
    t = packets.TCP(CLIENT, METER)
    opened = t.open()
    first = t.data(True, b"abc")
    again = packets.TCP(CLIENT, METER)
    again.open()
    assert heard(pcap(opened + first + again.data(True, b"abcdef"))) == {"rx": b"abcdef"}


def test_a_segment_that_never_comes():
    opened, data, octets = many()
    t = [p for k, p in enumerate(data) if k != 5]
    _, said = read(pcap(opened + t + packets.TCP(CLIENT, METER, first=0).close(False)))
    troubles = [s.trouble for s in said if s.trouble]
    assert troubles == ["6 octets of this connection are not in the capture"]
    assert b"".join(s.octets for s in said) == octets.replace(b"\5" * 6, b"")


def test_segments_of_an_octet_behind_one_that_never_comes():
    """No more than a thousand of them wait."""
    t = packets.TCP(CLIENT, METER)
    found = t.open() + t.data(True, b"lost")[1:]
    found += [packet for _ in range(1500) for packet in t.data(True, b"x")]
    _, said = read(pcap(found))
    troubles = [s.trouble for s in said if s.trouble]
    assert troubles == ["4 octets of this connection are not in the capture"]
    assert b"".join(s.octets for s in said) == b"x" * 1500


def test_a_capture_that_begins_in_the_middle():
    _, data, octets = many()
    assert heard(pcap(data)) == {"tx": octets}


def test_an_opened_and_a_closed_connection_are_told():
    _, said = read(pcap(talk()))
    assert [s.kind for s in said] == ["open", "stream", "stream", "close", "close"]


# --- Files that are not as they should be --------------------------------------------------------


def test_another_port():
    file = pcap(talk())
    capture, said = read(file, (4060,))
    assert said == [] and capture.seen == {4059: 8}
    file = pcap(talk(meter=("10.0.0.2", 4999)))
    assert heard(file, None) == {"a": ASKED, "b": ANSWERED}


@pytest.mark.parametrize("cut", [3, 10, 24, 30, 40, 60, 205])
def test_half_a_file(cut):
    file = pcap(talk())[:cut]
    if cut < 24:
        with pytest.raises(Trouble, match="expected pcapng or pcap"):
            read(file)
        return
    capture, _ = read(file)
    assert bool(capture.cut) == (cut != 24)


def test_half_a_pcapng():
    whole = pcapng([packets.udp(CLIENT, METER, ASKED)] * 5)
    capture, said = read(whole[:-30])
    assert len(said) == 4 and "behind packet 4" in capture.cut


def test_packets_that_are_cut_short():
    _, said = read(pcap([packets.udp(CLIENT, METER, ANSWERED)], longest=100))
    assert said[0].octets == ANSWERED[:72]
    assert said[0].trouble == "168 octets of this packet are not in the capture"


@settings(max_examples=150, deadline=None)
@given(st.lists(st.binary(max_size=120), max_size=6), st.sampled_from([0, 1, 101, 113, 147, 276]))
def test_any_packets(found, link_type):
    for said in read(pcap(found, link_type), None)[1]:
        assert isinstance(said.octets, bytes)


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_damaged_packets(data):
    found = []
    for packet in talk() + [packets.udp(CLIENT, METER, ASKED)]:
        octets = bytearray(packet)
        for _ in range(data.draw(st.integers(0, 2))):
            octets[data.draw(st.integers(0, len(octets) - 1))] = data.draw(st.integers(0, 255))
        found.append(bytes(octets[: data.draw(st.integers(0, len(octets)))]))
    read(pcap(found), None)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_damaged_pcapng(data):
    file = bytearray(pcapng([packets.udp(CLIENT, METER, ASKED)] * 3))
    for _ in range(data.draw(st.integers(1, 4))):
        file[data.draw(st.integers(4, len(file) - 1))] = data.draw(st.integers(0, 255))
    read(bytes(file), None)
