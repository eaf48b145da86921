# SPDX-License-Identifier: MIT
"""Captures (tools/capture.py, capturing/): of events that are made up, read back with
python-pcapng; of a meter that runs and is read by Gurux, looked at by tshark and tools/decode.py.
"""

import io
import os
import re
import signal
import socket
import stat
import subprocess
import sys
import threading
import time

import pytest

pytest_plugins = ["peer_sessions"]

import bootstrap
import feeds
import meter
import optical
import running
import secure
from capturing import capture as captures
from capturing.file import File
from decoding.keys import Keys
from decoding.names import Names
from fake_port import FakeBoard
from pcapng import FileScanner
from pcapng.blocks import EnhancedPacket
from peer_sessions import Peer, RunningMeter
from test_deploy import name_of
from running import AARQ, GET_NAME, PATIENCE_S, ROOT, Secured, Wrapper

NAMES = Names()
TCP = feeds.Link(1, "wrapper-tcp", "127.0.0.1:4059", "127.0.0.1:40000")
UDP = feeds.Link(2, "wrapper-udp", "[::1]:4059", "[::1]:40000")
UART = feeds.Link(3, "hdlc-uart", "UART1 9600", "")
HEAD = feeds.Link(4, "optical-pty", "/dev/pts/3", "")
MODEM = feeds.Link(5, "plc-sfsk", "UART2 38400", "")
MBUS = feeds.Link(6, "mbus", "uart 3 2400", "")
SNRM = bytes.fromhex("7EA0070321930F017E")
UA = bytes.fromhex("7EA00721037301407E")


def wpdu(apdu, source=16, destination=1):
    return b"".join(n.to_bytes(2, "big") for n in (1, source, destination, len(apdu))) + apdu


class Written:
    """A capture of events at 0.1 s from one another."""

    def __init__(self, path, keys=None):
        self.path = str(path)
        self.now = 0.0
        self.capture = captures.Capture(File(self.path), keys, NAMES)

    def take(self, event):
        self.now = event.time = round(self.now + 0.1, 6)
        self.capture.take(event)

    def open(self, link):
        self.take(feeds.Opened(link))

    def received(self, link, octets):
        self.take(feeds.Octets(link, False, octets))

    def sent(self, link, octets, fault=None):
        self.take(feeds.Octets(link, True, octets, fault))

    def packets(self):
        """[(interface, link type, time, sent, octets, comments)] when all is written."""
        self.capture.close()
        return packets_of(self.path)


def packets_of(path):
    with open(path, "rb") as f:
        return read(f)


def read(f):
    found = []
    for block in FileScanner(f):
        if isinstance(block, EnhancedPacket):
            interface = block.interface
            sent = int(block.options["epb_flags"]) & 3 == 2  # outbound
            comments = []
            if "opt_comment" in block.options:
                comments = list(block.options.get_all("opt_comment"))
            name = interface.options["if_name"]
            seconds = round(block.timestamp, 6)
            found.append((name, interface.link_type, seconds, sent, block.packet_data, comments))
    return found


@pytest.fixture
def written(tmp_path):
    return Written(tmp_path / "some.pcapng")


# --- What links are in it ---------------------------------------------------------------------


def test_a_tcp_connection(written):
    written.open(TCP)
    written.received(TCP, wpdu(AARQ))
    written.take(feeds.Closed(TCP, "peer"))
    packets = written.packets()
    assert {p[:2] for p in packets} == {("wrapper-tcp 127.0.0.1:4059", 101)}
    assert [p[2] for p in packets] == [0.1] * 3 + [0.2] + [0.3] * 3
    assert packets[3][4].endswith(wpdu(AARQ))
    assert packets[3][5] == ["wrapper 16 -> 1; APDU aarq: LN referencing, no ciphering"]


def test_datagrams_of_ipv6(written):
    written.open(UDP)
    written.received(UDP, wpdu(AARQ))
    written.sent(UDP, wpdu(b"\x61", 1, 16))
    packets = written.packets()
    assert [(p[0], p[1], p[3], p[4][0] >> 4) for p in packets] == [
        ("wrapper-udp [::1]:4059", 101, False, 6), ("wrapper-udp [::1]:4059", 101, True, 6),
    ]  # fmt: skip


