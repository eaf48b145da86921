# SPDX-License-Identifier: MIT
"""tools/meter.py as a person and a script use it: start, talk over every port, end, mistakes.

Each conversation runs on CPython and on MicroPython with its heap limit. The requests and answers
are those of IEC 62056-5-3; what is behind them is tested elsewhere.
"""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import termios
import time

import compile as compiling
import pytest
import identities
import records
import sheet as sheets
from meter import DEFAULT_DEFINITION
from running import (
    AARQ,
    GET_NAME,
    GET_TIME,
    HDLC,
    MANAGEMENT,
    METER,
    READING,
    ROOT,
    Running,
    Secured,
    Wrapper,
    aarq_with,
)

RUNTIMES = ("cpython", "micropython")
both = pytest.mark.parametrize("runtime", RUNTIMES)
NOON = ("--start", "2025-01-01T11:00:00")


def refused(*args, **kwargs):
    """Run it with a mistake: exit code and what it says on stderr."""
    r = subprocess.run(
        [sys.executable, METER, "run", *args],
        cwd=ROOT, capture_output=True, text=True, timeout=60, **kwargs,
    )  # fmt: skip
    assert "Traceback" not in r.stderr
    return r.returncode, r.stderr.strip()


def sheet(*args):
    r = subprocess.run(
        [sys.executable, METER, "sheet", "--json", *args], cwd=ROOT, capture_output=True, text=True
    )
    assert r.returncode == 0, r.stderr
    return json.loads(r.stdout)


def secret_of(client_sap):
    for a in sheet()["associations"]:
        if a["client_sap"] == client_sap and a["server_sap"] == 1:
            return bytes.fromhex(a["secret_hex"])
    raise AssertionError("no such association")


# --- Every port ----------------------------------------------------------------------------


@both
def test_the_clock_over_every_port(runtime, tmp_path):
    link = str(tmp_path / "tty")
    ports = ["--wrapper-tcp", "0", "--wrapper-udp", "0", "--hdlc-tcp", "0", "--hdlc-pty", link]
    noon = bytes.fromhex("C401C100090C07E90101030C0000")
    with Running("--runtime", runtime, *ports, *NOON, "--speed", "0") as meter:
        assert list(meter.ports) == ["wrapper-tcp", "wrapper-udp", "hdlc-tcp", "hdlc-pty"]
        assert meter.ports["hdlc-pty"] == link

        tcp = Wrapper(meter.connect("wrapper-tcp"))
        assert tcp.ask(AARQ)[:1] == b"\x61"
        assert tcp.ask(GET_TIME).startswith(noon)

        udp = Wrapper(meter.connect("wrapper-udp"))
        assert udp.ask(AARQ)[:1] == b"\x61"
        assert udp.ask(GET_TIME).startswith(noon)

        s = meter.connect("hdlc-tcp")
        hdlc = HDLC(s.sendall, lambda: s.recv(4096))
        assert hdlc.connect() == 0x73
        assert hdlc.ask(AARQ)[:1] == b"\x61"
        assert hdlc.ask(GET_TIME).startswith(noon)
        assert hdlc.disconnect() == 0x73

        # A serial port stays there when its client goes; the next one starts anew.
        for _ in range(2):
            fd = os.open(link, os.O_RDWR | os.O_NOCTTY)
            hdlc = HDLC(lambda data, fd=fd: os.write(fd, data), lambda fd=fd: os.read(fd, 4096))
            assert hdlc.connect() == 0x73
            assert hdlc.ask(AARQ)[:1] == b"\x61"
            assert hdlc.ask(GET_TIME).startswith(noon)
            os.close(fd)

        assert meter.stop() == 0
        assert meter.errors == ""
    assert not os.path.lexists(link)


