# SPDX-License-Identifier: MIT
"""The vault: certificates and private keys in a ring, in every storage, over power cuts.

Small rows and small rings, so that they come round often. The model of it is a list of records.
"""

import os
import subprocess

import pytest
import tables
from conftest import ROOT
from device.nor import NOR
from device.nor import PowerCut as FlashCut
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_store import MemoryFiles
from test_store import PowerCut as FileCut
from test_store import definition as a_definition

from firmware.flash import FlashStorage
from firmware.store import FileStorage, RAMStorage
from firmware.vault import Vault

SERVER, CLIENT, AUTHORITY = 0, 1, 2
SIGN, AGREE = 0, 1
A = bytes.fromhex("504D540000000001")
B = bytes.fromhex("504D540000000002")
SETUP = 300  # a row with a high octet, too

ROWS = 8
RING = (0, 60, ROWS)


def definition():
    return a_definition(rings=(RING,))


def on_ram(_kept=None):
    return RAMStorage()


def on_files(files):
    return FileStorage("state", files)


def on_flash(nor):
    return FlashStorage(nor)


def vault_on(storage):
    storage.prepare(definition())
    storage.load(bytearray(64))
    return Vault(storage.ring(*RING))


def nor(cells=None):
    return NOR(14, 256, cells)


STORAGES = {
    "RAM": lambda: on_ram(),
    "files": lambda: on_files(MemoryFiles()),
    "flash": lambda: on_flash(nor()),
}


@pytest.fixture(params=sorted(STORAGES))
def vault(request):
    return vault_on(STORAGES[request.param]())


def found(vault):
    return (
        vault.entity,
        vault.kind,
        vault.title(),
        bytes(vault.record[vault.pos : vault.end]),
        vault.private(),
    )


def records(vault, setup=SETUP):
    """All records of a Security setup, in the order of nth()."""
    out = []
    while vault.nth(setup, len(out)):
        out.append(found(vault))
    return out


# --- What it does -----------------------------------------------------------------------------


def test_nothing_is_found_in_an_empty_vault(vault):
    assert not vault.nth(SETUP, 0)
    assert not vault.find(SETUP, SERVER, SIGN, A)
    assert not vault.remove()


def test_a_record_comes_back(vault):
    assert vault.put(SETUP, SERVER, SIGN, A, b"a certificate", b"a private key")
    assert found(vault) == (SERVER, SIGN, A, b"a certificate", b"a private key")
    assert vault.put(SETUP, AUTHORITY, SIGN, b"", b"a root")
    assert vault.find(SETUP, SERVER, SIGN, A)
    assert found(vault) == (SERVER, SIGN, A, b"a certificate", b"a private key")
    assert vault.find(SETUP, AUTHORITY, SIGN, None)
    assert found(vault) == (AUTHORITY, SIGN, bytes(8), b"a root", b"")
    assert len(records(vault)) == 2


def test_every_part_of_the_name_counts(vault):
    assert vault.put(SETUP, CLIENT, AGREE, A, b"this")
    assert vault.find(SETUP, CLIENT, AGREE, A)
    assert vault.find(SETUP, CLIENT, AGREE, None)
    assert not vault.find(SETUP, CLIENT, AGREE, B)
    assert not vault.find(SETUP, CLIENT, SIGN, A)
    assert not vault.find(SETUP, SERVER, AGREE, A)
    assert not vault.find(SETUP & 0xFF, CLIENT, AGREE, A)
    assert vault.private() == b"" and vault.pos == vault.end
    assert records(vault, 1) == []


def test_the_newest_is_found(vault):
    for text in (b"one", b"two", b"three"):
        assert vault.put(SETUP, SERVER, SIGN, A, text)
    assert vault.find(SETUP, SERVER, SIGN, A) and found(vault)[3] == b"three"
    assert vault.remove()
    assert vault.find(SETUP, SERVER, SIGN, A) and found(vault)[3] == b"two"


def test_the_newest_is_found_wherever_the_others_are_copied(vault):
    assert vault.put(SETUP, SERVER, SIGN, A, b"old") and vault.put(1, CLIENT, SIGN, B, b"")
    assert vault.put(SETUP, SERVER, SIGN, A, b"new")
    for n in range(4 * ROWS):
        assert vault.find(1, CLIENT, SIGN, B)
        assert vault.put(1, CLIENT, SIGN, B, b"%d" % n, b"", True)
        assert vault.find(SETUP, SERVER, SIGN, A) and found(vault)[3] == b"new"