def test_frames_of_hdlc_are_packets_however_they_come(written):
    written.open(UART)
    for k in range(len(SNRM)):
        written.received(UART, SNRM[k : k + 1])
    written.sent(UART, UA + SNRM)
    packets = written.packets()
    assert [(p[0], p[1], p[3], p[4]) for p in packets] == [
        ("hdlc-uart UART1 9600", 147, sent, frame)
        for sent, frame in ((False, SNRM), (True, UA), (True, SNRM))
    ]
    assert packets[0][5] == ["HDLC SNRM, P/F"]


def test_what_is_no_frame_is_there_too(written):
    written.open(UART)
    written.received(UART, b"\xff\xff" + SNRM + SNRM[:5])
    written.take(feeds.Closed(UART, "meter"))
    packets = written.packets()
    assert b"".join(p[4] for p in packets) == b"\xff\xff" + SNRM + SNRM[:5]
    assert "expected" in packets[0][5][0]


def test_an_optical_port_before_and_after_mode_e(written):
    written.open(HEAD)
    for octets in (optical.REQUEST, b"\x06" + b"2" + b"52\r\n"):
        written.received(HEAD, optical.with_parity(octets))
    written.received(HEAD, SNRM)
    packets = written.packets()
    assert [(p[0], p[1], p[4]) for p in packets] == [
        ("optical-pty /dev/pts/3", 148, b"/?!\r\n"),
        ("optical-pty /dev/pts/3", 148, b"\x06252\r\n"),
        ("optical-pty /dev/pts/3 HDLC", 147, SNRM),
    ]


def test_modems_and_other_lines(written):
    for link in (MODEM, MBUS):
        written.open(link)
        written.received(link, b"\x10\x40\x01\x41\x16")
    packets = written.packets()
    assert [p[:2] for p in packets][-1] == ("mbus uart 3 2400", 150)
    assert ("plc-sfsk UART2 38400", 149) in [p[:2] for p in packets]
    assert b"".join(p[4] for p in packets if p[1] == 149) == b"\x10\x40\x01\x41\x16"


def test_faults_and_losses_are_comments(written):
    written.open(UART)
    written.sent(UART, UA, "crc")
    written.sent(UART, SNRM)
    written.sent(UART, UA, "drop")
    written.take(feeds.Lost(3))
    written.sent(UART, UA)
    packets = written.packets()
    assert packets[0][5][0] == "a fault has spoilt the check"
    assert packets[1][5][:2] == [
        "before this a fault kept 9 octets: " + UA.hex().upper(),
        "before this 3 lines of the feed were lost",
    ]


def test_what_a_slow_file_does_not_take_is_counted(tmp_path, monkeypatch):
    written = Written(tmp_path / "x")
    monkeypatch.setattr(captures, "_WAITING", 2)
    held, write = threading.Event(), File._write

    def slowly(file, block):
        assert held.wait(PATIENCE_S)
        return write(file, block)

    monkeypatch.setattr(File, "_write", slowly)
    written.open(UART)
    for _ in range(20):
        written.sent(UART, UA)
    held.set()
    written.sent(UART, SNRM)
    while written.capture._events.qsize():
        time.sleep(0.01)
    written.sent(UART, SNRM)
    packets = written.packets()
    lost = [re.search(r"before this (\d+) lines", c) for p in packets for c in p[5]]
    assert len(packets) + sum(int(found[1]) for found in lost if found) == 22


@pytest.mark.parametrize("stuck", [False, True])
def test_it_ends_when_all_is_written_or_nothing_moves(tmp_path, monkeypatch, capsys, stuck):
    written = Written(tmp_path / "x")
    monkeypatch.setattr(captures, "_PATIENCE_S", 0.2)
    held, write = threading.Event(), File._write

    def slowly(file, block):
        held.wait(PATIENCE_S if stuck else 0.05)
        return write(file, block)

    monkeypatch.setattr(File, "_write", slowly)
    written.open(UART)
    for _ in range(20):
        written.sent(UART, UA)
    written.capture.close()
    held.set()
    said = capsys.readouterr().err
    assert "is being written" in said and ("is not whole" in said) == stuck
    if stuck:
        written.capture._thread.join()
    else:
        assert len(written.packets()) == 20


# --- Deciphered copies ------------------------------------------------------------------------


