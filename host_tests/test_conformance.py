# SPDX-License-Identifier: MIT
"""tools/conformance.py: its list of cases, descriptions and targets, what it says of meters that
hang, close or talk nonsense, and that no report has a secret. What it finds wrong with a meter is
in test_conformance_faults.py."""

import json
import os
import random
import re
import socket
import subprocess
import sys
import threading
import time
import xml.etree.ElementTree as ElementTree

import beside
import broken
import conforming.groups as groups
import conforming.player as players
import pytest
import small
from conforming import explain, frames, junit, lines, report, target
from conforming.case import FAIL, INAPPLICABLE, INCONCLUSIVE, PASS, Case, Result
from conforming.data_types import book, fits, not_a, wrong_data
from conforming.explain import Scrub
from conforming.lines import TCP, Serial
from conforming.player import READ, WRITE, Player
from decoding.axdr import decode_data, encode_data
from tables.notation import parse_type

import conformance
from bootstrap import ROOT, Trouble

# --- The list -------------------------------------------------------------------------------

# DLMS UA 1001-3 and 1001-6: names of the cases, as they are publicly known.
PUBLISHED = {
    "hdlc": """HDLC_ FRAME_P1 FRAME_P2 FRAME_P3 FRAME_N1 FRAME_N2 FRAME_N3 FRAME_N4 FRAME_N5
        FRAME_N7 FRAME_N8 ADDRESS_P1 ADDRESS_N1 ADDRESS_N4 ADDRESS_N6 ADDRESS_N7 NDM2NRM_P1
        NDM2NRM_P2 INFO_P1 INFO_N1 INFO_N2 INFO_N3 NDMOP_N1""",
    "application": """APPL_ IDLE_N1 OPEN_1 OPEN_2 OPEN_3 OPEN_4 OPEN_5 OPEN_6 OPEN_7 OPEN_9 OPEN_11
        OPEN_12 OPEN_13 OPEN_14 DATA_LN_N1 DATA_LN_N3 DATA_LN_N4 DATA_SN_N1 DATA_SN_N2 DATA_SN_N3
        REL_P1""",
    "security": """SYMSEC_ 0_BasicCap_1 0_FraCount_1 0_FraCount_3 0_Key_Tx_P1 0_Key_Tx_P2
        0_Key_Tx_P3 0_Key_Tx_N1 0_Key_Tx_N2 0_DedKey_N1 0_SecDataX_P1 0_SecDataX_N1 REL_N1
        0_SecPol_1 0_SecPol_2 0_SecPol_3""",
}


@pytest.mark.parametrize("group, n", [("hdlc", 22), ("application", 20), ("security", 15)])
def test_all_published_cases_are_there(group, n):
    first, *rest = PUBLISHED[group].split()
    names = [first + name for name in rest]
    ids = [case.id for _, case in groups.listed([group])]
    assert len(names) == n
    assert set(names) == {i for i in ids if not i.startswith("PMT_")}
    assert len(ids) == len(set(ids))


def test_each_case_says_what_it_is():
    for group, case in groups.listed():
        assert case.group == group
        assert case.title and case.procedure and case.reference, case.id
        assert "ours" in case.reference or "DLMS UA" in case.reference, case.id


def test_the_list_is_printed(capsys):
    assert conformance.main(["--list", "--only", "gbt,objects"]) == 0
    said = capsys.readouterr().out
    assert "PMT_GBT_P1" in said and "COSEM_X_Y" in said and "HDLC_" not in said


# --- Who is asked ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text, kind, where",
    [
        ("tcp://meter:4059", "wrapper", ("meter", 4059)),
        ("tcp://[::1]:4059/", "wrapper", ("::1", 4059)),
        ("hdlc+tcp://10.0.0.1:1", "hdlc", ("10.0.0.1", 1)),
        ("optical+tcp://x:9", "optical", ("x", 9)),
    ],
)
def test_places_on_a_network(text, kind, where):
    got, line, over_tcp = target.place(text, 1)
    assert (got, line.where, over_tcp) == (kind, where, True)
    assert isinstance(line, TCP)


