# SPDX-License-Identifier: MIT
"""The network's own values in the setup objects of a running meter (firmware/links/interface.py),
and a client that moves it to another port."""

import socket
import uuid

import pytest
from fakes import boolean, octets, u16, u32, value
from running import Running, Wrapper
from small import CLOCK, HERE
from test_setup_running import NO_ASSOCIATION, PLAIN, SETUP

OTHER_REASON = 250
TCP, FOUR, MAC, SIX = (
    (41, "0.0.25.0.0"),
    (42, "0.0.25.1.0"),
    (43, "0.0.25.2.0"),
    (48, "0.0.25.7.0"),
)
MORE = """
    {class = "MAC address setup", obis = "0.0.25.2.0", MAC_address = "0x020000000001"},
    {class = "IPv6 setup", obis = "0.0.25.7.0", capacity = {unicast_IPv6_addresses = "38 octets", multicast_IPv6_addresses = "38 octets"}},
]
"""  # noqa: E501
LOOPBACK = 0x7F000001
REAL_MAC = not uuid.getnode() >> 40 & 1


def run(tmp_path, runtime, *arguments):
    path = tmp_path / "devices.toml"
    text = (HERE / "definitions/devices.toml").read_text() + SETUP.rstrip().rstrip("]") + MORE
    path.write_text(
        text.replace("associations = 4", "associations = 8") + CLOCK.replace('"two"', '"one"')
    )
    ports = ["--wrapper-tcp", "0", "--wrapper-udp", "0"]
    return Running("--runtime", runtime, "--definition", str(path), *ports, *arguments)


class Client:
    def __init__(self, s):
        self.wrapper = Wrapper(s, PLAIN)

    def ask(self, head, what, attribute, tail):
        name = bytes(int(x) for x in what[1].split(".")) + b"\xff"
        about = what[0].to_bytes(2, "big") + name + bytes((attribute,))
        return self.wrapper.ask(bytes.fromhex(head) + about + tail)

    def get(self, what, attribute):
        answer = self.ask("C00141", what, attribute, b"\0")
        return [answer[4]] if answer[3] else value(answer[4:])

    def set(self, what, attribute, data):
        return self.ask("C10141", what, attribute, b"\0" + data)[3]


@pytest.fixture(params=["cpython", "micropython"])
def meter(request, tmp_path, micropython):
    with run(tmp_path, request.param) as running:
        running.knows = request.param == "cpython"
        yield running


def test_values_are_the_networks(meter):
    with meter.connect("wrapper-udp") as s:
        client = Client(s)
        assert client.get(TCP, 2) == int(meter.ports["wrapper-tcp"].rsplit(":", 1)[1])
        assert client.get(FOUR, 3) == LOOPBACK
        assert client.set(FOUR, 3, u32(LOOPBACK + 1)) == OTHER_REASON
        assert client.get(FOUR, 3) == LOOPBACK
        # Nobody here can say the mask: it is configuration.
        assert client.get(FOUR, 6) == 0xFFFFFF00
        assert client.set(FOUR, 6, u32(0xFF000000)) == 0
        assert client.get(FOUR, 6) == 0xFF000000
        if meter.knows and REAL_MAC:
            assert client.get(MAC, 2) == uuid.getnode().to_bytes(6, "big")
            assert client.set(MAC, 2, octets(b"\2\0\0\0\0\2")) == OTHER_REASON
        else:
            assert client.get(MAC, 2) == bytes.fromhex("020000000001")
            assert client.set(MAC, 2, octets(b"\2\0\0\0\0\2")) == 0
            assert client.get(MAC, 2) == bytes.fromhex("020000000002")


def test_the_port_is_another_one(meter):
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        free = s.getsockname()[1]
    with meter.connect("wrapper-tcp") as old, meter.connect("wrapper-udp") as s:
        assert Client(s).set(TCP, 2, u16(free)) == 0
        for name in ("wrapper-tcp", "wrapper-udp"):
            assert meter.wait_for(name) == "%s 127.0.0.1:%d" % (name, free)
        # Who is there stays.
        client = Client(old)
        assert client.get(TCP, 2) == free
        for name in ("wrapper-tcp", "wrapper-udp"):
            with meter.connect(name) as new:
                assert Client(new).get(FOUR, 3) == LOOPBACK
        assert client.set(TCP, 2, u16(0)) == OTHER_REASON


def test_a_port_that_another_program_has(meter):
    with socket.create_server(("127.0.0.1", 0)) as taken, meter.connect("wrapper-tcp") as s:
        client = Client(s)
        was = client.get(TCP, 2)
        assert client.set(TCP, 2, u16(taken.getsockname()[1])) == 0
        assert meter.wait_for("cannot move wrapper-tcp")
        assert client.get(TCP, 2) == was
        with meter.connect("wrapper-tcp") as again:
            assert Client(again).get(TCP, 2) == was


def test_an_address_of_ipv6(tmp_path):
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("this machine has no IPv6")
    with run(tmp_path, "cpython", "--host", "::1") as meter:
        number = int(meter.ports["wrapper-tcp"].rsplit(":", 1)[1])
        with socket.create_connection(("::1", number)) as s:
            client = Client(s)
            assert client.get(SIX, 4) == [bytes(15) + b"\1"]
            assert client.set(SIX, 4, b"\1\0") == OTHER_REASON
            assert client.set(SIX, 5, b"\1\1" + octets(b"\xff\2" + bytes(14))) == 0
            # Of IPv4 it has none: that stays what the definition says.
            assert client.get(FOUR, 3) == 0xC000020A
            assert client.set(FOUR, 8, boolean(True)) == 0
            assert NO_ASSOCIATION != client.get(FOUR, 3)