def test_hdlc_on_a_serial_port(serial_line):
    """At its rate; a second meter does not get it."""
    fd, path = serial_line
    with Running("--hdlc-tty", path + ":19200", *NOON, "--speed", "0") as meter:
        assert "hdlc-tty %s 19200" % path in meter.lines
        assert termios.tcgetattr(fd)[4:6] == [termios.B19200] * 2
        hdlc = HDLC(lambda data: os.write(fd, data), lambda: os.read(fd, 4096))
        assert hdlc.connect() == 0x73
        assert hdlc.ask(AARQ)[:1] == b"\x61"
        assert hdlc.ask(GET_TIME).startswith(bytes.fromhex("C401C100090C07E90101030C0000"))
        assert hdlc.disconnect() == 0x73
        with Running("--hdlc-tty", path, wait=False) as other:
            assert other.process.wait(60) == 1
            assert b" cannot be used as a serial port " in other.process.stderr.read()
        assert meter.stop() == 0 and meter.errors == ""


@pytest.mark.parametrize(
    "arguments, said",
    [
        (["--hdlc-tty", "/dev/none"], "/dev/none cannot be used as a serial port .*No such file"),
        (["--optical-tty", "/dev/null"], "/dev/null cannot be used as a serial port"),
        (["--hdlc-tty", "{}", "--rs-485"], "cannot switch an RS-485 transceiver"),
        (["--hdlc-tty", "{}", "--runtime", "micropython"], "MicroPython cannot change the rate"),
    ],
)
def test_serial_ports_that_cannot_be_used(serial_line, arguments, said):
    arguments = [text.format(serial_line[1]) for text in arguments]
    done = subprocess.run(
        [sys.executable, METER, "run", *arguments], capture_output=True, text=True
    )
    assert done.returncode and re.search(said, done.stderr), done.stderr
    assert "Traceback" not in done.stderr


@both
def test_what_its_display_shows(runtime):
    with Running("--runtime", runtime, "--wrapper-tcp", "0", "--display", *NOON) as meter:
        assert meter.wait_for("display").split() == ["display", "1.0.0", "2025-01-01"]
        assert meter.wait_for("display").split()[1] == "1.0.0"
        register = meter.wait_for("display 1.8.0").split()
        assert register == ["display", "1.8.0", "000000.00", "kWh"]


def test_a_definition_without_a_display_list_is_refused():
    definition = os.path.join(ROOT, "host_tests", "definitions", "push.toml")
    meter = Running("--runtime", "cpython", "--display", "--definition", definition, wait=False)
    assert not meter.wait_for("ready")
    meter.stop()
    assert "it has no list [display]." in meter.errors


@both
def test_four_connections_at_once_and_a_fifth_is_closed(runtime):
    with Running("--runtime", runtime, "--wrapper-tcp", "0") as meter:
        clients = [Wrapper(meter.connect("wrapper-tcp")) for _ in range(4)]
        for client in clients:
            assert client.ask(AARQ)[:1] == b"\x61"
        for client in clients:
            assert client.ask(GET_NAME)[:4] == bytes.fromhex("C401C100")
        assert Wrapper(meter.connect("wrapper-tcp")).ask(AARQ) == b""
        clients[2].socket.close()
        late = b""
        while not late:  # the meter hears of the free place when it hears of the close
            late = Wrapper(meter.connect("wrapper-tcp")).ask(AARQ)
        assert late[:1] == b"\x61"
        assert clients[0].ask(GET_NAME)[:4] == bytes.fromhex("C401C100")


@both
def test_parts_and_joined_segments_of_a_stream(runtime):
    with Running("--runtime", runtime, "--wrapper-tcp", "0") as meter:
        client = Wrapper(meter.connect("wrapper-tcp"))
        client.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for octet in client.wpdu(AARQ):
            client.socket.sendall(bytes((octet,)))
        assert client.answer()[:1] == b"\x61"
        client.socket.sendall(client.wpdu(GET_NAME) * 20)
        for _ in range(20):
            assert client.answer()[:4] == bytes.fromhex("C401C100")