@pytest.mark.parametrize(
    "text, kind, device, rate",
    [
        ("/dev/ttyUSB0", "hdlc", "/dev/ttyUSB0", 9600),
        ("/dev/ttyUSB0:115200", "hdlc", "/dev/ttyUSB0", 115200),
        ("optical:/dev/ttyS0", "optical", "/dev/ttyS0", 300),
        ("COM3", "hdlc", "COM3", 9600),
    ],
)
def test_places_on_a_line(text, kind, device, rate):
    got, line, over_tcp = target.place(text, 1)
    assert (got, line.device, line.rate, over_tcp) == (kind, device, rate, False)
    assert isinstance(line, Serial)


@pytest.mark.parametrize(
    "text", ["", "meter", "tcp://meter", "tcp://:1", "tcp://a:0", "udp://a:1"]
)
def test_what_is_no_place(text):
    with pytest.raises(Trouble, match="no place of a meter"):
        target.place(text, 1)


@pytest.mark.parametrize(
    "text, why",
    [
        ("[", "is no description"),
        ("[]", "expected a table"),
        ('{"associations": 1}', "no list"),
        ('{"associations": [{}]}', "association 1 has no client_sap"),
        ('{"associations": [{"client_sap": 1, "server_sap": 1, "guek_hex": "x"}]}', "is no hex"),
        ('{"associations": [{"client_sap": 1, "server_sap": 1, "counter": ""}]}', "no number"),
        ('{"system_title": "00"}', "has not 8 octets"),
        ('{"hdlc_physical_address": "16"}', "hdlc_physical_address is not to be used: '16'"),
        ('{"hdlc_address_lengths": [3]}', "hdlc_address_lengths is not to be used"),
        ('{"inactivity_s": -1}', "inactivity_s is not to be used"),
        ('{"optical": []}', "optical is not to be used"),
        (
            '{"associations": [{"client_sap": 1, "server_sap": 1, "security_setup": "x"}]}',
            "is no OBIS code",
        ),
        ('{"associations": [{"client_sap": 1, "server_sap": 1, "security_suite": 3}]}', "0 to 2"),
        (
            '{"associations": [{"client_sap": 1, "server_sap": 1, "security_suite": 2,'
            ' "guek_hex": "000102030405060708090A0B0C0D0E0F"}]}',
            "guek_hex has not 32 octets",
        ),
    ],
)
def test_descriptions_that_are_wrong(text, why, tmp_path):
    path = tmp_path / "meter.json"
    path.write_text(text)
    with pytest.raises(Trouble, match=why):
        target.described(str(path))


def test_a_description_may_be_toml(tmp_path):
    path = tmp_path / "meter.toml"
    path.write_text("[[associations]]\nclient_sap = 7\nserver_sap = 1\n")
    assert target.described(str(path))["associations"] == [{"client_sap": 7, "server_sap": 1}]
    with pytest.raises(Trouble, match="cannot be read"):
        target.described(str(tmp_path / "none.toml"))


@pytest.mark.parametrize(
    "args, why",
    [
        (["tcp://a:1", "--client", "1", "--mechanism", "lls"], "needs --secret"),
        (["tcp://a:1", "--client", "1", "--mechanism", "gmac"], "needs --guek and --gak"),
        (["tcp://a:1", "--client", "1", "--guek", "00"], "has not 16 octets"),
        (["tcp://a:1", "--secret", "x"], "no --client"),
        (["tcp://a:1", "--only", "nothing"], "is none of"),
        (["tcp://a:1", "--case", "HDLC_X"], "there is no HDLC_X"),
        (["--client", "1"], "no TARGET"),
        (["nowhere"], "no place"),
    ],
)
def test_options_that_are_wrong(args, why):
    with pytest.raises(Trouble, match=why):
        conformance.main(args)


