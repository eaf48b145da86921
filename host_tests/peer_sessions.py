# SPDX-License-Identifier: MIT
"""What the tests with peers have in common: meters that run, peers that ask, what must come back.

A running meter is tools/meter.py in a process of its own; a peer is a program of peers/ in the
environment of the peers. They meet on a port; nothing else connects them.

What must come back is known in two ways. The definition says which objects a client sees, what
it may do with them, and every value that nothing changes. For the rest there is a twin: the same
meter, built in this process from a copy of the same storage, whose clock stands at the same
second; its values are taken from its model, without association, service or link.
"""

import contextlib
import datetime
import importlib.util
import json
import os
import re
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import pytest

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
PEERS = os.path.join(ROOT, "host_tests", "peers")
DEFINITION = os.path.join(ROOT, "firmware", "definitions", "residential.toml")

# The history that the standing meters have: so long, and then they stand a minute later.
HISTORY_START = datetime.datetime(2026, 3, 5, 12, 0, tzinfo=datetime.timezone.utc)
HISTORY_HOURS = 26
STANDS_AT = HISTORY_START + datetime.timedelta(hours=HISTORY_HOURS, minutes=8)
SEED = 1
_EPOCH = datetime.datetime(2000, 1, 1, tzinfo=datetime.timezone.utc)
_MINUTE_MS = 60000

_READY_S = 60
_ANSWER_S = 60

LOAD_PROFILE = "1.0.99.1.0.255"
CURRENT = "0.0.40.0.0.255"
CLOCK = "0.0.1.0.0.255"

ENERGY = "1.0.1.8.0.255"
MESSAGE = "0.0.96.13.0.255"  # an octet-string of at most 64
SERIAL_NUMBER = "0.0.96.1.0.255"
ALARM_FILTER = "0.0.97.98.10.255"
TARIFF_SCRIPTS = "0.0.10.0.100.255"
TARIFFS = "0.0.14.0.0.255"
DISCONNECTOR = "0.0.96.3.10.255"
HDLC_SETUP = "0.0.22.0.0.255"

# data_access_result, which action_result shares
READ_WRITE_DENIED, OBJECT_UNDEFINED, OBJECT_CLASS_INCONSISTENT = 3, 4, 9
TYPE_UNMATCHED, OTHER_REASON = 12, 250
# diagnostic of an association that was refused
NO_REASON_GIVEN, MECHANISM_NAME_REQUIRED, AUTHENTICATION_FAILURE = 1, 12, 13

GMAC, SHA256, ECDSA = 5, 6, 7
TITLE = b"CLI\0\0\0\0\1"  # of the peers, but for those whose certificates have another
# Of the demo meter; what a PEM file has in it is said in its name.
_CERTIFICATES = os.path.join(ROOT, "firmware", "definitions", "residential")
_CURVES = {1: "p256", 2: "p384"}

RUNTIMES = ("cpython", "micropython")

# (client SAP, server SAP)
PUBLIC, READING, MANAGEMENT, DISPLAY = (16, 1), (2, 1), (1, 1), (16, 17)
PROVEN_READING, SUITE_1, SUITE_2, UPDATE = (3, 1), (4, 1), (5, 1), (7, 1)
SHORT = (8, 1)  # short names
_NAMES = {PUBLIC: "public", READING: "reading", MANAGEMENT: "management", DISPLAY: "display",
          PROVEN_READING: "proven-reading", SUITE_1: "suite-1", SUITE_2: "suite-2",
          UPDATE: "firmware-update", SHORT: "short-names"}  # fmt: skip


def shown(value):
    """What a test is called that has this parameter: an association, a text, options of a peer."""
    if value in _NAMES:
        return _NAMES[value]
    return value if isinstance(value, str) else "".join(value).replace("--", "-") or "plain"


def missing(what):
    """Something that make test provides is not there: a reason to skip, but not in CI."""
    if os.environ.get("CI", "").lower() == "true":
        pytest.fail(what, pytrace=False)
    pytest.skip(what)


def minute_of(moment):
    return int((moment - _EPOCH).total_seconds()) // 60


# --- The meter that runs --------------------------------------------------------------------


