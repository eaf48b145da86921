# SPDX-License-Identifier: MIT
"""Setup objects of a running meter (definitions/devices.toml): the links do what a client writes
there, firmware/links/settings.py. Inactivity time-outs, number of connections, multicast."""

import socket
import struct
import time

import pytest
from running import AARQ, GET_NAME, HDLC, PATIENCE_S, Running, Wrapper
from small import CLOCK, HERE

SETUP = """
[[objects]]
device = "one"
access = "all"
list = [
    {class = "IEC HDLC setup", obis = "0.0.22.0.0", device_address = 17, inactivity_time_out = 120, comm_speed = 5, window_size_transmit = 1, window_size_receive = 1, max_info_field_length_transmit = 128, max_info_field_length_receive = 128, inter_octet_time_out = 25},
    {class = "TCP-UDP setup", obis = "0.0.25.0.0", TCP-UDP_port = 4059, IP_reference = "0.0.25.1.0", MSS = 576, nb_of_sim_conn = 4, inactivity_time_out = 180},
    {class = "IPv4 setup", obis = "0.0.25.1.0", DL_reference = "0.0.25.2.0", IP_address = 0xC000020A, subnet_mask = 0xFFFFFF00, gateway_IP_address = 0xC0000201, capacity = {multicast_IP_address = 2, IP_options = "32 octets"}},
]
"""  # noqa: E501
NO_ASSOCIATION = b"\xd8\x01\x01"
DM, UA = 0x1F, 0x73
PLAIN = 7  # a client that is pre-established
VALUE = "0001 0000603201FF"
GET_VALUE = bytes.fromhex("C00141 " + VALUE + " 02 00")


def set_to(name, attribute, value):
    return bytes.fromhex("C10141" + name + "%02X00" % attribute + value)


HDLC_INACTIVITY = ("0017 0000160000FF", 8)
TCP_INACTIVITY = ("0029 0000190000FF", 6)
CONNECTIONS = ("0029 0000190000FF", 5)
MULTICAST = ("002A 0000190100FF", 4)


@pytest.fixture(params=["cpython", "micropython"])
def meter(request, tmp_path, micropython):
    path = tmp_path / "devices.toml"
    text = (HERE / "definitions/devices.toml").read_text() + SETUP
    text = text.replace("associations = 4", "associations = 8")
    path.write_text(text + CLOCK.replace('"two"', '"one"'))
    ports = [x for kind in ("wrapper-tcp", "wrapper-udp", "hdlc-tcp") for x in ("--" + kind, "0")]
    with Running("--runtime", request.param, "--definition", str(path), *ports) as running:
        yield running


def write(meter, what, value):
    """By a client of its own, over UDP."""
    with meter.connect("wrapper-udp") as s:
        assert Wrapper(s, PLAIN).ask(set_to(*what, value)).hex() == "c5014100"


def test_tcp_inactivity(meter):
    """180 s were too long to wait for here; after 1 s the meter closes what is open already."""
    with meter.connect("wrapper-tcp") as s:
        client = Wrapper(s)
        assert client.ask(AARQ)[:1] == b"\x61"
        write(meter, TCP_INACTIVITY, "120001")
        assert s.recv(1) == b"", "closed, without a word"
    with meter.connect("wrapper-tcp") as s:
        assert Wrapper(s).ask(GET_NAME) == NO_ASSOCIATION


def test_udp_inactivity(meter):
    with meter.connect("wrapper-udp") as s:
        client = Wrapper(s)
        assert client.ask(AARQ)[:1] == b"\x61"
        write(meter, TCP_INACTIVITY, "120001")
        time.sleep(2.5)
        assert client.ask(GET_NAME) == NO_ASSOCIATION


def test_hdlc_inactivity(meter):
    with meter.connect("hdlc-tcp") as s:
        client = HDLC(s.sendall, lambda: s.recv(4096))
        assert client.connect() == UA and client.ask(AARQ)[:1] == b"\x61"
        write(meter, HDLC_INACTIVITY, "120001")
        time.sleep(2.5)
        assert client.exchange(client.frame(0x11))[5] == DM
        assert client.connect() == UA and client.ask(GET_NAME) == NO_ASSOCIATION


def test_fewer_connections(meter):
    """Those that are open stay; the next one is closed at once."""
    with meter.connect("wrapper-tcp") as first, meter.connect("wrapper-tcp") as second:
        for s in (first, second):
            assert Wrapper(s).ask(AARQ)[:1] == b"\x61"
        write(meter, CONNECTIONS, "1101")
        with meter.connect("wrapper-tcp") as third:
            assert Wrapper(third).ask(AARQ) == b""
        for s in (first, second):
            assert Wrapper(s).ask(GET_NAME)[:4].hex() == "c401c100"


def test_more_peers_of_udp_than_places(meter):
    """The third hears that there is no room, and those that are there do not notice."""
    with meter.connect("wrapper-udp") as a, meter.connect("wrapper-udp") as b:
        for s in (a, b):
            assert Wrapper(s).ask(AARQ).hex().startswith("6129a109060760857405080101a203020100")
        with meter.connect("wrapper-udp") as c:
            for _ in range(2):
                got = Wrapper(c).ask(AARQ).hex()
                assert got.startswith("6129a109060760857405080101a203020102a305a203020101")
            assert Wrapper(c).ask(GET_NAME) == NO_ASSOCIATION
            for s in (a, b):
                assert Wrapper(s).ask(GET_NAME)[:4].hex() == "c401c100"
            assert Wrapper(a).ask(b"\x62\x00")[:1] == b"\x63"
            assert Wrapper(c).ask(AARQ).hex().startswith("6129a109060760857405080101a203020100")


GROUP = "239.192.77.3"


def test_multicast(meter):
    """What is sent to a group is heard by who has joined it, and answered by nobody."""
    address = socket.inet_aton(GROUP)
    number = int(meter.ports["wrapper-udp"].rsplit(":", 1)[1])
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as many, meter.connect(
        "wrapper-udp"
    ) as s:
        loopback = socket.inet_aton("127.0.0.1")
        many.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, loopback)
        many.bind(("127.0.0.1", 0))
        client = Wrapper(s, PLAIN)

        def tell(apdu, sap):
            wpdu = struct.pack(">4H", 1, PLAIN, sap, len(apdu)) + apdu
            many.sendto(wpdu, (GROUP, number))

        def becomes(server, value):
            client.server = server
            limit = time.monotonic() + PATIENCE_S
            while time.monotonic() < limit:
                if client.ask(GET_VALUE)[-1] == value:
                    return True
            return False

        assert client.ask(set_to(*MULTICAST, "010106" + address.hex())).hex() == "c5014100"
        # It has joined when its answer is there, or a moment later: the first may be lost.
        limit = time.monotonic() + PATIENCE_S
        while client.ask(GET_VALUE)[-1] != 8 and time.monotonic() < limit:
            tell(set_to(VALUE, 2, "1108"), 1)
        assert becomes(1, 8)
        assert client.ask(GET_VALUE)[-1] == 8
        # To both logical devices; a confirmed service, which nobody answers.
        tell(set_to(VALUE, 2, "1109"), 0x7F)
        assert becomes(1, 9) and becomes(17, 9)
        many.settimeout(0.5)
        with pytest.raises(TimeoutError):
            many.recv(100)
        # Not any more.
        client.server = 1
        assert client.ask(set_to(*MULTICAST, "0100")).hex() == "c5014100"
        client.ask(GET_VALUE)
        tell(set_to(VALUE, 2, "110A"), 0x7F)
        assert client.ask(GET_VALUE)[-1] == 9