def test_a_client_by_options(tmp_path):
    path = tmp_path / "secret"
    path.write_text("abc\n")
    o = conformance.parser().parse_args(
        ["x", "--client", "2", "--mechanism", "lls", "--secret", str(path), "--lower", "17"]
    )
    description = {}
    conformance.add_association(description, o)
    t = target.Target(description)
    assert t.public()["client_sap"] == 16
    assert t.some()["secret_hex"] == b"abc".hex()
    assert (t.lower, t.lengths, t.ciphered()) == (17, None, None)


def test_a_secret_of_the_environment(monkeypatch):
    monkeypatch.setenv("PICOMETER_SECRET", "0x0102")
    o = conformance.parser().parse_args(["x", "--client", "2", "--mechanism", "lls"])
    description = {}
    conformance.add_association(description, o)
    assert target.Target(description).some()["secret_hex"] == "0102"


# --- Types ----------------------------------------------------------------------------------

TYPES = [
    ("long-unsigned", ("long-unsigned", 5), ""),
    ("long-unsigned", ("unsigned", 5), "it is unsigned; expected long-unsigned"),
    ("octet-string[6]", ("octet-string", bytes(5)), "it has length 5; expected 6"),
    ("octet-string[12](date-time)", ("octet-string", bytes(5)),
     "it is 00 00 00 00 00, which has 5 octets; expected date-time"),
    ("array[unsigned]", ("array", [("unsigned", 1), ("enum", 1)]),
     "it[1] is enum; expected unsigned"),
    ("structure{scaler:integer,unit:enum}", ("structure", [("integer", 0)]),
     "it is structure of 1; expected structure of 2"),
    ("structure{scaler:integer,unit:enum}", ("structure", [("integer", 0), ("integer", 1)]),
     "it.unit is integer; expected enum"),
    ("CHOICE", ("boolean", True), ""),
]  # fmt: skip


@pytest.mark.parametrize("text, value, wrong", TYPES)
def test_types(text, value, wrong):
    assert fits(decode_data(encode_data(value)), parse_type(text)) == wrong


DATES = [
    ("date-time", "07E80A1406123A2D00800000", "whose day of week is 6; expected 7"),
    ("date-time", "07E80A1407123A2D00800000", ""),
    ("date-time", "FFFFFFFFFFFFFFFFFF8000FF", ""),
    ("date-time", "07E80A14FF123A2DFFFC4C00", "whose deviation is -948"),
    ("date-time", "07E80D14FF123A2DFF800000", "whose month is 13"),
    ("date-time", "07E7021DFF123A2DFF800000", "which is no day"),
    ("date-time", "07E80220FF123A2DFF800000", "whose day is 32"),
    ("date", "FFFF0AFE07", ""),
    ("date", "FFFFFDFD07", ""),
    ("date", "FFFF010108", "whose day of week is 8"),
    ("time", "18000000", "whose hour is 24"),
    ("time", "FFFFFFFF", ""),
    ("time", "00003C00", "whose second is 60"),
    ("time", "00003B64", "whose hundredths is 100"),
]


@pytest.mark.parametrize("format, octets, wrong", DATES)
def test_dates(format, octets, wrong):
    assert not_a(format, bytes.fromhex(octets)) == wrong


def test_data_that_are_cut_off():
    assert "it" in fits(decode_data(b"\x12\x01"), parse_type("long-unsigned"))


def test_wrong_data_fit_no_type_of_the_book():
    for c in book().values():
        for v in c.versions.values():
            for a in v.attributes.values():
                data = wrong_data(a.type)
                assert data is None or fits(decode_data(data), a.type)


def test_frames_are_those_of_the_page():
    """Annex A of lib/profiles/hdlc.md."""
    there, own = frames.address(1, 17, 2), frames.address(16)
    assert frames.frame(there, own, frames.DISC).hex().upper() == "7EA00802232153B1A27E"
    snrm = frames.frame(there, own, frames.SNRM, frames.parameters({5: 128, 6: 64, 7: 1, 8: 1}))
    page = "7EA01F022321932 1E0818012050180060140070400000001080400000001A09E7E".replace(" ", "")
    assert snrm.hex().upper() == page
    assert frames.negotiated(snrm[9:-3]) == {5: 128, 6: 64, 7: 1, 8: 1}
    assert frames.Frame(snrm[1:-1]).destination == there