def test_what_is_removed_is_gone(vault):
    assert vault.put(SETUP, SERVER, SIGN, A, b"one")
    assert vault.put(SETUP, CLIENT, SIGN, B, b"two")
    assert vault.nth(SETUP, 0) and vault.remove()
    assert [r[3] for r in records(vault)] == [b"two"]
    assert not vault.remove(), "nothing was found since"


def test_a_certificate_takes_the_place_of_the_key_pair_that_waited(vault):
    assert vault.put(SETUP, SERVER, SIGN, A, b"", b"private")
    assert vault.pos == vault.end
    assert vault.find(SETUP, SERVER, SIGN, A)
    assert vault.put(SETUP, SERVER, SIGN, A, b"certificate", vault.private(), True)
    assert records(vault) == [(SERVER, SIGN, A, b"certificate", b"private")]
    assert not vault.find(SETUP, SERVER, AGREE, A)
    assert not vault.put(SETUP, SERVER, SIGN, A, b"other", b"", True), "instead of what?"


def test_too_long(vault):
    assert vault.put(SETUP, SERVER, SIGN, A, bytes(37), bytes(4))
    assert not vault.put(SETUP, SERVER, SIGN, A, bytes(37), bytes(5))
    assert len(records(vault)) == 1


def test_full(vault):
    for n in range(ROWS - 2):
        assert vault.put(SETUP, CLIENT, SIGN, A, b"%d" % n)
    before = records(vault)
    assert not vault.put(SETUP, CLIENT, SIGN, A, b"one too many")
    assert records(vault) == before
    for k in range(20):
        assert vault.nth(SETUP, k % 6)
        assert vault.put(SETUP, CLIENT, SIGN, B, b"%d" % k, b"", True)
        assert len(records(vault)) == ROWS - 2
    for n in range(ROWS - 2):
        assert vault.nth(SETUP, 0) and vault.remove()
    assert records(vault) == []


def test_what_cannot_be_stored_changes_nothing():
    files = MemoryFiles()
    vault = vault_on(on_files(files))
    assert vault.put(SETUP, SERVER, SIGN, A, b"one", b"key")
    before = records(vault)
    files.full = True
    assert not vault.put(SETUP, SERVER, SIGN, B, b"two")
    assert vault.private() == b""
    assert vault.nth(SETUP, 0) and not vault.remove()
    files.full = False
    assert records(vault) == before
    assert records(vault_on(on_files(MemoryFiles(files.data)))) == before


# --- Against a model, in many orders ------------------------------------------------------------

NAMES = st.sampled_from(
    [(1, SERVER, SIGN, A), (1, SERVER, AGREE, A), (1, CLIENT, SIGN, B), (SETUP, AUTHORITY, 3, A)]
)
PRIVATE = st.sampled_from([b"", b"key", b"other key"])
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("put"), NAMES, PRIVATE),
        st.tuples(st.just("instead"), NAMES, PRIVATE),
        st.tuples(st.just("remove"), NAMES),
        st.tuples(st.just("restart")),
    ),
    max_size=40,
)


def do(vault, model, n, step):
    """One step in the vault, and in the model [(name, certificate, private)], oldest first."""
    if step[0] == "put":
        done = vault.put(*step[1], b"%d" % n, step[2])
        assert done == (len(model) < ROWS - 2)
        return model + [(step[1], b"%d" % n, step[2])] if done else model
    those = [r for r in model if r[0] == step[1]]
    assert vault.find(*step[1]) == bool(those)
    rest = [r for r in model if not those or r is not those[-1]]
    if step[0] == "remove":
        assert vault.remove() == bool(those)
        return rest
    done = vault.put(*step[1], b"%d" % n, step[2], True)
    assert done == bool(those)
    return rest + [(step[1], b"%d" % n, step[2])] if done else model


def content(vault):
    """As the model has it; the order is that of one name only."""
    return sorted(
        ((setup, *r[:3]), r[3], r[4]) for setup in (1, SETUP) for r in records(vault, setup)
    )