@both
def test_garbage_closes_the_connection_and_nothing_else(runtime):
    with Running("--runtime", runtime, "--wrapper-tcp", "0", "--wrapper-udp", "0") as meter:
        good = Wrapper(meter.connect("wrapper-tcp"))
        assert good.ask(AARQ)[:1] == b"\x61"
        bad = Wrapper(meter.connect("wrapper-tcp"))
        bad.socket.sendall(b"GET / HTTP/1.1\r\n\r\n")
        assert bad.answer() == b""
        udp = Wrapper(meter.connect("wrapper-udp"))
        udp.socket.send(b"GET / HTTP/1.1\r\n\r\n")
        udp.socket.send(udp.wpdu(AARQ)[:-1])
        assert udp.ask(AARQ)[:1] == b"\x61"
        assert good.ask(GET_NAME)[:4] == bytes.fromhex("C401C100")
        assert meter.stop() == 0 and meter.errors == ""


@both
def test_associations_over_udp_belong_to_the_peer(runtime):
    with Running("--runtime", runtime, "--wrapper-udp", "0") as meter:
        first = Wrapper(meter.connect("wrapper-udp"))
        other = Wrapper(meter.connect("wrapper-udp"))
        assert first.ask(AARQ)[:1] == b"\x61"
        assert other.ask(GET_NAME)[:1] == b"\xd8"
        assert first.ask(GET_NAME)[:1] == b"\xc4"


# --- Ready, and the end ---------------------------------------------------------------------


@both
def test_lines_of_the_start(runtime):
    with Running("--runtime", runtime, "--wrapper-tcp", "0", "--hdlc-tcp", "0") as meter:
        text = "\n".join(meter.lines)
        assert "suite 0, policy 6C: everything authenticated and encrypted" in text
        assert "keys in 0.0.43.0.1.255, counter in 0.0.43.1.1.255" in text
        assert "GUEK  " + b"DEMOGUEKCLIENT01".hex().upper() in text
        assert "demo-reading" in text and "hex 64656d6f2d72656164696e67" in text
        assert [line.split(":")[0] for line in meter.lines[-3:-1]] == [
            "wrapper-tcp 127.0.0.1",
            "hdlc-tcp 127.0.0.1",
        ]
        assert meter.lines[-1] == "ready"


@both
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_it_cleanly(runtime, number):
    meter = Running("--runtime", runtime, "--wrapper-tcp", "0")
    client = Wrapper(meter.connect("wrapper-tcp"))
    client.ask(AARQ)
    assert meter.stop(number) == 0
    assert meter.errors == "" and meter.rest() == []


@both
def test_a_signal_ends_it_cleanly_when_nobody_reads_any_more(runtime):
    with Running("--runtime", runtime, "--wrapper-tcp", "0", "--trace") as meter:
        client = Wrapper(meter.connect("wrapper-tcp"))
        meter.process.stdout.close()
        assert client.ask(AARQ)[:1] == b"\x61"
        assert client.ask(GET_NAME)[:1] == b"\xc4"
        meter.process.send_signal(signal.SIGINT)
        assert meter.process.wait(30) == 0
        assert meter.process.stderr.read() == b""
        meter.process.stderr.close()


@both
def test_a_reader_that_sleeps_does_not_stop_the_meter(runtime):
    with Running("--runtime", runtime, "--wrapper-tcp", "0", "--trace") as meter:
        client = Wrapper(meter.connect("wrapper-tcp"))
        client.ask(AARQ)
        for _ in range(1500):  # more than a pipe holds
            assert client.ask(GET_NAME)[:1] == b"\xc4"


def test_started_without_standard_files():
    process = subprocess.Popen(
        "exec %s %s run --wrapper-tcp 0 <&- >&- 2>&-" % (sys.executable, METER),
        shell=True, cwd=ROOT,
    )  # fmt: skip
    time.sleep(3)
    assert process.poll() is None
    process.terminate()
    assert process.wait(30) == 0