# --- Other meters ---------------------------------------------------------------------------


def verdicts(player, ids):
    return {
        r.case.id: (r.verdict, r.why)
        for r in groups.play(player, ["application", "security"], ids)
    }


@pytest.mark.parametrize("n", [1, 2, 3])
def test_a_policy_is_raised(n):
    """Only once, for it cannot be taken back."""
    id = "SYMSEC_0_SecPol_%d" % n
    player = beside.Small(17, 40).player("wrapper")
    assert verdicts(player, [id]) == {id: (PASS, "")}
    assert verdicts(player, ["SYMSEC_REL_N1"]) == {"SYMSEC_REL_N1": (PASS, "")}
    weaker = "SYMSEC_0_SecPol_%d" % (n % 2 + 1)
    assert verdicts(player, [weaker])[weaker][0] == INAPPLICABLE


def test_each_kind_of_protection_without_a_policy(tmp_path):
    """With a second attribute that can be written."""
    text = beside.SMALL.read_text()
    at = text.index('    {obis = "0.0.96.60.1"')
    more = '    {obis = "0.0.96.60.2", value = "0x0A0B", data_type = "octet-string"},\n'
    path = tmp_path / "small.toml"
    path.write_text(text[:at] + more + text[at:])
    player = beside.Small(17, 40, path=path).player("wrapper")
    got = verdicts(
        player, ["SYMSEC_0_" + i for i in ("BasicCap", "FraCount", "SecDataX", "DedKey")]
    )
    assert {v for v, _ in got.values()} == {PASS}, got
    assert len(got) == 6


CERTIFIED = small.HERE / "definitions" / "certified.toml"


@pytest.mark.parametrize("suite, client", [(1, 1), (2, 2)])
def test_suites_1_and_2(suite, client, tmp_path):
    """What is symmetric in them: the same cases, with keys of 16 and of 32 octets. The meter has a
    second attribute that can be written."""
    text = CERTIFIED.read_text()
    line = '    {obis = "0.0.96.60.1", value = "0x0102", data_type = "octet-string"'
    assert line in text
    path = tmp_path / "certified.toml"
    path.write_text(text.replace(line, line.replace("60.1", "60.2") + "},\n" + line))
    player = beside.Small(1, client, path=path).player("wrapper")
    results = list(groups.play(player, ["security"], []))
    assert len(results) == 2 * 17
    assert {r.why for r in results[:17]} == {"No association of security suite 0 with known keys."}
    # What SecPol_1 has raised.
    assert {r.case.id: r.why for r in results[17:] if r.verdict != PASS} == {
        "SYMSEC_REL_N1": "The policy wants no protection.",
        "SYMSEC_%d_SecPol_2" % suite: "The policy is 24 already, and cannot be made less.",
    }


def test_an_invocation_counter_that_nobody_speaks_of():
    """It is where the Blue Book has it, so that a second run is not taken for a replay."""
    reference = beside.Reference()
    for a in reference.description["associations"]:
        a.pop("invocation_counter", None)
    for _ in range(2):
        player = reference.player("wrapper")
        (result,) = groups.play(player, ["security"], ["SYMSEC_0_FraCount_3"])
        assert (result.verdict, result.why) == (PASS, "")
        assert max(player.target.counters.values()) > 0


def test_users_of_a_list():
    player = beside.Small(17, 33).player("wrapper")
    for a in player.target.associations:
        if a["client_sap"] == 33:
            a["user_id"] = 5
    assert verdicts(player, ["APPL_OPEN_2"]) == {"APPL_OPEN_2": (PASS, "")}


