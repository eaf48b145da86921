# SPDX-License-Identifier: MIT
"""Two meters in processes of their own, one of them behind the other: by TCP, and by a serial line
that a pseudo-terminal stands for. lib/dlms/gateway.py, firmware/links/outward.py."""

import functools
import socket

import pytest

pytest_plugins = ["peer_sessions"]

import small
from peer_sessions import Peer
from running import DEFAULT_DEFINITION, GET_NAME, Running, Wrapper, aarq_with

SECRET = b"12345678"
PREFIX = bytes((0xE6, 1, 1, 17))
READING = "demo-reading"
NAME_BEHIND = b"PMT0000000000001"
SILENT = bytes.fromhex("E60200")


@functools.lru_cache(maxsize=None)
def reference():
    with open(DEFAULT_DEFINITION) as f:
        return f.read()


def behind(tmp_path, *options, runtime="cpython"):
    """The small meter, which the other one has behind it."""
    path = tmp_path / "behind.toml"
    path.write_text(small.that_runs())
    return Running("--runtime", runtime, "--definition", str(path), *options)


def in_front(tmp_path, link, runtime="cpython", more="", *options):
    """The reference meter with a gateway to a link."""
    path = tmp_path / "front.toml"
    text = reference() + "\n[[gateway]]\nnetwork_id = 1\nlink = %s\ntime_out = 3\n%s" % (
        link,
        more,
    )
    path.write_text(text.replace('"residential/', '"%s/' % DEFAULT_DEFINITION[:-5]))
    return Running("--runtime", runtime, "--definition", str(path), "--wrapper-tcp", "0", *options)


def ask(client, apdu):
    got = client.ask(PREFIX + apdu)
    assert got[:4] == bytes((0xE7, 1, 1, 17)), got.hex()
    return got[4:]


def talk(front):
    """A client reads the name of the meter behind, and that of the one in front."""
    with front.connect("wrapper-tcp") as s:
        client = Wrapper(s, client=1)
        assert client.ask(PREFIX + GET_NAME)[4:] == b"\xd8\x01\x01"
        assert (
            ask(client, aarq_with(SECRET)).hex().startswith("6129a109060760857405080101a2030201")
        )
        assert ask(client, GET_NAME)[-16:] == NAME_BEHIND
        long = bytes.fromhex("C001C1000100006032 03FF0200".replace(" ", ""))
        value = b"\x09\x82\x01\x70" + bytes(range(184)) * 2
        assert ask(client, b"\xc1" + long[1:] + value).hex() == "c501c100"
        assert ask(client, long) == b"\xc4\x01\xc1\x00" + value
        assert client.ask(GET_NAME) == b"\xd8\x01\x01", "there is no association with the front"
        # Another connection does not get into that association.
        with front.connect("wrapper-tcp") as other:
            assert Wrapper(other, client=1).ask(PREFIX + GET_NAME) == b"\xd8\x01\x01"
        assert ask(client, b"\x62\x00").hex() == "6303800100"
    with front.connect("wrapper-tcp") as s:
        client = Wrapper(s, client=1)
        assert ask(client, GET_NAME) == b"\xd8\x01\x01", "that association is gone"


@pytest.mark.parametrize("runtime", ["cpython", "micropython"])
def test_over_tcp(tmp_path, micropython, runtime):
    with behind(tmp_path, "--wrapper-tcp", "0") as far:
        host, number = far.ports["wrapper-tcp"].rsplit(":", 1)
        with in_front(tmp_path, '["wrapper-tcp", "%s", %s]' % (host, number), runtime) as front:
            talk(front)
            far.stop()
            # Nobody is there any more.
            with front.connect("wrapper-tcp") as s:
                assert Wrapper(s).ask(PREFIX + GET_NAME) == b"\xd8\x01\x01"


@pytest.mark.parametrize("runtime", ["cpython", "micropython"])
def test_over_a_serial_line(tmp_path, micropython, runtime):
    line = str(tmp_path / "line")
    with behind(tmp_path, "--hdlc-pty", line):
        with in_front(tmp_path, '["hdlc-tty", "%s", 9600]' % line, runtime) as front:
            talk(front)


def test_a_meter_that_does_not_answer(tmp_path):
    """One that takes the connection and says nothing; other clients are served meanwhile."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        link = '["wrapper-tcp", "127.0.0.1", %d]' % listener.getsockname()[1]
        with in_front(tmp_path, link) as front:
            with front.connect("wrapper-tcp") as s, front.connect("wrapper-tcp") as other:
                client = Wrapper(s)
                s.sendall(client.wpdu(PREFIX + GET_NAME))
                assert Wrapper(other).ask(GET_NAME) == b"\xd8\x01\x01"
                there, _ = listener.accept()
                with there:
                    assert there.recv(100) == client.wpdu(GET_NAME)
                    assert client.answer() == b"\xd8\x01\x03"
                    assert there.recv(100) == b"", "and hangs up"


def test_a_network_that_there_is_not(tmp_path):
    with in_front(tmp_path, '["wrapper-tcp", "127.0.0.1", 1]') as front:
        assert "  gateway         network 1, any device" in front.lines
        assert "gateway 1 wrapper-tcp 127.0.0.1 1" in front.lines
        with front.connect("wrapper-tcp") as s:
            assert Wrapper(s).ask(SILENT + GET_NAME) == b"\xd8\x01\x02"


# --- An independent client -------------------------------------------------------------------


class Place:
    """What a Peer needs of a meter that runs."""

    def __init__(self, meter):
        self.ports = {}
        for name, address in meter.ports.items():
            host, number = address.rsplit(":", 1)
            self.ports[name.split("-")[0]] = (host, int(number))


@pytest.mark.parametrize("behind_by", ["wrapper", "hdlc"])
@pytest.mark.parametrize("link", ["wrapper", "hdlc"])
def test_gurux_reads_the_meter_behind(tmp_path, peers, link, behind_by):
    """Its client has the gateway protocol: objects, blocks and a SET through it."""
    line = str(tmp_path / "line")
    options = ("--hdlc-pty", line) if behind_by == "hdlc" else ("--wrapper-tcp", "0")
    with behind(tmp_path, *options) as far:
        to = '["hdlc-tty", "%s", 0]' % line
        if behind_by == "wrapper":
            host, number = far.ports["wrapper-tcp"].rsplit(":", 1)
            to = '["wrapper-tcp", "%s", %s]' % (host, number)
        with in_front(tmp_path, to, "cpython", "", "--hdlc-tcp", "0") as front:
            gateway = ("--gateway", "1:11", "--max-pdu", "200")
            peer = Peer(
                peers, "gurux_client.py", Place(front), link, (1, 1), SECRET.hex(), gateway
            )
            try:
                peer.ask("open")
                name = "0.0.42.0.0.255"
                assert peer.get(1, name, 2)["value"] == NAME_BEHIND.hex()
                found = peer.ask("objects")["objects"]
                assert [o["obis"] for o in found if o["class_id"] == 3] == ["1.0.1.8.0.255"]
                assert len(found) == 11, "the small meter's, not the reference meter's"
                peer.set(1, "0.0.96.50.1.255", 2, "unsigned", 99)
                assert peer.get(1, "0.0.96.50.1.255", 2)["value"] == 99
                peer.ask("release")
                peer.ask("close")
            finally:
                peer.end()