@both
def test_the_meter_does_not_outlive_its_launcher(runtime):
    with Running("--runtime", runtime, "--wrapper-tcp", "0") as meter:
        s = meter.connect("wrapper-tcp")
        meter.process.kill()
        assert s.recv(10) == b""
        meter.process.wait(30)


@both
def test_nothing_is_left_behind(runtime, tmp_path):
    """Neither rows nor secrets, even if the launcher is killed; rows are kept till then."""
    (tmp_path / "scratch").mkdir()
    record = identities.new("ABC", "42", sheets.load(compiling.definition(DEFAULT_DEFINITION)))
    record_path = records.save(record, str(tmp_path / "records"))
    options = ("--runtime", runtime, "--wrapper-tcp", "0", "--provision", record_path)
    env = {**os.environ, "TMPDIR": str(tmp_path / "scratch")}
    with Running(*options, *NOON, "--speed", "3600", env=env) as meter:
        assert os.listdir(tmp_path / "scratch") == []
        client = Wrapper(meter.connect("wrapper-tcp"), READING)
        assert client.ask(aarq_with(record.secrets[1, READING]))[:1] == b"\x61"
        limit = time.monotonic() + 30
        # entries_in_use of load profile 1
        while client.ask(bytes.fromhex("C001C100070100630100FF0700"))[-1] < 8:
            assert time.monotonic() < limit
            time.sleep(0.1)
        assert os.listdir(tmp_path / "scratch") == []
        meter.process.kill()
        meter.process.wait(30)
    assert os.listdir(tmp_path / "scratch") == []


def test_start_to_ready_is_under_two_seconds():
    """The best of three, with everything compiled: other tests may run beside this one."""
    took = []
    for _ in range(3):
        with Running("--wrapper-tcp", "0") as meter:
            took.append(meter.ready_s)
    assert min(took) < 2, took


# --- State ----------------------------------------------------------------------------------

# The consumer message of the display, a Data object that the management client may write.
MESSAGE = bytes.fromhex("00010000600D01FF0200")


@both
def test_what_was_set_is_there_after_a_restart(runtime, tmp_path):
    options = ("--runtime", runtime, "--wrapper-tcp", "0", "--state", str(tmp_path / "state"))
    value = bytes((0x09, 5)) + b"hello"
    with Running(*options) as meter:
        client = management(meter)
        assert client.ask(b"\xc1\x01\xc1" + MESSAGE + value) == b"\xc5\x01\xc1\x00"
        assert meter.stop() == 0
    with Running(*options) as meter:
        assert (
            management(meter, 1000).ask(b"\xc0\x01\xc1" + MESSAGE) == b"\xc4\x01\xc1\x00" + value
        )
        # Counters of before are not taken again.
        assert not Secured(wrapper(meter), MANAGEMENT).lets_in()
    with Running("--runtime", runtime, "--wrapper-tcp", "0") as meter:
        assert management(meter).ask(b"\xc0\x01\xc1" + MESSAGE) != b"\xc4\x01\xc1\x00" + value


def wrapper(meter):
    return Wrapper(meter.connect("wrapper-tcp"), MANAGEMENT)


def management(meter, counter=0):
    return Secured(wrapper(meter), MANAGEMENT, counter).open()


def test_two_meters_do_not_share_a_state(tmp_path):
    state = str(tmp_path / "state")
    with Running("--wrapper-tcp", "0", "--state", state):
        code, text = refused("--wrapper-tcp", "0", "--state", state)
        assert code and text == "--state: another meter uses %s." % state


def test_two_meters_beside_each_other():
    with Running("--wrapper-tcp", "0") as one, Running("--wrapper-tcp", "0") as other:
        for meter in (one, other):
            assert Wrapper(meter.connect("wrapper-tcp")).ask(AARQ)[:1] == b"\x61"