def test_what_must_not_be_done_is_not_played():
    reference = beside.Reference()
    player = reference.player("wrapper", may=READ)
    got = {r.case.id: r for r in groups.play(player, ["security", "objects"], [])}
    assert got["SYMSEC_0_Key_Tx_P1"].verdict == INAPPLICABLE
    assert "--may keys" in got["SYMSEC_0_Key_Tx_P1"].why
    assert FAIL not in {r.verdict for r in got.values()}
    assert got["COSEM_3_0"].why.endswith("0 written, 0 refusals")


# --- Targets that hang, close, or answer nonsense ---------------------------------------------


class Stranger:
    """Somebody on a TCP port: answer(octets) gives what he says; None: he closes."""

    def __init__(self, answer):
        self._answer = answer
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        while True:
            try:
                s, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._talk, args=(s,), daemon=True).start()

    def _talk(self, s):
        try:
            with s:
                while octets := s.recv(4096):
                    said = self._answer(octets)
                    if said is None:
                        return
                    s.sendall(said)
        except OSError:
            pass

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._listener.close()


STRANGERS = {
    "says nothing": lambda octets: b"",
    "closes": lambda octets: None,
    "echoes": lambda octets: octets,
    "talks nonsense": lambda octets: b"HTTP/1.1 400 Bad Request\r\n\r\n" * 40,
    "flags": lambda octets: b"\x7e" * 100000,
    "empty wpdus": lambda octets: octets[:2] + octets[4:6] + octets[2:4] + b"\0\0",
    "cut": lambda octets: octets[:2] + octets[4:6] + octets[2:4] + b"\0\x40\x61\x10",
    "an HTTP server": lambda octets: b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n",
    "a truncated AARE": lambda octets: (
        octets[:2] + octets[4:6] + octets[2:4] + b"\0\x03\x61\x29\xa1"
    ),
}
GOOD = ("PMT_WRAPPER_P1", "APPL_OPEN_1", "HDLC_FRAME_P1", "HDLC_INFO_P1", "SYMSEC_0_BasicCap_1")


@pytest.mark.parametrize("kind", ["wrapper", "hdlc"])
@pytest.mark.parametrize("name", STRANGERS)
def test_a_stranger_fails_and_the_run_goes_on(name, kind):
    description = beside.Reference().description
    with Stranger(STRANGERS[name]) as stranger:
        line = TCP("127.0.0.1", stranger.port, 0.1)
        line.quiet_s = 0.01
        player = Player(target.Target(description), line, kind, WRITE, 0.05, longest_s=1)
        ids = [*GOOD, "PMT_WRAPPER_N1", "HDLC_FRAME_N2", "APPL_DATA_LN_N1", "COSEM_MULTIPLE"]
        found = list(groups.play(player, list(groups.GROUPS), ids))
    assert len(found) >= 6
    for r in found:
        assert r.verdict in (FAIL, INCONCLUSIVE, INAPPLICABLE) or r.case.id not in GOOD, r.case.id
        assert r.why or r.verdict == PASS
        assert "Traceback" not in r.why


class Talker(Stranger):
    """Somebody who says octets without an end, or none, from the moment that he is connected to:
    talk(socket)."""

    def __init__(self, talk):
        super().__init__(None)
        self._said = talk

    def _talk(self, s):
        try:
            with s:
                self._said(s)
        except OSError:
            pass


def drips(beginning):
    def talk(s):
        s.sendall(beginning)
        while True:
            s.sendall(b"\0")
            time.sleep(0.01)

    return talk


def pours(octets):
    def talk(s):
        while True:
            s.sendall(octets * 1000)

    return talk


# Of each kind, and whether it is seen that what comes does not end.
TALKERS = {
    "closes at once": (lambda s: None, ""),
    "resets": (lambda s: s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, bytes(8)), ""),
    "drips": (drips(b""), ""),
    "drips a wpdu": (drips(bytes.fromhex("00010001 0010FFFF")), "wrapper"),
    "drips a frame": (drips(bytes.fromhex("7EA7F0")), "hdlc"),
    "pours": (pours(b"nonsense"), ""),
    "pours notifications": (pours(bytes.fromhex("00010001 00100003 0F0101")), "wrapper"),
}