def ciphered(link):
    """A GET that is protected, as general-glo-ciphering, in a wpdu."""
    head = bytes((secure.AE,)) + (1).to_bytes(4, "big")
    iv = secure.TITLE + head[1:]
    text, tag = secure.gcm(secure.GUEK, iv, head[:1] + secure.GAK, GET_NAME)
    body = head + text + tag[:12]
    return b"\xdb\x08" + secure.TITLE + bytes((len(body),)) + body


def keys():
    known = Keys()
    known.add(secure.SERVER_TITLE, guek=secure.GUEK, gak=secure.GAK)
    return known


@pytest.mark.parametrize("link", [TCP, UDP])
def test_a_deciphered_copy_between_the_same_addresses(tmp_path, link):
    written = Written(tmp_path / "x", keys())
    written.open(link)
    written.received(link, wpdu(ciphered(link)))
    packets = written.packets()
    (copy,) = (p for p in packets if p[0] == "deciphered")
    (other,) = (p for p in packets if p[4].endswith(wpdu(ciphered(link))))
    assert copy[4].endswith(wpdu(GET_NAME)) and copy[1] == 101
    addresses = slice(12, 20) if link is TCP else slice(8, 40)
    assert copy[4][addresses] == other[4][addresses]
    assert copy[5][0].startswith("of wrapper-%s" % ("tcp" if link is TCP else "udp"))
    assert secure.GUEK.hex() not in copy[5][0].lower()


@pytest.mark.parametrize("known", [None, Keys(), "wrong"])
def test_without_the_key_there_is_no_copy(tmp_path, known):
    if known == "wrong":
        known = Keys()
        known.add(secure.SERVER_TITLE, guek=bytes(16), gak=secure.GAK)
    written = Written(tmp_path / "x", known)
    written.open(TCP)
    written.received(TCP, wpdu(ciphered(TCP)))
    assert "deciphered" not in [p[0] for p in written.packets()]


# --- The file ---------------------------------------------------------------------------------


def test_nobody_else_reads_it(tmp_path):
    path = tmp_path / "x"
    path.write_text("before")
    path.chmod(0o644)
    File(str(path)).close()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert path.read_bytes()[:4] == b"\x0a\x0d\x0d\x0a"


def test_a_place_where_nothing_can_be_written(tmp_path):
    with pytest.raises(bootstrap.Trouble, match="cannot be written"):
        File(str(tmp_path / "no" / "such"))


def test_keys_are_of_use_with_a_capture_only():
    with pytest.raises(bootstrap.Trouble, match="with --capture only"):
        meter.main(["run", "--capture-keys"])


def test_a_full_disk_is_said_once(capsys):
    written = Written("/dev/full")
    written.open(UART)
    for _ in range(3):
        written.sent(UART, UA)
    written.capture.close()
    assert capsys.readouterr().err.count("cannot be written") == 1


def test_a_file_that_gets_no_longer_ends_with_a_whole_packet(tmp_path, capsys, monkeypatch):
    written = Written(tmp_path / "x")
    room = [400]
    write = File._write

    def some(file, block):
        room[0] -= len(block)
        if room[0] < 0:
            os.write(file._file.fileno(), block[:-7])
            raise OSError(28, "No space left on device")
        return write(file, block)

    monkeypatch.setattr(File, "_write", some)
    written.open(UART)
    for _ in range(30):
        written.sent(UART, UA)
    packets = written.packets()
    assert 0 < len(packets) < 30
    assert capsys.readouterr().err.count("No space left") == 1
    with open(written.path, "rb") as f:
        assert all(True for _ in FileScanner(f)), "nothing is half"


def test_cut_anywhere_all_before_is_there(written):
    written.open(UART)
    for _ in range(4):
        written.sent(UART, UA)
    n = len(written.packets())
    with open(written.path, "rb") as f:
        octets = f.read()
    counts = []
    for end in range(len(octets) + 1):
        found = decoded(octets[:end])
        counts.append(found)
    assert counts[-1] == n and counts == sorted(counts) and set(counts) == set(range(n + 1))


def decoded(octets):
    """How many packets tools/decode.py finds."""
    from decoding.capture import Capture, Trouble

    if len(octets) < 4:
        return 0
    reader = Capture(io.BufferedReader(io.BytesIO(octets)))
    try:
        for _ in reader.read():
            pass
    except Trouble:
        pass
    return reader.n_packets