@both
def test_time_passes_as_fast_as_it_is_told(runtime):
    with Running("--runtime", runtime, "--wrapper-tcp", "0", "--speed", "3600", *NOON) as meter:
        client = Wrapper(meter.connect("wrapper-tcp"))
        client.ask(AARQ)
        started = time.monotonic()
        while True:
            t = client.ask(GET_TIME)[6:]
            if t[5] >= 15:  # three hours in three seconds
                break
            assert time.monotonic() - started < 30
            time.sleep(0.1)
        assert time.monotonic() - started > 1


# --- Trace ----------------------------------------------------------------------------------


@both
def test_the_trace_shows_frames_and_hides_secrets(runtime):
    secret = secret_of(READING)
    options = ("--runtime", runtime, "--wrapper-tcp", "0", "--hdlc-tcp", "0", "--trace")
    with Running(*options) as meter:
        client = Wrapper(meter.connect("wrapper-tcp"), READING)
        assert client.ask(aarq_with(secret))[:1] == b"\x61"
        s = meter.connect("hdlc-tcp")
        hdlc = HDLC(s.sendall, lambda: s.recv(4096), READING)
        hdlc.connect()
        assert hdlc.ask(aarq_with(secret))[:1] == b"\x61"
        hdlc.disconnect()
        assert meter.stop() == 0
        lines = meter.rest()
    said = [line.split(" ", 2) for line in lines]
    assert [words[0] for words in said] == ["RX:", "TX:"] * 4
    assert all(len(words[1].split(":")) == 3 for words in said)
    assert said[0][2].startswith("00 01 00 02 00 01")
    assert said[2][2] == "7E A0 07 03 05 93 5C 45 7E"
    hidden = " ".join(["80", "%02X" % len(secret)] + ["**"] * len(secret) + ["BE"])
    assert hidden in said[0][2] and hidden in said[4][2]
    assert said[4][2].endswith(" ** ** 7E")
    assert secret.hex(" ").upper() not in "\n".join(lines)


# --- Mistakes -------------------------------------------------------------------------------


@both
def test_a_port_in_use(runtime):
    with socket.create_server(("127.0.0.1", 0)) as s:
        number = s.getsockname()[1]
        code, text = refused("--runtime", runtime, "--wrapper-tcp", str(number))
    assert code
    assert text == "wrapper-tcp: port %d of 127.0.0.1 is in use by another program." % number


@both
def test_an_address_of_another_machine(runtime):
    code, text = refused("--runtime", runtime, "--wrapper-tcp", "0", "--host", "192.0.2.1")
    assert code and text == "wrapper-tcp: 192.0.2.1 is not an address of this machine."


def test_a_host_that_nobody_knows():
    code, text = refused("--host", "no such host")
    assert code and "--host: no such host is neither" in text


def test_a_heap_that_is_too_small():
    code, text = refused("--runtime", "micropython", "--heap", "200k", "--wrapper-tcp", "0")
    assert code and text == "The heap is too small for this meter."


@pytest.mark.parametrize(
    "args, word",
    [
        (["--wrapper-tcp", "65536"], "no port"),
        (["--speed", "-1"], "no speed"),
        (["--heap", "much"], "no heap size"),
        (["--start", "noon"], "no time"),
    ],
)
def test_options_that_make_no_sense(args, word):
    code, text = refused(*args)
    assert code == 2 and word in text


def test_a_definition_that_is_missing_or_wrong(tmp_path):
    code, text = refused("--definition", str(tmp_path / "none.toml"))
    assert code and text == "There is no definition file %s." % (tmp_path / "none.toml")
    wrong = tmp_path / "wrong.toml"
    wrong.write_text('name = "wrong"\n[[device]\n')
    code, text = refused("--definition", str(wrong))
    assert code and "wrong.toml:2" in text