@pytest.mark.parametrize("kind", ["wrapper", "hdlc", "optical"])
@pytest.mark.parametrize("name", TALKERS)
def test_who_does_not_end(name, kind, monkeypatch):
    """The case ends, and after some of them the run."""
    monkeypatch.setattr(players, "_MOST_TALK_S", {})
    monkeypatch.setattr(players, "_MOST_TALK_OTHERWISE_S", 0.1)
    monkeypatch.setattr(lines, "_FAREWELL_S", 0.01)
    talk, endless = TALKERS[name]
    with Talker(talk) as stranger:
        line = TCP("127.0.0.1", stranger.port, 1)
        line.quiet_s = 0.5  # fifty times what a dripping one leaves between two octets
        player = Player(target.Target({}), line, kind, WRITE, 0.5, longest_s=2)
        line.wait = lambda seconds: None
        found = list(groups.play(player, ["wrapper", "hdlc", "application"], ["PMT", "HDLC_INFO"]))
    assert len(found) >= 7
    assert all(r.verdict in (FAIL, INCONCLUSIVE, INAPPLICABLE) and r.why for r in found)
    if kind == endless:
        assert "does not come to an end" in found[0].why
        assert found[-1].why == "Not played: what the meter says has not ended in 3 cases."


@pytest.mark.parametrize("kind", ["wrapper", "hdlc"])
@pytest.mark.parametrize("late_s", [0, 0.03])
def test_octet_by_octet_and_late(kind, late_s):
    """A meter that is right is right so, too."""
    bench = beside.Reference().line(kind)
    bench.open()

    def talk(s):
        while octets := s.recv(4096):
            bench.write(octets)
            time.sleep(late_s)
            for octet in bench.read(0.1) or b"":
                s.sendall(bytes((octet,)))

    with Talker(talk) as stranger:
        line = TCP("127.0.0.1", stranger.port, 0.1)
        player = Player(target.Target({}), line, kind, WRITE, 1)
        ids = ["PMT_WRAPPER_P1", "HDLC_FRAME_P1", "APPL_OPEN_1", "APPL_OPEN_12"]
        found = list(groups.play(player, ["wrapper", "hdlc", "application"], ids))
    assert [(r.case.id, r.why) for r in found if r.verdict != PASS] == []
    assert len(found) == 3


def test_lengths_of_addresses_are_found_out():
    """Of a meter with a lower address, where nobody has said them."""
    reference = beside.Reference()
    del reference.description["hdlc_address_lengths"]
    line = reference.line("hdlc")

    def of_two_octets(octets):
        return octets if octets[4:5] == b"\x23" or octets[:1] != b"\x7e" else b""

    line.inward = of_two_octets
    player = reference.player("hdlc")
    results = list(groups.play(player, ["hdlc"], ["HDLC_FRAME_P1", "HDLC_ADDRESS"]))
    assert player.target.lengths == [2]
    assert {r.case.id: r.why for r in results if r.verdict != PASS} == {}
    line.inward = lambda octets: b""
    player = reference.player("hdlc")
    (result,) = groups.play(player, ["hdlc"], ["HDLC_FRAME_P1"])
    assert (result.verdict, result.why) == (
        FAIL, "SNRM is answered to no address of 1, 2 or 4 octets."
    )  # fmt: skip


@pytest.mark.parametrize("sap", [0x80, 0x4000])
def test_an_address_that_hdlc_has_no_place_for(sap):
    reference = beside.Reference()
    reference.description = {"associations": [{"client_sap": 16, "server_sap": sap}]}
    (result,) = groups.play(reference.player("hdlc"), ["hdlc"], ["HDLC_FRAME_P1"])
    assert (result.verdict, result.why) == (
        INAPPLICABLE, "Address %d has no place in an HDLC address of length 1." % sap
    )  # fmt: skip