@pytest.mark.parametrize("kind", sorted(STORAGES))
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(steps=STEPS)
def test_as_the_model(kind, steps):
    kept = {"RAM": None, "files": MemoryFiles(), "flash": nor()}[kind]
    make = {"RAM": on_ram, "files": on_files, "flash": on_flash}[kind]
    vault = vault_on(make(kept))
    model = []
    for n, step in enumerate(steps):
        if step[0] == "restart":
            if kept is not None:
                storage = make(kept)
                vault = vault_on(storage)
                assert not storage.damaged, storage.message
        else:
            model = do(vault, model, n, step)
        assert content(vault) == sorted(model)


# --- Power cuts -------------------------------------------------------------------------------

NAME = (SETUP, SERVER, SIGN, A)
OTHER = (1, CLIENT, AGREE, B)
DAY = (
    [("put", NAME, b"key"), ("put", OTHER, b"")]
    + [("instead", NAME, b"key %d" % n) for n in range(9)]
    + [("put", (1, AUTHORITY, n, A), b"") for n in range(3)]
    + [("instead", OTHER, b""), ("remove", NAME), ("put", NAME, b"new")]
    + [("remove", (1, AUTHORITY, n, A)) for n in range(3)]
    + [("instead", OTHER, b""), ("remove", OTHER)]
)


def live(make, kept):
    """Go through the day; the states before and after the step that was interrupted, if one was,
    else the last one twice."""
    model = []
    try:
        vault = vault_on(make(kept))
        for n, step in enumerate(DAY):
            after = do_model(model, n, step)
            do(vault, model, n, step)
            model = after
    except (FileCut, FlashCut):
        return model, after if "after" in locals() else model
    return model, model


def do_model(model, n, step):
    those = [r for r in model if r[0] == step[1]]
    rest = [r for r in model if not those or r is not those[-1]]
    if step[0] == "remove":
        return rest
    return (model if step[0] == "put" else rest) + [(step[1], b"%d" % n, step[2])]


def check_cut(before, after, vault):
    """After the cut there is what was, or what was to be; and the vault goes on from there."""
    now = content(vault)
    assert now in (sorted(before), sorted(after))
    for n in range(2 * ROWS):
        assert vault.put(7, SERVER, SIGN, A, b"%d" % n)
        assert vault.remove()
    assert content(vault) == now


def test_power_cut_at_every_write_of_files():
    files = MemoryFiles()
    live(on_files, files)
    total = files.n_writes
    for cut_at in range(total):
        for part in (0, 1, 4, 7, 8):
            files = MemoryFiles()
            files.cut_at, files.part = cut_at, part
            before, after = live(on_files, files)
            assert files.off
            check_cut(before, after, vault_on(on_files(MemoryFiles(files.data))))
    print("power cuts tried: 5 at each of %d writes" % total)


def test_power_cut_at_every_operation_of_flash():
    device = nor()
    live(on_flash, device)
    total = device.n
    for cut_at in range(total):
        for part in (0, 3, 40, -1):
            device = nor()
            device.cut_at, device.part = cut_at, part
            before, after = live(on_flash, device)
            assert device.off
            check_cut(before, after, vault_on(on_flash(nor(device.cells))))
    print("power cuts tried: 4 at each of %d operations" % total)


def test_a_second_cut_while_it_makes_room():
    """Torn rows add up: power fails again and again in the step that was interrupted."""
    for seed in range(200):
        files = MemoryFiles()
        model = []
        n = 0
        cut_at = seed
        while n < len(DAY):
            after = model
            try:
                vault = vault_on(on_files(files))
                assert content(vault) == sorted(model)
                files.n_writes = 0
                files.cut_at, files.part = cut_at % 3, cut_at % 9
                cut_at = cut_at * 5 + 7 & 0xFFFF
                while n < len(DAY):
                    after = do_model(model, n, DAY[n])
                    do(vault, model, n, DAY[n])
                    model = after
                    n += 1
            except FileCut:
                files = MemoryFiles(files.data)
                if content(vault_on(on_files(files))) == sorted(after):
                    model = after
                    n += 1


# --- Flash that wears out -------------------------------------------------------------------


