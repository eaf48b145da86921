# SPDX-License-Identifier: MIT
"""tools/decode.py: what somebody pastes or captures, explained; what cannot be, in a sentence."""

import io
import json
import os
import subprocess
import sys

import decode
import pytest
from capturing import packets
from bootstrap import ROOT, Trouble
from decoding.run import Run
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_decoding_capture import CLIENT, METER, pcap
from test_decoding_conversation import GET, GOT, client, meter, wpdu

SNRM = client(0x93)[1]
UA = meter(0x73)[1]
ASKED = client(0x10, b"\xe6\xe6\x00" + GET)[1]
ANSWERED = meter(0x30, b"\xe6\xe7\x00" + GOT)[1]
KEY = "000102030405060708090A0B0C0D0E0F"
CIPHERED = "c81e3001234567411312ff935a47566827c467bc7d825c3be4a77c3fcc056b6b"
TITLE = "4D4D4D0000BC614E"


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    """run(*arguments, text=or octets) -> what is on stdout; .said: on stderr."""

    def call(*args, text=None):
        if text is not None:
            path = tmp_path / "input"
            path.write_bytes(text if isinstance(text, bytes) else text.encode())
            args = (*args, str(path))
        assert decode.main(list(args)) == 0
        out, call.said = capsys.readouterr()
        return out

    return call


def units(text):
    return [json.loads(line) for line in text.splitlines()]


def trace(*messages, words=("TX", "RX")):
    return "".join(
        "%s: 10:20:%02d %s\n" % (words[way == "tx"], k, octets.hex(" ").upper())
        for k, (way, octets) in enumerate(messages)
    )


TALK = (("rx", SNRM), ("tx", UA), ("rx", ASKED), ("tx", ANSWERED))


def test_octets_on_the_command_line(run):
    out = run(GET.hex())
    assert "get-request-normal: Register 1.0.1.8.0.255 value: active import" in out
    assert out.count("\n      ") and "\x1b" not in out
    assert run(*GET.hex(" ").split()) == out


@pytest.mark.parametrize("words", [("TX", "RX"), ("RX", "TX")])
def test_whose_trace_it_is(run, words):
    """TX is what a client sends, or what a meter sends: who says SNRM is a client."""
    found = units(run("--json", text=trace(*TALK, words=words)))
    assert [u["direction"] for u in found] == ["rx", "tx", "rx", "tx"]
    assert [u["line"] for u in found] == [1, 2, 3, 4]
    assert found[3]["layers"][-1] == [
        "APDU", "get-response-normal: to Register 1.0.1.8.0.255 value: active import +A energy "
        "register, total, 7"
    ]  # fmt: skip


def test_whose_trace_it_is_can_be_said(run):
    text = "TX: 10:20:18 %s\n" % client(0x11)[1].hex(" ")
    for of, direction in (("client", "rx"), ("meter", "tx")):
        (unit,) = units(run("--json", "--of", of, text=text))
        assert unit["direction"] == direction


def test_a_text_of_windows(run):
    assert "HDLC  SNRM" in run("--brief", text=trace(*TALK).encode("utf-16"))