@pytest.mark.parametrize("kind", ["wrapper", "hdlc"])
def test_octets_and_apdus_are_damaged(kind, monkeypatch):
    """Now and then: whatever comes, a case ends with a verdict and its reason, and the run goes
    on to its end."""
    by_chance = random.Random(7)
    bench = broken.Bench(kind, monkeypatch.setattr)

    def damaged(octets):
        if not octets or by_chance.random() > 0.03:
            return octets
        at = by_chance.randrange(len(octets))
        return by_chance.choice(
            [octets[:at], broken.changed(octets, at, 4), octets[: at + 9] * 2, bytes(at)]
        )

    bench.line.outward = damaged
    bench.answers(lambda asked, got: damaged(got)[:200])
    results = list(groups.play(bench.player(), list(groups.GROUPS), []))
    assert len(results) >= 60
    assert {r.verdict for r in results} >= {PASS, FAIL}
    assert all(r.why for r in results if r.verdict != PASS)


def test_nobody_is_there(tmp_path, capsys):
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    args = ["tcp://127.0.0.1:%d" % port, "--only", "wrapper", "--json", "--patience", "0.5"]
    args += ["--report", str(tmp_path / "r.html"), "--junit", str(tmp_path / "j.xml")]
    assert conformance.main(args) == 2
    said = capsys.readouterr()
    assert said.err.endswith("Nothing has come from %s.\n" % args[0])
    got = json.loads(said.out)
    assert [c["verdict"] for c in got["cases"]] == [INCONCLUSIVE] * len(got["cases"])
    why = [c["why"] for c in got["cases"]]
    assert why[0] == "There is no connection to 127.0.0.1 port %d (Connection refused)." % port
    assert set(why[1:]) == {"Not played: there is no connection."}
    assert said.err.count("\n") == 5, said.err


# --- Results --------------------------------------------------------------------------------

SECRET = b"demo-reading"


def test_ctrl_c_leaves_a_report(tmp_path, capsys, monkeypatch):
    """Of what was played until then."""
    whole = groups.play

    def play(*args):
        yield next(whole(*args))
        raise KeyboardInterrupt

    monkeypatch.setattr(groups, "play", play)
    pages = [str(tmp_path / name) for name in ("report.html", "junit.xml")]
    args = ["tcp://127.0.0.1:1", "--patience", "0.1", "--only", "wrapper", "--json"]
    assert conformance.main([*args, "--report", pages[0], "--junit", pages[1]]) == 130
    out, err = capsys.readouterr()
    assert len(json.loads(out)["cases"]) == 1 and "Interrupted" in err
    assert "PMT_WRAPPER_P1" in open(pages[0]).read() and "PMT_WRAPPER_P1" in open(pages[1]).read()


def test_scrub():
    scrub = Scrub([SECRET])
    assert scrub.octets(b"\x01" + SECRET + b"\x02") == b"\x01" + b"*" * 12 + b"\x02"
    for text in (SECRET.hex(), SECRET.hex(" ").upper(), SECRET.decode()):
        assert scrub.text("it is %s." % text) == "it is ********."
    # A wrong secret is close to the right one.
    aarq = small.aarq(b"demo-readinh")
    assert b"demo" not in scrub.octets(aarq)
    assert b"00000042" not in scrub.octets(b"\x01P1\x02(00000042)\x03b")