def test_on_cpython_a_meter_that_ciphers_needs_a_package():
    """Without it there is a sentence, and no traceback."""
    script = (
        "import sys\nsys.modules['cryptography'] = None\nfrom firmware import main\n"
        "sys.exit(main.run({'definition': 'definition', 'links': [], 'watch_stdin': True}))"
    )
    paths = [compiling.definition(DEFAULT_DEFINITION), "lib", ".", "firmware/ports/shim"]
    r = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True,
        text=True, timeout=60, env={**os.environ, "PYTHONPATH": ":".join(paths)},
    )  # fmt: skip
    assert (r.returncode, r.stdout) == (1, "")
    assert r.stderr == (
        "This meter cannot be put together: the Python package `cryptography` is missing"
        " (pip install cryptography).\n"
    )


def test_a_state_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    code, text = refused("--state", str(tmp_path / "file" / "state"))
    assert code and text.startswith("--state: cannot write to ")


def test_a_link_that_is_something_else(tmp_path):
    (tmp_path / "precious").write_text("data")
    code, text = refused("--hdlc-pty", str(tmp_path / "precious"))
    assert code and "exists" in text
    assert (tmp_path / "precious").read_text() == "data"


# --- The sheet ------------------------------------------------------------------------------


def test_the_sheet_as_json():
    s = sheet()
    assert len(s["logical_device_name"]) == 16
    assert len(bytes.fromhex(s["system_title"])) == 8
    assert {"kind": "wrapper-tcp", "host": "127.0.0.1", "port": 4059} in s["ports"]
    by_client = {a["client_sap"]: a for a in s["associations"] if a["server_sap"] == 1}
    assert by_client[16]["mechanism"] == "none" and "secret_hex" not in by_client[16]
    assert by_client[2]["mechanism"] == "lls"
    assert bytes.fromhex(by_client[2]["secret_hex"]) == b"demo-reading"
    assert (by_client[3]["mechanism"], by_client[3]["mechanism_id"]) == ("hls_sha256", 6)
    assert bytes.fromhex(by_client[3]["secret_hex"]) == b"demo-sha-256"
    assert by_client[2]["application_context"] == "ln" and "guek_hex" not in by_client[3]
    protected = ["authenticated", "encrypted"]
    assert by_client[1] == {
        "client_sap": 1,
        "server_sap": 1,
        "application_context": "ln_ciphered",
        "application_context_id": 3,
        "mechanism": "hls_gmac",
        "mechanism_id": 5,
        "pre_established": False,
        "max_pdu": 512,
        "security_setup": "0.0.43.0.1.255",
        "security_suite": 0,
        "security_policy": 0x6C,
        "security_policy_means": {"requests": protected, "responses": protected},
        "system_title": s["system_title"],
        "invocation_counter": "0.0.43.1.1.255",
        "guek_hex": b"DEMOGUEKCLIENT01".hex().upper(),
        "gbek_hex": b"DEMOGBEKCLIENT01".hex().upper(),
        "gak_hex": b"DEMO GAKCLIENT01".hex().upper(),
        "kek_hex": b"DEMO KEKCLIENT01".hex().upper(),
        "certificates": [],
    }
    for client, suite, n_key in ((4, 1, 16), (5, 2, 32)):
        a = by_client[client]
        assert (a["mechanism"], a["security_suite"]) == ("hls_ecdsa", suite)
        assert len(bytes.fromhex(a["guek_hex"])) == n_key
        found = {(c["entity"], c["kind"], c["system_title"][:6]) for c in a["certificates"]}
        own, theirs = b"PMT".hex().upper(), b"CLI".hex().upper()
        assert found == {
            ("authority", "sign", ""), ("server", "sign", own), ("server", "agree", own),
            ("client", "sign", theirs), ("client", "agree", theirs),
        }  # fmt: skip
        assert all(bytes.fromhex(c["certificate"])[0] == 0x30 for c in a["certificates"])
    assert by_client[6]["pre_established"] and by_client[6]["mechanism"] == "none"
    assert len(s["logical_devices"]) == 2