class RunningMeter:
    """tools/meter.py run, until stop(); printed is then what it has said after it was ready."""

    def __init__(self, runtime, *options, start=STANDS_AT, speed=0):
        self.printed = ""
        self.errors = tempfile.TemporaryFile("w+")
        self.process = subprocess.Popen(
            [sys.executable, os.path.join(ROOT, "tools", "meter.py"), "run",
             "--runtime", runtime, "--wrapper-tcp", "0", "--hdlc-tcp", "0", "--seed", str(SEED),
             "--speed", str(speed), "--start", start.isoformat(), *options],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=self.errors, text=True,
        )  # fmt: skip
        self.ports = {}
        deadline = time.monotonic() + _READY_S
        for line in lines(self.process.stdout, deadline):
            found = re.match(r"(wrapper-tcp|hdlc-tcp) (\S+):(\d+)$", line)
            if found:
                self.ports[found[1].split("-")[0]] = (found[2], int(found[3]))
            if line == "ready":
                return
        self.stop()
        pytest.fail("The meter did not become ready:\n%s" % self.said)

    @property
    def said(self):
        self.errors.seek(0)
        return self.errors.read()

    def stop(self):
        """End it as Ctrl-C does; its exit code."""
        self.process.send_signal(signal.SIGINT)
        try:
            code = self.process.wait(_READY_S)
            self.printed = self.process.stdout.read()
        finally:
            self.process.stdout.close()
        return code


def lines(stream, deadline):
    """Lines of a process until it ends its output, or time is over."""
    received = b""
    fd = stream.fileno()
    while True:
        left = deadline - time.monotonic()
        if left <= 0 or not select.select([fd], [], [], left)[0]:
            return
        data = os.read(fd, 65536)
        if not data:
            return
        received += data
        while b"\n" in received:
            line, received = received.split(b"\n", 1)
            yield line.decode()


# --- The peer that asks ---------------------------------------------------------------------


class Refusal(Exception):
    """The meter, or the peer, has refused; its argument says what."""


class Peer:
    """A peer's program, connected to a meter; calls are commands of PROTOCOL.md.

    secret: hexadecimal; or options of the peer, for a client that ciphers or has a title
    """

    def __init__(self, peers, program, meter, link, association, secret, options=()):
        host, port = meter.ports[link]
        args = [peers] if isinstance(peers, str) else list(peers)
        args += [os.path.join(PEERS, program), "--link", link, "--host", host]
        args += ["--port", str(port), "--client", str(association[0])]
        args += ["--server", str(association[1])]
        if isinstance(secret, str):
            secret = {"secret": secret}
        elif program == "gurux_client.py":
            secret = {"mechanism": "gmac", "protect": "both", **secret}
        for name, value in secret.items():
            args += ["--" + name, value]
        args += options
        self.opened = None
        self.errors = tempfile.TemporaryFile("w+")
        self.process = subprocess.Popen(
            args, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.errors, text=True
        )

    def say(self, do, **command):
        """Send a command; hear() is the answer, which need not be waited for at once."""
        self.command = dict(command, do=do)
        self.process.stdin.write(json.dumps(self.command) + "\n")
        self.process.stdin.flush()

    def hear(self):
        for line in lines(self.process.stdout, time.monotonic() + _ANSWER_S):
            answer = json.loads(line)
            if "error" in answer:
                raise Refusal(answer["error"])
            return answer
        pytest.fail("The peer said nothing more to %r:\n%s" % (self.command, self.said))

    def ask(self, do, **command):
        self.say(do, **command)
        return self.hear()

    def refused(self, do, **command):
        """As ask(), for what must be refused: says how."""
        with pytest.raises(Refusal) as e:
            self.ask(do, **command)
        return e.value.args[0]

    def get(self, class_id, obis, attribute, **more):
        return self.ask("get", class_id=class_id, obis=obis, attribute=attribute, **more)

    def set(self, class_id, obis, attribute, type_, value):
        command = dict(class_id=class_id, obis=obis, attribute=attribute, type=type_, value=value)
        return self.ask("set", **command)

    def act(self, class_id, obis, method, type_="integer", value=0):
        command = dict(class_id=class_id, obis=obis, method=method, type=type_, value=value)
        return self.ask("action", **command)

    def by_entry(self, obis, first, last):
        """Rows of a profile by their numbers."""
        return self.ask("by_entry", obis=obis, **{"from": first, "to": last})["value"]

    def has_negotiated(self, server):
        """It has opened its association with what both it and the server (see Expected) can."""
        assert self.opened["conformance"] == self.opened["proposed"] & server["conformance"]
        assert self.opened["max_pdu"] == server["max_pdu"]

    @property
    def said(self):
        self.errors.seek(0)
        return self.errors.read()

    def end(self):
        self.process.stdin.close()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()
        self.errors.close()


