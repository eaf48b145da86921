# SPDX-License-Identifier: MIT
"""tools/capturing/packets.py, by the fields of RFC 791, 8200, 768 and 9293; test_capture.py has
tshark look at them. sockets.py, with sockets of this machine."""

import socket
import struct
import types

import pytest
from capturing import packets, sockets

A, B = ("127.0.0.1", 40000), ("127.0.0.2", 4059)
A6, B6 = ("::1", 40000), ("fe80::1", 4059)


def payload(packet):
    """(version, protocol, header and data) of an IP packet whose sums are right."""
    if packet[0] >> 4 == 4:
        assert packets.checksum(packet[:20]) == 0
        assert struct.unpack(">H", packet[2:4])[0] == len(packet)
        pseudo = packet[12:20] + struct.pack(">BBH", 0, packet[9], len(packet) - 20)
        body, protocol = packet[20:], packet[9]
    else:
        assert struct.unpack(">H", packet[4:6])[0] == len(packet) - 40
        pseudo = packet[8:40] + struct.pack(">IxxxB", len(packet) - 40, packet[6])
        body, protocol = packet[40:], packet[6]
    assert packets.checksum(pseudo + body) == 0
    return packet[0] >> 4, protocol, body


def segment(packet):
    """(source port, destination port, number, acknowledged, flags, data)"""
    _, protocol, body = payload(packet)
    assert protocol == 6
    source, destination, number, acknowledged, head, flags = struct.unpack(">HHIIBB", body[:14])
    return source, destination, number, acknowledged, flags, body[(head >> 4) * 4 :]


def test_the_checksum_of_rfc_1071():
    """The octets of its section 3."""
    assert packets.checksum(bytes.fromhex("0001f203f4f5f6f7")) == 0xDDF2 ^ 0xFFFF
    assert packets.checksum(b"\1") == 0xFEFF


@pytest.mark.parametrize("a, b, version", [(A, B, 4), (A6, B6, 6), (A, B6, 6)])
@pytest.mark.parametrize("octets", [b"", b"x", bytes(1400), bytes(65000)])
def test_a_datagram(a, b, version, octets):
    found, protocol, body = payload(packets.udp(a, b, octets))
    assert (found, protocol) == (version, 17)
    assert struct.unpack(">HHH", body[:6]) == (40000, 4059, 8 + len(octets))
    assert body[8:] == octets


def test_a_sum_of_zero_is_sent_as_ffff():
    packet = packets.udp(A, B, b"\0\0")
    missing = packet[26:28]
    packet = packets.udp(A, B, missing)
    assert packet[26:28] == b"\xff\xff"


@pytest.mark.parametrize("a, b", [(A, B), (A6, B6)])
def test_a_connection(a, b):
    talk = packets.TCP(a, b, 5)
    said = talk.open() + talk.data(True, b"abc") + talk.data(False, b"de") + talk.close(False)
    assert [segment(packet) for packet in said] == [
        (40000, 4059, 5, 0, 0x02, b""),
        (4059, 40000, 5, 6, 0x12, b""),
        (40000, 4059, 6, 6, 0x10, b""),
        (40000, 4059, 6, 6, 0x18, b"abc"),
        (4059, 40000, 6, 9, 0x18, b"de"),
        (4059, 40000, 8, 9, 0x11, b""),
        (40000, 4059, 9, 9, 0x11, b""),
        (4059, 40000, 9, 10, 0x10, b""),
    ]


def test_a_connection_that_is_reset_and_one_that_begins_with_data():
    talk = packets.TCP(A, B)
    said = talk.data(True, b"x") + talk.reset(True)
    assert [segment(packet)[4] for packet in said] == [0x02, 0x12, 0x10, 0x18, 0x14]


def test_more_than_a_packet_holds():
    talk = packets.TCP(A, B)
    said = talk.open() and talk.data(True, bytes(100000))
    assert [len(segment(packet)[5]) for packet in said] == [65495, 34505]


def test_numbers_wrap():
    talk = packets.TCP(A, B, 0xFFFFFFFF)
    talk.open()
    (packet,) = talk.data(True, b"ab")
    assert segment(packet)[2] == 0


@pytest.mark.parametrize(
    "text, found",
    [("127.0.0.1:4059", ("127.0.0.1", 4059)), ("[::1]:1", ("::1", 1)),
     ("[fe80::1%eth0]:1", ("fe80::1", 1))],
)  # fmt: skip
def test_addresses(text, found):
    assert packets.endpoint(text) == found


@pytest.mark.parametrize("text", ["", "host:1", "127.0.0.1", "127.0.0.1:", "1.2.3.4:99999"])
def test_no_addresses(text):
    with pytest.raises(ValueError):
        packets.endpoint(text)


# --- Addresses that a meter cannot say --------------------------------------------------------


def link(kind, local, peer, number=1):
    return types.SimpleNamespace(kind=kind, local=local, peer=peer, number=number)


@pytest.mark.parametrize("family, host", [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")])
def test_the_true_address_of_a_connection_of_ours(family, host):
    try:
        server = socket.create_server((host, 0), family=family)
    except OSError:
        pytest.skip("no %s on this machine" % host)
    with server, socket.create_connection(server.getsockname()[:2]) as s:
        peer = ("[%s]:%d" if ":" in host else "%s:%d") % server.getsockname()[:2]
        local, far = sockets.ends(link("out-tcp", "", peer))
        assert far == server.getsockname()[:2]
        assert local == s.getsockname()[:2]
        # The listener's side, which is bound to all addresses.
        peer = ("[%s]:%d" if ":" in host else "%s:%d") % s.getsockname()[:2]
        bound = "0.0.0.0:%d" % server.getsockname()[1]
        assert sockets.ends(link("wrapper-tcp", bound, peer))[0] == server.getsockname()[:2]


def test_a_connection_that_was_before_is_another_one():
    """Its port is not free yet."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        peer = "%s:%d" % server.getsockname()
        for _ in range(2):
            with socket.create_connection(server.getsockname()) as s:
                found, _far = sockets.ends(link("out-tcp", "", peer))
                assert found == s.getsockname()
                s.close()
                server.accept()[0].close()


def test_the_way_to_a_peer_over_udp():
    ends = sockets.ends(link("wrapper-udp", "0.0.0.0:4059", "127.0.0.1:5000"))
    assert ends == (("127.0.0.1", 4059), ("127.0.0.1", 5000))


def test_of_a_board_nothing_is_guessed():
    ends = sockets.ends(link("wrapper-tcp", "0.0.0.0:4059", "10.1.1.1:5000"), here=False)
    assert ends == (("0.0.0.0", 4059), ("10.1.1.1", 5000))
    local, _ = sockets.ends(link("out-tcp", "", "[fd00::1]:5000"), here=False)
    assert local[0] == "::" and 49152 <= local[1] <= 65535


def test_no_peer_no_packets():
    assert sockets.ends(link("hdlc-uart", "UART1 9600", "")) is None