def test_reports_have_no_secrets_and_say_why():
    reference = beside.Reference()
    player = reference.player("hdlc")
    ids = ["HDLC_INFO", "HDLC_FRAME_N1", "APPL", "SYMSEC_0_Key_Tx_P1", "SYMSEC_0_DedKey_N1"]
    results = list(groups.play(player, list(groups.GROUPS), ids))
    results[0].verdict, results[0].why = FAIL, "It is <b>%s</b>." % SECRET.decode()
    scrub = Scrub(player.target.secrets())
    about = {"name": "<meter>", "places": ["here"], "when": "now", "seconds": 1, "may": "keys"}
    page = report.page(results, about, scrub, full=True)
    xml = junit.xml(results, scrub)
    assert len(player.target.secrets()) > 10
    for text in (page, xml):
        packed = text.replace(" ", "").lower()
        for secret in player.target.secrets():
            assert secret.hex() not in packed
            assert secret.decode("latin-1").lower() not in text.lower()
    assert "&lt;meter&gt;" in page and "<meter>" not in page
    assert "It is &lt;b&gt;" in page
    assert "http" not in page.lower().replace("http-equiv", "")
    suites = ElementTree.fromstring(xml)
    assert int(suites.get("tests")) == len(results) == len(suites.findall("*/testcase"))
    assert [e.get("message") for e in suites.findall("*/*/failure")] == ["It is <b>********</b>."]
    assert {s.get("name") for s in suites} >= {"hdlc.hdlc", "hdlc.application", "hdlc.security"}


def test_junit_stands_a_strict_parser():
    """Whatever a meter says: what XML cannot hold is a question mark; expat takes the file."""
    nasty = "a\0b\x1b\ud800\ufffe<&>]]>\"'\r\n\x85é"
    results = []
    for verdict in (PASS, FAIL, INCONCLUSIVE, INAPPLICABLE):
        case = Case("X_1", "<" + nasty, "", "wrapper", (), None)
        results.append(report_of(case, verdict, nasty))
    octets = junit.xml(results, Scrub([])).encode()
    suites = ElementTree.fromstring(octets)
    assert suites.attrib == {
        "tests": "4", "errors": "0", "failures": "1", "skipped": "2", "time": "0.000"
    }  # fmt: skip
    (failure,) = suites.findall("*/*/failure")
    assert failure.get("type") == FAIL
    assert failure.get("message") == "a?b???<&>]]>\"'?\n\x85é"
    for case in suites.iter("testcase"):
        assert set(case.attrib) == {"classname", "name", "time"}


def report_of(case, verdict, why):
    result = Result(case, "wrapper")
    result.verdict, result.why = verdict, why
    return result


def test_messages_are_explained():
    line = beside.Reference().player("wrapper")
    (result,) = groups.play(line, ["wrapper"], ["PMT_WRAPPER_P1"])
    said = [explain.of_step(s, "wrapper", False) for s in result.steps]
    assert any(text.startswith("aarq") for text in said)
    assert any("get-response-normal" in text for text in said)


def test_json_is_what_the_help_says():
    (result,) = groups.play(beside.Reference().player("wrapper"), ["wrapper"], ["PMT_WRAPPER_P1"])
    about = {"name": "m", "places": ["x"], "when": "now", "seconds": 1.0, "may": "keys"}
    said = conformance.as_dict([result], about, report.tally([result]), Scrub([]))
    described = set(re.findall('"([a-z ]+)"', conformance.__doc__))
    assert described == {*said, *said["verdicts"], *said["cases"][0]}


def test_our_meter_in_a_process_of_its_own(tmp_path):
    """As make conformance runs it, over all three ports, some of the groups."""
    files = {k: tmp_path / k for k in ("report", "junit")}
    said = subprocess.run(
        [sys.executable, os.path.join(ROOT, "tools", "conformance.py"), "--json",
         "--only", "wrapper,gbt,objects", "--report", files["report"], "--junit", files["junit"]],
        capture_output=True, text=True, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert said.returncode == 0, said.stderr
    got = json.loads(said.stdout)
    assert got["verdicts"]["fail"] == got["verdicts"]["inconclusive"] == 0
    verdict = {(c["profile"], c["id"]): c["verdict"] for c in got["cases"]}
    assert verdict["wrapper", "COSEM_7_ENTRY"] == verdict["wrapper", "COSEM_7_RANGE"] == PASS
    assert verdict["hdlc", "PMT_GBT_P1"] == PASS
    assert got["verdicts"]["pass"] > 200
    assert "wrapper objects:" in said.stderr
    assert files["report"].read_text().startswith("<!doctype html>")
    ElementTree.parse(files["junit"])