class Worn(NOR):
    """Programs some records wrong, and says nothing."""

    every = 0  # one in so many; 0: none
    programs = 0

    def writeblocks(self, block, buf, offset):
        self.programs += 1
        if self.every and self.programs % self.every == 0:
            buf = bytes(buf[:30]) + b"\0" * 4 + bytes(buf[34:])
        return NOR.writeblocks(self, block, buf, offset)


@pytest.mark.parametrize("every", [2, 3, 5])
def test_what_flash_programs_wrong_is_written_again(every):
    device = Worn(14, 256)
    vault = vault_on(on_flash(device))
    device.every = every
    model = []
    for n, step in enumerate(DAY):
        model = do(vault, model, n, step)
        assert content(vault) == sorted(model)
    again = vault_on(on_flash(nor(device.cells)))
    assert content(again) == sorted(model)


def test_flash_that_can_be_written_no_more():
    device = nor()
    vault = vault_on(on_flash(device))
    assert vault.put(SETUP, SERVER, SIGN, A, b"certificate", b"private")
    before = content(vault)
    device.fails = set(range(14))
    assert not vault.put(SETUP, CLIENT, SIGN, A, b"another")
    assert vault.find(SETUP, SERVER, SIGN, A) and not vault.remove()
    assert vault.find(SETUP, SERVER, SIGN, A)
    assert not vault.put(SETUP, SERVER, SIGN, A, b"other", b"other", True)
    assert content(vault) == before
    assert content(vault_on(on_flash(nor(device.cells)))) == before


# --- The ring of a definition -------------------------------------------------------------------


def test_a_definition_has_a_ring_only_for_suites_with_certificates():
    text = open(os.path.join(ROOT, "host_tests", "definitions", "small.toml")).read()
    assert pack(text).rings == []
    t = pack(text.replace("security_policy = 108", "security_policy = 108, security_suite = 1"))
    row = t.definition.find(t.definition.devices[1], 64, "0.0.43.0.2").row
    assert t.rings == [(row, 19 + 48 + 768, 24)]


def pack(text):
    from tables import definition as definitions
    from tables import source

    return tables.compile(definitions.load_definition(source.Document(text, "small.toml")))


# --- MicroPython ------------------------------------------------------------------------------

SCRIPT = """
import sys
sys.path[:0] = [{lib!r}, {root!r}]
import micropython
from firmware.store import FileStorage, RAMStorage
from firmware.vault import Vault
class definition:
    NAME = "Test meter"
    OBJECTS = bytes(16)
    ATTRIBUTES = SHAPES = TYPES = b""
    PERSISTENT = 40
    RINGS = ((0, 60, 8),)
title = b"\\0\\1\\2\\3\\4\\5\\6\\7"
for storage in (RAMStorage(), FileStorage({path!r})):
    storage.prepare(definition)
    storage.load(bytearray(60))
    vault = Vault(storage.ring(0, 60, 8))
    was = vault.nth(1, 0)
    for n in range(9):
        assert vault.put(1, n & 1, 0, title, b"%d" % n, b"key")
        if n & 1:
            assert vault.remove()
        elif n > 5:
            assert vault.find(1, 0, 0, None) and vault.remove()
    micropython.heap_lock()
    good = vault.find(1, 0, 0, title)
    none = vault.find(1, 1, 0, title)
    n = 0
    while vault.nth(1, n):
        n += 1
    micropython.heap_unlock()
    print(was, good, none, n)
    while vault.nth(1, 0):
        vault.remove()
    assert vault.put(1, 0, 0, title, b"kept")
    storage.close()
"""


def test_micropython_looks_without_allocating(micropython, tmp_path):
    path = tmp_path / "vault.py"
    state = str(tmp_path / "state")
    path.write_text(SCRIPT.format(lib=os.path.join(ROOT, "lib"), root=ROOT, path=state))
    for n in range(2):
        answer = subprocess.run(
            [micropython, str(path)], capture_output=True, text=True, timeout=60, check=False
        )
        assert answer.returncode == 0, answer.stdout + answer.stderr
        kept = n  # what the run before has left
        lines = ["False True False 3", "%s True False %d" % (bool(n), 3 + kept)]
        assert answer.stdout.splitlines() == lines
