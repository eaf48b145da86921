# SPDX-License-Identifier: MIT
"""lib/dlms/general.py, identified.py, agreed.py, marks.py: general-ciphering and general-signing.

Vectors: vectors/general.jsonl (sources stand there). The client is secure_general.py.
"""

import json
from pathlib import Path
from types import SimpleNamespace

import pytest
import small
from crypto import ec
from dlms import certificates, general
from dlms.ciphering import Context, Key
from firmware.ports import ciphers
from firmware.ports import cpython as port
from secure import AE, A, E, gcm
from secure_general import General0, General12
from suites import SuitesMeter

HERE = Path(__file__).parent
VECTORS = {
    v["id"]: v for v in map(json.loads, (HERE / "vectors/general.jsonl").read_text().splitlines())
}


def unhex(octets):
    return bytes.fromhex(octets)


class Model:
    """What the jobs need of one: keys, and sixteen octets of state."""

    vault = None

    def __init__(self, title):
        self.system_title = title
        self.image = bytearray(16)
        self.saves = 0
        self.works = True
        self.aes = ciphers.aes
        self.new_hash = ciphers.new_hash
        self.random_fill = port.random_fill

    def elliptic(self, name):
        return ec.new(name, self.new_hash, ciphers.elliptic(name))

    def state(self, row, j):
        return 0

    def get_int(self, row, attribute):
        return self.suite

    def save(self):
        self.saves += 1
        return self.works


def side(v, monkeypatch):
    """(association, context) of the meter of a vector."""
    keys = {name: unhex(octets) for name, octets in v["keys"].items()}
    model = Model(unhex(v["server"]))
    model.suite = v["suite"]
    context = Context(0, v["suite"])
    context.gak = keys.get("ak", bytes(16))
    if "kek" in keys:
        context.kek = ciphers.aes(keys["kek"])
    context.unicast = Key(ciphers.aes(keys.get("ek", bytes(16))), v["suite"], context.gak)
    context.unicast.rx_end[:] = b"\xff" * 4
    a = SimpleNamespace(
        model=model, title=bytearray(unhex(v["client"])), certificate=b"", protection=0, form=0,
        layer=None, fields=None, fields_pos=0, context=context, dedicated=None,
    )  # fmt: skip
    a.server = SimpleNamespace(todo=0)
    monkeypatch.setattr(
        certificates, "own", lambda m, row, kind: keys.get(("server_signs", "server_agrees")[kind])
    )
    monkeypatch.setattr(
        certificates,
        "public_key",
        lambda m, row, entity, kind, title: (
            keys.get(("client_signs", "client_agrees")[kind])
            if entity == 1 and title == unhex(v["client"])
            else None
        ),
    )
    return a, context


def run(job):
    while True:
        try:
            next(job)
        except StopIteration as e:
            return e.value


# --- Published examples ---------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["sec-gc-static", "sec-gc-identified", "sec-gc-wrapped", "xdlms-general-signing"]
)
def test_examples(name, monkeypatch):
    v = VECTORS[name]
    a, context = side(v, monkeypatch)
    assert run(general.peel(a, context, unhex(v["hex"]))) == (0, unhex(v["plain"]))
    assert a.protection == (4 if "signing" in name else 3)
    a.protection = 0
    wrong, counter = run(general.peel(a, context, unhex(v["hex"])))
    assert wrong == (5 if "signing" in name else 6), "it was taken once"


def test_the_printed_one_pass_example(monkeypatch):
    """Its ciphertext is right, its tag is not: see `note`."""
    v = VECTORS["sec-gb-gc-onepass"]
    a, context = side(v, monkeypatch)
    assert run(general.peel(a, context, unhex(v["hex"]))) == (5, b"")
    assert a.protection == 0
    octets = bytearray(unhex(v["hex"]))
    iv = unhex(v["client"]) + bytes(4)
    aad = b"\x31" + unhex(v["keys"]["ak"]) + octets[1:30]
    text, tag = gcm(unhex(v["keys"]["ek"]), iv, aad, unhex(v["plain"]))
    assert octets[-12 - len(text) : -12] == text
    octets[-12:] = tag[:12]
    assert run(general.peel(a, context, bytes(octets))) == (0, unhex(v["plain"]))


# --- Conversations --------------------------------------------------------------------------

GET = "C00141 0001 0000603C01FF 02 00"
SET = "C10141 0001 0000603C01FF 02 00 "
VALUE = "C401410009020102"
FREE = 40  # of small.toml: suite 0, policy 0
STRICT = 41  # requests and answers authenticated and encrypted
WRONG = "!D80105"
REPLAYED = "!D80106"
REFUSED = "!D80101"


def client(suite=0, kind="identified", sap=FREE, meter=None, **how):
    """An open association; from now on its requests come as `kind`."""
    if suite:
        c = General12(meter or SuitesMeter(), suite, kind="glo", **how)
    else:
        c = General0((meter or small.Meter()).talk(client=sap, server=17), kind="glo", **how)
    c.open()
    c.kind = kind
    return c


ALL = [
    (suite, kind)
    for suite in (0, 1, 2)
    for kind in ("identified", "wrapped", "one-pass", "static")
    if suite or kind in ("identified", "wrapped")
]


@pytest.mark.parametrize("sc", [A, E, AE])
@pytest.mark.parametrize("suite, kind", ALL)
def test_get_and_set(suite, kind, sc):
    c = client(suite, kind)
    assert c.ask(GET, sc=sc) == VALUE
    assert (c.answer_sc, c.answer_kinds) == (sc, ["ciphered"])
    assert c.ask(SET + "0904CAFE0102", sc=sc) == "C5014100"
    assert c.ask(GET, sc=sc) == "C40141000904CAFE0102"


@pytest.mark.parametrize("kind", ["identified", "wrapped", "one-pass", "static", "general-glo"])
@pytest.mark.parametrize("suite", [1, 2])
def test_signed_then_ciphered(suite, kind):
    c = client(suite, kind)
    assert c.ask(GET, signs=True) == VALUE
    assert c.answer_kinds == ["DB" if kind == "general-glo" else "ciphered", "signed"]
    assert c.ask(GET) == VALUE
    assert "signed" not in c.answer_kinds


@pytest.mark.parametrize("suite", [1, 2])
def test_signed_only(suite):
    c = client(suite)
    for _ in range(3):
        assert c.ask(GET, sc=0, signs=True) == VALUE
        assert c.answer_kinds == ["signed"]
        assert c.answer_transaction == c.last_transaction