# --- What must come back --------------------------------------------------------------------


class Expected:
    """What the definition says that a client sees."""

    def __init__(self, definition=DEFINITION):
        from tables import pack, show

        self.tables = show.as_json(pack.compile(definition))
        self.counter = 0
        self.max_send_pdu = self.tables["limits"][2]
        self.objects = {
            (o["server_sap"], o["class_id"], o["obis"]): o for o in self.tables["objects"]
        }
        self.associations = {
            (a["client_sap"], a["server_sap"]): a for a in self.tables["associations"]
        }

    def secret(self, association):
        """What a peer needs to get in: see Peer."""
        a = self.associations[association]
        if a["mechanism"] < GMAC:
            return a["secret"] if a["mechanism"] else ""
        options = {"title": TITLE.hex()}
        if a["mechanism"] == SHA256:
            return {**options, "mechanism": "sha256", "protect": "none", "secret": a["secret"]}
        # Counters that no client has used: each connection gets some of its own.
        self.counter += 1 << 16
        setup = self.objects[(association[1], 64, a["security_setup"])]
        options["counter"] = str(self.counter)
        options.update({name: setup["keys"][name] for name in ("guek", "gak")})
        if a["mechanism"] == ECDSA:
            options.update(signing(association[0], plain(setup["attributes"][2]["encoding"])))
        return options

    def object_list(self, association):
        """(class_id, version, obis, {attribute: (mode, selectors)}, {method: mode}), sorted."""
        client = str(association[0])
        own = self.objects[(association[1], 15, self.associations[association]["object"])]
        found = []
        for (server_sap, class_id, obis), o in self.objects.items():
            if server_sap != association[1] or client not in o["attributes"][0]["access"]:
                continue
            if obis == CURRENT:
                o = own  # the current association is another name of the client's own
            attributes = {
                a["index"]: (access_mode(a, client, own["version"]), a["selectors"] or None)
                for a in o["attributes"]
            }
            methods = {m["index"]: access_mode(m, client, own["version"]) for m in o["methods"]}
            found.append((class_id, o["version"], obis, attributes, methods))
        return sorted(found, key=lambda row: row[:3])

    def own(self, association, obis):
        """The current association is another name of the object of the client's association."""
        return self.associations[association]["object"] if obis == CURRENT else obis

    def readable(self, association):
        """[(class_id, obis, attribute)] of everything that the client may read."""
        client = str(association[0])
        found = []
        for class_id, _, obis, _, _ in self.object_list(association):
            o = self.objects[(association[1], class_id, self.own(association, obis))]
            for a in o["attributes"]:
                if "r" in a["access"][client]:
                    found.append((class_id, obis, a["index"]))
        return found

    def constant(self, association, class_id, obis, attribute):
        """Encoding of a value that nothing changes, or None."""
        o = self.objects[(association[1], class_id, self.own(association, obis))]
        for a in o["attributes"]:
            if a["index"] == attribute and a["stored"] in ("rom", "name"):
                return a["encoding"]
        return None

    def described(self, server_sap, obis):
        """The association that an Association LN object of a logical device describes."""
        for key, a in self.associations.items():
            if a["object"] == obis and key[1] == server_sap:
                return key
        raise KeyError(obis)

    def association_object(self, association, obis, attribute):
        """Encoding of an attribute of Association LN as class 15 has it, for the client of the
        one association that is open; None: the definition has it.
        """
        described = association if obis == CURRENT else self.described(association[1], obis)
        a = self.associations[described]
        if attribute == 1:
            return "0906" + bytes(int(part) for part in obis.split(".")).hex()
        if attribute == 3:
            return "02020f%02x12%04x" % described
        if attribute == 4:
            return "0907608574050801%02x" % a["application_context"]
        if attribute == 5:
            return "02060418%06x12%04x12%04x11060f000900" % (
                a["conformance"], a["max_pdu"], self.max_send_pdu)  # fmt: skip
        if attribute == 6:
            return "0907608574050802%02x" % a["mechanism"]
        if attribute == 8:
            return "1602" if described == association else "1600"
        return None