# --- A meter that runs ------------------------------------------------------------------------

TSHARK = ["-o", "ip.check_checksum:TRUE", "-o", "tcp.check_checksum:TRUE",
          "-o", "udp.check_checksum:TRUE"]  # fmt: skip
FIELDS = ("frame.interface_name", "ip.src", "ip.dst", "tcp.srcport", "tcp.dstport", "udp.srcport",
          "udp.dstport", "ip.checksum.status", "tcp.checksum.status", "udp.checksum.status",
          "tcp.analysis.flags", "_ws.malformed", "frame.comment",
          "frame.protocols")  # fmt: skip


class Shown:
    """A packet by tshark's fields."""

    def __init__(self, line):
        for name, value in zip(FIELDS, line.split("\t"), strict=True):
            setattr(self, name.replace(".", "_").lstrip("_"), value)


def shown(tshark, path, ports):
    """What tshark makes of a capture. It has no dissector of DLMS, and takes a wpdu for what else
    begins with 00 01 unless it is told that these are octets."""
    args = [tshark, "-r", path, *TSHARK]
    for port in ports:
        args += ["-d", "tcp.port==%d,data" % port, "-d", "udp.port==%d,data" % port]
    args += ["-T", "fields", "-E", "separator=/t"]
    for field in FIELDS:
        args += ["-e", field]
    done = subprocess.run(args, capture_output=True, text=True, timeout=PATIENCE_S)
    assert done.returncode == 0, done.stderr
    assert "cut short" not in done.stderr
    return [Shown(line) for line in done.stdout.splitlines()]


@pytest.fixture(scope="module", params=["cpython", "micropython"])
def recorded(request, peers, tmp_path_factory):
    """(path, ports) of what Gurux has read over both links, and a client that ciphers."""
    if request.param == "micropython":
        request.getfixturevalue("micropython")
    path = str(tmp_path_factory.mktemp("capture") / "all.pcapng")
    with socket.socket(type=socket.SOCK_DGRAM) as s:
        s.bind(("127.0.0.1", 0))
        udp = s.getsockname()
    number = str(udp[1])
    meter = RunningMeter(
        request.param, "--wrapper-udp", number, "--capture", path, "--capture-keys"
    )
    meter.ports["udp"] = udp
    for link in ("wrapper", "hdlc"):
        secret = bytes.fromhex(reading()["secret_hex"]).hex()
        peer = Peer(peers, "gurux_client.py", meter, link, (running.READING, 1), secret)
        peer.ask("open")
        peer.ask("objects")
        peer.get(8, "0.0.1.0.0.255", 2)
        peer.ask("release")
        peer.end()
    with socket.create_connection(meter.ports["wrapper"], PATIENCE_S) as s:
        client = Secured(Wrapper(s, running.MANAGEMENT), running.MANAGEMENT).open()
        client.ask(GET_NAME)
    with socket.socket(type=socket.SOCK_DGRAM) as s:
        s.settimeout(PATIENCE_S)
        s.sendto(wpdu(AARQ), udp)
        assert s.recv(1024)[8:9] == b"\x61"
        meter.ports["udp-client"] = s.getsockname()
    assert meter.stop() == 0, meter.said
    return path, meter.ports, request.param


def reading():
    (a,) = (a for a in running.sheet()["associations"] if a["client_sap"] == running.READING)
    return a


def test_tshark_reads_every_packet(recorded, tshark):
    path, ports, _ = recorded
    number = ports["wrapper"][1]
    packets = shown(tshark, path, [number, ports["udp"][1]])
    assert len(packets) == len(packets_of(path))
    over_tcp = [p for p in packets if p.tcp_srcport]
    assert len(over_tcp) > 30
    for p in packets:
        assert not p.ws_malformed and not p.tcp_analysis_flags, vars(p)
    for p in over_tcp:
        assert (p.ip_src, p.ip_dst) == ("127.0.0.1", "127.0.0.1")
        assert str(number) in (p.tcp_srcport, p.tcp_dstport)
        assert (p.ip_checksum_status, p.tcp_checksum_status) == ("1", "1")
        assert p.frame_interface_name == "wrapper-tcp 127.0.0.1:%d" % number
    over_udp = [p for p in packets if p.frame_interface_name.startswith("wrapper-udp")]
    ends = [str(ports[end][1]) for end in ("udp-client", "udp")]
    assert [[p.udp_srcport, p.udp_dstport] for p in over_udp] == [ends, ends[::-1]]
    for p in over_udp:
        assert (p.ip_src, p.ip_dst) == ("127.0.0.1", "127.0.0.1")
        assert (p.ip_checksum_status, p.udp_checksum_status) == ("1", "1")
    hdlc = [p for p in packets if p.frame_interface_name.startswith("hdlc-tcp")]
    assert len(hdlc) > 20 and all(p.frame_protocols.startswith("user_dlt") for p in hdlc)
    assert all("HDLC" in p.frame_comment for p in hdlc)