@pytest.mark.parametrize("codec", ["utf-8-sig", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_texts_as_editors_write_them(run, codec, end):
    text = trace(*TALK).replace("\n", end)
    assert run("--json", text=text.encode(codec)) == run("--json", text=trace(*TALK))


def test_digits_that_are_odd(run):
    """What was whole before is told, and then which digit is one too many, or too few."""
    before, fault = units(run("--json", "7EA0070321930F017"))
    assert before["octets"] == "7ea0070321930f01" and before["layers"] == [["HDLC", "SNRM, P/F"]]
    assert fault["error"]["text"] == (
        "'7' in column 17; expected two hexadecimal digits for each octet"
    )


@pytest.mark.parametrize("n", range(1, len(GET)))
def test_what_is_cut_off_is_what_it_was(run, n):
    """A request without its end is no wpdu of another version; its object is named."""
    (unit,) = units(run("--json", "--layer", "apdu", GET[:n].hex()))
    if n != 1:
        assert units(run("--json", GET[:n].hex())) == [unit]
    (_, line), *_ = unit["layers"]
    assert "get-request" in line and ("normal: Register 1.0.1.8.0.255" in line) == (n > 10)


def test_every_layer_in_a_line(run):
    out = run("--brief", text=trace(*TALK))
    assert out.splitlines()[:2] == ["1  10:20:00  client 16 -> server 1", "    HDLC  SNRM, P/F"]


def test_a_capture(run):
    t = packets.TCP(CLIENT, METER)
    found = t.open() + t.data(True, wpdu(16, 1, GET)) + t.data(False, wpdu(1, 16, GOT))
    out = units(run("--json", text=pcap(found)))
    assert [u["direction"] for u in out] == ["rx", "tx"]
    assert out[0]["link"] == "TCP 10.0.0.1:50000 - 10.0.0.2:4059"
    assert out[0]["line"] == 4 and out[0]["time"] == "22:13:23.500"


def test_a_capture_that_has_lost_a_segment(run):
    t = packets.TCP(CLIENT, METER)
    parts = [t.data(True, octets) for octets in (wpdu(16, 1, GET)[:9], b"lost", wpdu(16, 1, GET))]
    found = parts[0] + parts[2] + t.close(True)
    names = [(u["name"], "error" in json.dumps(u)) for u in units(run("--json", text=pcap(found)))]
    assert names == [("wpdu", True), ("line", True), ("wpdu", False)]


def test_a_dump_of_a_whole_packet(run):
    frame = bytes(12) + b"\x08\x00" + packets.udp(CLIENT, METER, wpdu(16, 1, GET))
    rows = [frame[k : k + 16].hex(" ") for k in range(0, len(frame), 16)]
    text = "".join("%04x   %s\n" % (16 * k, row) for k, row in enumerate(rows))
    (unit,) = units(run("--json", text=text))
    assert unit["link"].startswith("UDP") and unit["name"] == "wpdu"


def test_octets_of_a_line_in_a_file(run):
    out = units(run("--json", text=SNRM + UA + ASKED + ANSWERED))
    assert [u["direction"] for u in out] == ["rx", "tx", "rx", "tx"]


def test_the_meter_s_own_trace(run):
    text = "Meter PMT1000000000001\n    GUEK  44454D4F4755454B434C49454E543031\nready\n"
    text += "RX: 10:20:18 /?!<CR><LF>\nTX: 10:20:18 /PMT5\\2PICOMETER<CR><LF>\n"
    text += "RX: 10:20:18 <ACK>252<CR><LF>\nTX: 10:20:18 <ACK>252<CR><LF>\n"
    text += trace(*TALK, words=("RX", "TX"))
    out = units(run("--json", text=text))
    assert [u["name"] for u in out[:4]] == ["request", "identification"] + ["option-select"] * 2
    assert [u["direction"] for u in out] == ["rx", "tx"] * 4
    assert "neither octets nor a trace: 3, the first in line 1: Meter" in run.said


def test_names_of_a_definition(run):
    definition = os.path.join(ROOT, "firmware/definitions/residential.toml")
    assert "Register" in run("--definition", definition, GET.hex())


def test_short_names_of_a_definition(run):
    definition = os.path.join(ROOT, "firmware/definitions/residential.toml")
    out = run("--definition", definition, "050102fa08")
    assert "0xFA08: Association SN 0.0.40.0.0.255 object_list" in out


# --- Keys ----------------------------------------------------------------------------------------


def test_a_key_from_a_file_or_the_environment(run, tmp_path, monkeypatch):
    (tmp_path / "guek").write_text(KEY + "\n")
    out = run("--guek", str(tmp_path / "guek"), "--title", TITLE, CIPHERED)
    assert "glo-get-request > get-request-normal: Clock" in out
    monkeypatch.setenv("PICOMETER_GUEK", KEY)
    monkeypatch.setenv("PICOMETER_GAK", "D0D1D2D3D4D5D6D7D8D9DADBDCDDDEDF")
    out = run("--title", TITLE, CIPHERED)
    assert "glo-get-request > get-request-normal: Clock" in out


def test_a_wrong_key_is_said(run, monkeypatch):
    monkeypatch.setenv("PICOMETER_GUEK", "FF" * 16)
    assert "wrong key" in run("--title", TITLE, CIPHERED)
    (unit,) = units(run("--json", "--title", TITLE, CIPHERED))
    assert unit["layers"] == [
        ["APDU", "glo-get-request: not deciphered: the authentication tag does not match"]
    ]


@pytest.mark.parametrize(
    "args, why",
    [
        (["--guek", "xyz", "00"], "not hexadecimal"),
        (["--guek", "0102", "00"], "2 octets; expected 16 or 32"),
        (["--title", TITLE, "00"], "of use with a key only"),
        (["--sheet", "/nothing", "00"], "Cannot read /nothing"),
        (["--record", "/nothing", "00"], "Cannot read /nothing"),
        (["--definition", "/nothing", "00"], "/nothing"),
        (["/nothing/here"], "There is no file /nothing/here"),
        (["."], "Cannot read ."),
    ],
)
def test_what_cannot_be_is_a_sentence(args, why):
    with pytest.raises(Trouble) as trouble:
        decode.main(args)
    assert why in str(trouble.value)
    assert "xyz" not in str(trouble.value)


@pytest.mark.parametrize(
    "args, why",
    [
        ([""], "nothing is given; expected a file, - or hexadecimal"),
        (["--json", "--brief", "00"], "not allowed with"),
        (["--layer", "x", "00"], "--layer x: expected one of hdlc, wrapper"),
        (["--port", "0", "00"], "--port 0: expected 1 to 65535, or any"),
        (["--sheet", "-"], "stdin is the sheet already"),
    ],
)
def test_what_cannot_be_asked_for(args, why, capsys):
    with pytest.raises(SystemExit) as end:
        decode.main(args)
    assert end.value.code == 2 and why in capsys.readouterr().err


@pytest.mark.parametrize(
    "octets, why",
    [
        (b"", "is empty"),
        (b"Dear sirs,\nthe meter does not work.\n", "There are no octets in"),
        (b" \n\n", "There is no message in it"),
        (pcap([packets.udp(CLIENT, ("10.0.0.2", 4060), b"x")]), "others: 4060 (1 packet)."),
        (pcap([b"x", b"y"], 105), "link types that are not known here: 105 (2 packets)"),
        (pcap([])[:20], "expected pcapng or pcap"),
    ],
)
def test_files_that_have_nothing(run, octets, why):
    with pytest.raises(Trouble) as trouble:
        run(text=octets)
    assert why in str(trouble.value)


def test_a_line_that_is_wrong_among_others(run):
    out = units(run("--json", text=trace(TALK[0]) + "RX: 10:20:18 7E A0 0\n" + trace(TALK[2])))
    assert [bool(u.get("error")) for u in out] == [False, True, True, False]
    assert [u["octets"] for u in out[1:3]] == ["7ea0", ""]
    assert out[2]["error"]["text"].startswith("'0' in column 20; expected two")
    assert [u["line"] for u in out] == [1, 2, 2, 3]


def test_what_a_terminal_would_obey_is_not_said(run):
    """Colours, titles, directions of writing: in what is decoded, and in lines that are none."""
    text = "TX: 0c0b1b5b33316de280aee280ae\n\x1b]0;title\x07 no \u202e octets\n"
    out = run(text=text)
    assert '"<1B>[31m<202E><202E>"' in out
    assert all(c.isprintable() or c == "\n" for c in out + run.said)
    assert "<1B>]0;title<07> no <202E> octets" in run.said


def test_as_a_program_with_a_reader_that_goes():
    """| head: no traceback."""
    path = os.path.join(ROOT, "tools", "decode.py")
    p = subprocess.Popen(
        [sys.executable, path, "-"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )  # fmt: skip
    p.stdout.close()
    _, said = p.communicate((trace(*TALK) * 400).encode(), timeout=60)
    assert b"Traceback" not in said


def test_as_a_program_that_hears_what_is_just_said():
    """Each message comes out at once, for a reader that waits for it."""
    path = os.path.join(ROOT, "tools", "decode.py")
    p = subprocess.Popen(
        [sys.executable, path, "--json", "-"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        text=True, bufsize=1,
    )  # fmt: skip
    for line in trace(*TALK).splitlines(True):
        p.stdin.write(line)
        assert json.loads(p.stdout.readline())["name"] == "hdlc-frame"
    assert p.communicate(timeout=60) == ("", None) and p.returncode == 0


@pytest.mark.parametrize(
    "redirected, why",
    [
        (">/dev/full", "Reading or writing has failed (No space left on device).\n"),
        (">&-", "There is no stdout: it is closed.\n"),
        ("<&-", "stdin is empty; expected a trace, hexadecimal, or a capture.\n"),
    ],
)
def test_as_a_program_that_cannot_read_or_write(redirected, why):
    path = os.path.join(ROOT, "tools", "decode.py")
    line = '"$0" "$1" %s %s' % ("" if redirected == "<&-" else GET.hex(), redirected)
    r = subprocess.run(
        ["sh", "-c", line, sys.executable, path], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        text=True, timeout=60,
    )  # fmt: skip
    assert (r.returncode, r.stderr) == (1, why)


def test_memory_does_not_grow_with_the_input(run, tmp_path, capsys):
    """A long connection leaves nothing behind: what the run holds is its conversations."""
    t = packets.TCP(CLIENT, METER)
    found = t.open()
    for _ in range(300):
        found += t.data(True, wpdu(16, 1, GET)) + t.data(False, wpdu(1, 16, GOT))
    options = decode.parser().parse_args(["--brief", "x"])
    job = Run(options, decode.read_keys(options), None, [4059], sys.stdout)
    job.capture(io.BufferedReader(io.BytesIO(pcap(found))), "capture")
    (link,) = job.links.values()
    assert job.n_units == 600
    assert len(link.application._pairs) == 1 and not link._lines
    assert all(not buffer.octets for buffer in link._buffers.values())
    capsys.readouterr()


BEGINNINGS = [
    b"",
    b"TX: 7E A0 ",
    b"\x0a\x0d\x0d\x0a",
    pcap([])[:24],
    b"\xff\xfe",
    b"0000  7e a0",
    SNRM,
]


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.sampled_from(BEGINNINGS), st.one_of(st.binary(max_size=200), st.text(max_size=100)))
def test_any_file_is_explained_or_refused_with_a_sentence(run, beginning, rest):
    octets = beginning + (rest if isinstance(rest, bytes) else rest.encode("utf-8", "replace"))
    try:
        run("--json", text=octets)
    except Trouble as e:
        assert str(e).strip()