def signing(client, suite):
    """Options of a peer that signs as this client of the demo meter."""
    from cryptography import x509
    from cryptography.hazmat.primitives import serialization

    octets = []
    for who in ("client-%d" % client, "meter"):
        with open(
            os.path.join(_CERTIFICATES, "%s-%s-sign.pem" % (who, _CURVES[suite])), "rb"
        ) as f:
            octets.append(f.read())
    title = x509.load_pem_x509_certificate(octets[0]).subject
    pem = octets[0][octets[0].index(b"-----BEGIN PRIVATE KEY") :]
    own = serialization.load_pem_private_key(pem, None)
    their = (
        x509.load_pem_x509_certificate(octets[1])
        .public_key()
        .public_bytes(serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint)
    )
    private = own.private_numbers().private_value.to_bytes(own.key_size // 8, "big")
    return {
        "mechanism": "ecdsa",
        "suite": str(suite),
        "title": next(iter(title)).value.lower(),
        "signing-key": private.hex(),
        "meter-signing-key": their[1:].hex(),
    }


def access_mode(of, client, version):
    """access_mode of an attribute or method, as this version of Association LN has it."""
    rights = sum({"r": 1, "w": 2, "x": 1}[c] for c in of["access"][client])
    asks, _, answers = of["protection"][client].partition("!")
    asks = asks.lstrip("?")
    if version >= 3:
        bits = {"a": 4, "e": 8, "s": 16}
        return rights + sum(bits[c] for c in asks) + sum(bits[c] * 8 for c in answers)
    if not version or not rights or "a" not in asks:
        return rights
    return 2 if "x" in of["access"][client] else rights + 3


class Twin:
    """A meter in this process, in the same state as one that runs; nothing is asked of it."""

    def __init__(self, definition, state, start=STANDS_AT):
        from firmware import app, ports, store

        storage = store.FileStorage(state)
        self.meter = app.build(definition, storage, ports.current(), SEED, minute_of(start), 0, 0)
        self.model = self.meter.model
        self.buf = bytearray(1 << 20)

    def value(self, server_sap, class_id, obis, attribute):
        """Encoding of an attribute, straight from the model."""
        name = bytes(int(part) for part in obis.split("."))
        device = [d[0] for d in self.model.devices].index(server_sap)
        row = self.model.find(device, class_id.to_bytes(2, "big") + name, 0)
        assert row >= 0, obis
        end = self.model.read(row, attribute, self.buf, 0, len(self.buf) - 512)
        assert end > 0, (obis, attribute, end)
        return bytes(self.buf[:end]).hex()


def module_of(definition):
    """The generated module of a definition file."""
    import compile as compiling

    path = os.path.join(compiling.definition(definition), "definition.py")
    spec = importlib.util.spec_from_file_location("definition_of_peers", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def tariff_scripts(first):
    """Encoding of four scripts that write active_mask, RATE1 to RATE4, numbered from first on."""
    scripts = b"\x01\x04"
    for k in range(4):
        scripts += b"\x02\x02\x12" + (first + k).to_bytes(2, "big") + b"\x01\x01\x02\x05\x16\x01"
        scripts += b"\x12\x00\x06\x09\x06\x00\x00\x0e\x00\x00\xff\x0f\x04\x09\x05RATE%d" % (k + 1)
    return scripts.hex()


def plain(encoding):
    """The value of an A-XDR encoding as the peers' programs report it."""
    value, rest = _decode(bytes.fromhex(encoding))
    assert not rest
    return value


_INTEGERS = {5: (4, True), 6: (4, False), 15: (1, True), 16: (2, True), 17: (1, False),
             18: (2, False), 20: (8, True), 21: (8, False), 22: (1, False)}  # fmt: skip


def _decode(data):
    tag, data = data[0], data[1:]
    if tag == 0:
        return None, data
    if tag == 3:
        return bool(data[0]), data[1:]
    if tag in _INTEGERS:
        n, signed = _INTEGERS[tag]
        return int.from_bytes(data[:n], "big", signed=signed), data[n:]
    if tag == 25:
        return data[:12].hex(), data[12:]
    n, data = data[0], data[1:]
    if n & 0x80:
        size = n & 0x7F
        n, data = int.from_bytes(data[:size], "big"), data[size:]
    if tag in (1, 2):
        values = []
        for _ in range(n):
            value, data = _decode(data)
            values.append(value)
        return values, data
    if tag == 4:
        bits = "".join("{:08b}".format(octet) for octet in data[: (n + 7) // 8])
        return bits[:n], data[(n + 7) // 8 :]
    if tag == 9:
        return data[:n].hex(), data[n:]
    if tag == 10:
        return data[:n].decode("ascii"), data[n:]
    raise AssertionError("type %d is not in the reference meter" % tag)


def read_everything(
    peer, association, expected, twin, undecoded=(), every=1, at_once=1000, changing=()
):
    """The object list, and each attribute in it that may be read; how many attributes.

    undecoded: types of attributes that the peer can get, but not decode.
    changing: (class_id, obis, attribute) of values that reading itself changes.
    For a slow meter: every: one of so many attributes, but all of profiles; at_once: attributes
    that come in the time that there is for an answer.
    """
    listed = sorted(
        (
            (
                o["class_id"],
                o["version"],
                o["obis"],
                {k: (mode, selectors) for k, mode, selectors in o["attributes"]},
                dict(o["methods"]),
            )
            for o in peer.ask("objects")["objects"]
        ),
        key=lambda row: row[:3],
    )
    assert listed == expected.object_list(association)
    names = expected.readable(association)
    # A buffer last: Gurux wants to know the capture_objects first.
    names.sort(key=lambda name: (name[0] == 7 and name[2] == 2, name))
    assert len(names) == len(set(names))
    names = [name for i, name in enumerate(names) if name[0] == 7 or not i % every]
    commands = [{"class_id": c, "obis": o, "attribute": k} for c, o, k in names]
    answers = []
    for k in range(0, len(commands), at_once):
        answers += peer.ask("get_all", attributes=commands[k : k + at_once])["answers"]
    assert len(answers) == len(names)
    for name, answer in zip(names, answers):
        assert "error" not in answer, (name, answer)
        if name[0] == 15 and name[2] == 2:
            compare_object_list(answer["raw"], name[1], association, expected)
            continue
        if name in changing:
            continue
        encoding = encoding_of(name, association, expected, twin)
        if moves(name):
            n = OF_THE_NETWORK.get((name[0], name[2]), 10)
            assert len(answer["raw"]) in ((4, 20) if name[0] == 64 else (n,)), name
            encoding = answer["raw"]
        assert answer["raw"] == encoding, name
        if "undecoded" in answer:
            # xDLMS_context_info, image_transferred_blocks_status: there are bit-strings in them.
            assert (name[0], name[2]) in ((15, 5), (18, 3)), name
            assert answer["undecoded"].startswith(undecoded)
        elif name[0] != 40 or name[2] < 12:  # each peer has date-times of its own
            assert answer["value"] == plain(encoding), name
        assert answer.get("understood", True), (name, answer)
    return len(names)


# (class_id, attribute): digits of what a running meter has from its network: port, addresses.
OF_THE_NETWORK = {(41, 2): 6, (42, 3): 10, (43, 2): 16}


def moves(name):
    """Does it change with each request of a client that ciphers: its invocation counter, or the
    system title of whoever asked last? Or has a running meter it from its network?"""
    class_id, obis, attribute = name
    if (class_id, attribute) in OF_THE_NETWORK:
        return True
    if class_id == 64:
        return attribute == 4
    return class_id == 1 and obis.startswith("0.0.43.1.") and attribute == 2


def encoding_of(name, association, expected, twin):
    """What must come for a readable attribute (class_id, obis, attribute)."""
    class_id, obis, attribute = name
    if class_id == 15:
        encoding = expected.association_object(association, obis, attribute)
        if encoding is not None:
            return encoding
    of_twin = twin.value(association[1], class_id, expected.own(association, obis), attribute)
    constant = expected.constant(association, class_id, obis, attribute)
    if constant is None:
        return of_twin
    assert attribute == 1 or of_twin == constant
    return constant


def compare_object_list(raw, obis, association, expected):
    """The object_list of this object, the client's own or another's, as decoded here."""
    described = association if obis == CURRENT else expected.described(association[1], obis)
    listed = [
        (
            class_id,
            version,
            ".".join(str(octet) for octet in bytes.fromhex(name)),
            {k: (mode, selectors) for k, mode, selectors in rights[0]},
            dict(rights[1]),
        )
        for class_id, version, name, rights in plain(raw)
    ]
    assert sorted(listed, key=lambda row: row[:3]) == expected.object_list(described)


# --- Fixtures -------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def peers():
    """The Python of the peers' environment."""
    found = os.environ.get("PICOMETER_PEERS") or os.path.join(ROOT, "build/peers/bin/python")
    if os.path.isdir(found):
        found = os.path.join(found, "bin", "python")
    if not os.path.exists(found):
        missing("no peers here (%s): make test installs gurux-dlms and dlms-cosem" % found)
    return found


@pytest.fixture(scope="session")
def expected():
    return Expected()


@pytest.fixture(scope="session")
def history(tmp_path_factory):
    """(definition module, folder): storage of a meter that has run for a day."""
    from firmware import app, ports, store

    definition = module_of(DEFINITION)
    folder = str(tmp_path_factory.mktemp("history"))
    storage = store.FileStorage(folder)
    start = minute_of(HISTORY_START)
    meter = app.build(definition, storage, ports.current(), SEED, start, 0, 0)
    for _ in range(HISTORY_HOURS * 60 + 7):
        meter.program.tick(_MINUTE_MS)
    meter.close()
    return definition, folder


@pytest.fixture(scope="session")
def twin(history, tmp_path_factory):
    folder = str(tmp_path_factory.mktemp("twin") / "state")
    shutil.copytree(history[1], folder)
    return Twin(history[0], folder)


@pytest.fixture(scope="session")
def standing(history, tmp_path_factory, request):
    """standing(runtime): a meter with a day of history whose clock stands. Only read it."""
    running = {}

    def get(runtime):
        if runtime not in running:
            if runtime == "micropython":
                request.getfixturevalue("micropython")
            folder = str(tmp_path_factory.mktemp(runtime) / "state")
            shutil.copytree(history[1], folder)
            running[runtime] = RunningMeter(runtime, "--state", folder)
        return running[runtime]

    yield get
    codes = {runtime: (meter.stop(), meter.said) for runtime, meter in running.items()}
    assert codes == {runtime: (0, "") for runtime in running}


@pytest.fixture
def fresh(request):
    """fresh(runtime): a meter of the test's own, new from the factory, whose clock stands."""
    running = []

    def get(runtime="cpython", options=()):
        if runtime == "micropython":
            request.getfixturevalue("micropython")
        running.append(RunningMeter(runtime, *options))
        return running[-1]

    yield get
    for meter in running:
        assert (meter.stop(), meter.said) == (0, "")


@pytest.fixture
def history_meter(fresh, history, tmp_path):
    """A meter of the test's own with a day of history, whose clock stands."""
    folder = str(tmp_path / "state")
    shutil.copytree(history[1], folder)
    return fresh(options=("--state", folder))


@pytest.fixture
def connect(peers, expected):
    """connect(program, meter, link, association, ...): a peer, open unless open=False."""
    with contextlib.ExitStack() as stack:

        def get(program, meter, link, association, options=(), secret=None, open=True):
            if secret is None:
                secret = expected.secret(association)
            peer = Peer(peers, program, meter, link, association, secret, options)
            stack.callback(peer.end)
            if open:
                peer.opened = peer.ask("open")
            return peer

        yield get