def test_tshark_reads_the_deciphered_copies(recorded, tshark):
    path, ports, _ = recorded
    number = ports["wrapper"][1]
    copies = [p for p in shown(tshark, path, [number]) if p.frame_interface_name == "deciphered"]
    assert len(copies) >= 6
    plain = [p[4] for p in packets_of(path) if p[0] == "deciphered"]
    assert any(packet.endswith(wpdu(GET_NAME, running.MANAGEMENT)) for packet in plain)
    for p in copies:
        assert (p.ip_src, p.ip_dst) == ("127.0.0.1", "127.0.0.1")
        assert (p.udp_checksum_status, p.ip_checksum_status) == ("1", "1")
        assert str(number) in (p.udp_srcport, p.udp_dstport) and not p.ws_malformed
        assert "global unicast encryption key" in p.frame_comment


def test_what_was_said_is_what_is_there(recorded):
    """tools/decode.py: the same clock over both links; no octet is missing."""
    path, ports, _ = recorded
    command = [sys.executable, os.path.join(ROOT, "tools", "decode.py"), "--brief", "--port",
               str(ports["wrapper"][1]), path]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S)
    times = re.findall(r"get-response-normal: .*clock, (\S+ \S+ [0-9:.]+)", done.stdout)
    assert len(times) >= 2, done.stdout + done.stderr
    assert "expected" not in done.stdout


def test_no_key_and_no_secret_is_in_the_comments(recorded):
    path, _, _ = recorded
    text = " ".join(c for p in packets_of(path) for c in p[5]).lower()
    for a in running.sheet()["associations"]:
        for name in ("secret_hex", "guek_hex", "gak_hex"):
            if name in a:
                assert a[name].lower() not in text
                assert bytes.fromhex(a[name]).decode("latin-1").lower() not in text


# --- A board ----------------------------------------------------------------------------------


def test_a_board_by_its_repl(micropython, tmp_path):
    """It gets a meter, is captured, and runs as before after that."""
    path = str(tmp_path / "board.pcapng")
    with FakeBoard(micropython) as board:
        tools = os.path.join(ROOT, "tools")
        deploy = [sys.executable, os.path.join(tools, "deploy.py"), "--board", "MPS2_AN385"]
        done = subprocess.run([*deploy, "--port", board.port], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        capture = subprocess.Popen(
            [sys.executable, os.path.join(tools, "capture.py"), "--port", board.port, path],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        said = ""
        while "ready" not in said:
            line = capture.stdout.readline()
            assert line, capture.stderr.read()
            said += line
        assert name_of(board) == "PMT1000000000001"
        capture.send_signal(signal.SIGINT)
        out, errors = capture.communicate(timeout=PATIENCE_S)
        assert capture.returncode == 0 and "\x1e" not in said + out, errors
        frames = [p for p in packets_of(path) if p[1] == 147]
        assert any("PMT1000000000001" in comment for p in frames for comment in p[5])
        assert frames[0][5] == ["HDLC SNRM, P/F"]
        assert {p[0] for p in frames} == {frames[0][0]} and frames[0][0].startswith("hdlc-uart")
        # It is started again, as after power-up.
        assert name_of(board) == "PMT1000000000001"


def test_a_port_that_is_not_there(tmp_path):
    command = [sys.executable, os.path.join(ROOT, "tools", "capture.py"), "--port"]
    done = subprocess.run(
        [*command, "/dev/no-such-port", str(tmp_path / "x")], capture_output=True, text=True
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert "There is no port /dev/no-such-port" in done.stderr
