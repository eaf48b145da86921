# SPDX-License-Identifier: MIT
"""Storage in raw flash, over power cuts at every operation, damage of every octet, and wear.

The flash is a double (device/nor.py) with small blocks, so that everything wraps around often. It
raises when what is not erased is programmed.
"""

import os
import random
import subprocess
import types

import compile as compiling
import pytest
import wear
from conftest import ROOT
from device.nor import NOR, PowerCut
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from meter import DEFAULT_DEFINITION

from firmware.flash import FlashStorage
from firmware.seal import seal

OBJECTS = b"\x00\x07\x01\x00\x63\x01\x00\xff" + bytes(8)
PERSISTENT = 250  # two pages and a bit; with the extra four
RINGS = ((0, 8, 40), (1, 60, 5))
BLOCK_LEN = 512  # 25 and 7 rows, 4 slots
BLOCKS = 2 + 4 + 3 + 6
STATE = range(BLOCKS - 6, BLOCKS)


def definition(name="Test meter", persistent=PERSISTENT, rings=RINGS):
    d = types.ModuleType("definition")
    d.NAME = name
    d.OBJECTS = OBJECTS
    d.ATTRIBUTES = b"attributes"
    d.SHAPES = b"shapes"
    d.TYPES = b"types"
    d.PERSISTENT = persistent
    d.RINGS = rings
    return d


def row(n, row_len=8):
    return bytes((n * 3 + k) & 0xFF for k in range(row_len))


def rows(ring):
    """All rows of a ring; None stands for one that reads False."""
    out = []
    for k in range(ring.n):
        buf = bytearray(ring.row_len + 2)
        out.append(bytes(buf[1:-1]) if ring.read(k, buf, 1) else None)
        assert buf[0] == buf[-1] == 0, "written beyond the row"
    return out


def append(ring, *numbers):
    for n in numbers:
        assert ring.append(b"\xee" + row(n, ring.row_len) + b"\xee", 1)


def image_of(n):
    """An image in which what changes with n lies in one page, or in two, or in all."""
    image = bytearray(PERSISTENT + 10)
    image[5] = n
    if n % 3 == 0:
        image[130] = n
    if n % 7 == 0:
        image[249] = n
        image[60] = n
    return image


class Life:
    """A storage on a flash, its rings, and what it has loaded."""

    def __init__(self, nor, **kwargs):
        self.nor = nor
        unit = kwargs.pop("unit", 1)
        self.storage = FlashStorage(nor, kwargs.pop("first", 0), kwargs.pop("count", None), unit)
        self.definition = definition(**kwargs)
        self.storage.prepare(self.definition)
        self.image = bytearray(self.definition.PERSISTENT + 10)
        self.loaded = self.storage.load(self.image)
        self.rings = [self.storage.ring(*r) for r in self.definition.RINGS]

    def save(self, n):
        self.storage.extra[3] = n
        return self.storage.save(image_of(n))

    @property
    def saved(self):
        """Number of the save that was loaded; it must be that one and no mixture."""
        if not self.loaded:
            assert self.image == bytes(len(self.image))
            return 0
        n = self.storage.extra[3]
        assert self.image[:PERSISTENT] == image_of(n)[:PERSISTENT], "a mixture"
        assert self.image[PERSISTENT:] == bytes(len(self.image) - PERSISTENT)
        return n


def flash(**kwargs):
    return NOR(BLOCKS, BLOCK_LEN, **kwargs)


def again(nor):
    """The same cells after a restart."""
    return NOR(nor.blocks, nor.block_len, nor.cells, nor.unit)


# --- The check --------------------------------------------------------------------------------


def test_every_error_of_two_bits_is_found():
    sealed = bytearray(random.Random(1).randbytes(28))
    assert seal(sealed, 28, 1)
    for a in range(28 * 8):
        for b in range(a + 1):
            damaged = bytearray(sealed)
            damaged[a >> 3] ^= 1 << (a & 7)
            assert not seal(damaged, 28, 0)
            damaged[b >> 3] ^= 1 << (b & 7)
            assert seal(damaged, 28, 0) == (a == b)


def test_what_is_blank_has_no_check():
    for n in range(12, 700, 2):
        assert not seal(bytearray(n), n, 0)
        assert not seal(bytearray(b"\xff" * n), n, 0)


def test_micropython_makes_the_same_check(micropython):
    lengths = (8, 28, 76, 128, 258, 260, 262, 700)
    buf = bytes(k * k * 37 >> 3 & 0xFF for k in range(700))
    script = "import sys\nsys.path[:0] = [%r, %r]\n" % (os.path.join(ROOT, "lib"), ROOT)
    script += "from firmware.seal import seal\nimport binascii\n"
    script += "for n in %r:\n" % (lengths,)
    script += " b = bytearray(k * k * 37 >> 3 & 0xFF for k in range(n))\n"
    script += " seal(b, n, 1)\n print(binascii.hexlify(b[-4:]).decode(), seal(b, n, 0))\n"
    out = subprocess.run([micropython, "-c", script], capture_output=True, text=True, timeout=60)
    wanted = []
    for n in lengths:
        b = bytearray(buf[:n])
        seal(b, n, 1)
        wanted.append(b[-4:].hex() + " 1")
    assert out.stdout.split("\n")[:-1] == wanted, out.stderr


# --- Rings ------------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [0, 1, 5, 24, 25, 26, 40, 41, 50, 99, 100, 101, 400])
def test_rows_come_back(n):
    life = Life(flash())
    append(life.rings[0], *range(n))
    append(life.rings[1], *range(n))
    for _ in range(2):
        for ring in life.rings:
            last = [row(k, ring.row_len) for k in range(n)][-ring.capacity :]
            assert rows(ring) == last
            assert ring.first == max(0, n - ring.capacity)
        life = Life(again(life.nor))
    append(life.rings[0], 9)
    assert rows(life.rings[0])[-1] == row(9)


def test_nothing_outside():
    ring = Life(flash()).rings[0]
    append(ring, 1)
    buf = bytearray(8)
    assert not ring.read(1, buf, 0) and not ring.read(-1, buf, 0)
    assert buf == bytes(8)


@pytest.mark.parametrize("n", [0, 1, 23, 24, 25, 45, 98, 99, 100])
def test_cleared_rows_stay_cleared(n):
    life = Life(flash())
    append(life.rings[0], *range(n))
    append(life.rings[1], 1)
    last = life.rings[0].first + life.rings[0].n
    assert life.rings[0].clear()
    assert life.rings[0].n == 0 and life.rings[0].first >= last
    life = Life(again(life.nor))
    ring = life.rings[0]
    assert ring.n == 0 and ring.first >= last
    append(ring, 5, 6)
    assert rows(ring) == rows(Life(again(life.nor)).rings[0]) == [row(5), row(6)]
    assert rows(life.rings[1]) == [row(1, 60)]


# --- State ------------------------------------------------------------------------------------


def test_saves_come_back():
    life = Life(flash())
    assert not life.loaded and not life.storage.damaged
    for n in range(1, 120):
        assert life.save(n)
        if n % 4 == 1:
            life = Life(again(life.nor))
            assert life.saved == n and life.storage.message == ""
        else:
            assert Life(again(life.nor)).saved == n


def test_only_what_has_changed_is_written():
    nor = flash()
    life = Life(nor)
    image = bytearray(PERSISTENT + 10)
    life.storage.save(image)
    before = nor.programmed
    assert life.storage.save(image)
    assert nor.programmed == before
    image[0] = 1
    assert life.storage.save(image)
    assert nor.programmed == before + 2 * 128
    life.storage.extra[0] = 1
    image[249] = 1
    assert life.storage.save(image)
    assert nor.programmed == before + 5 * 128
    image[255] = 1  # beyond what is kept
    assert life.storage.save(image)
    assert nor.programmed == before + 5 * 128


def test_state_wears_evenly():
    nor = flash()
    life = Life(nor)
    for n in range(2000):
        assert life.save(n % 250 + 1)
    erases = [nor.erases[b] for b in STATE]
    assert max(erases) - min(erases) <= max(erases) // 4


# --- The directory ----------------------------------------------------------------------------


def test_a_blank_flash_says_nothing():
    assert Life(flash()).storage.message == ""


def test_another_definition_starts_anew_and_it_is_said():
    life = Life(flash())
    append(life.rings[0], 1)
    life.save(1)
    other = Life(again(life.nor), name="Other", persistent=PERSISTENT + 1)
    assert "another definition (Test meter, " in other.storage.message
    assert not other.loaded and not other.storage.damaged
    assert [ring.n for ring in other.rings] == [0, 0]
    other.storage.save(bytearray(300))
    assert Life(again(life.nor), name="Other", persistent=PERSISTENT + 1).storage.message == ""


def test_something_else_is_said():
    nor = flash()
    for k in range(len(nor.cells)):
        nor.cells[k] = k * 7 & 0xFF
    life = Life(nor)
    assert "held no state of a meter" in life.storage.message
    assert not life.loaded and not life.storage.damaged


def test_too_small_is_said():
    with pytest.raises(OSError, match="has 12 blocks of 512 octets; this definition needs 15"):
        Life(NOR(12, BLOCK_LEN))
    with pytest.raises(OSError, match="60 octets does not fit"):
        Life(NOR(300, 64))


def test_a_part_of_a_flash():
    nor = NOR(BLOCKS + 9, BLOCK_LEN)
    life = Life(nor, first=4, count=BLOCKS)
    append(life.rings[0], *range(300))
    for n in range(1, 60):
        assert life.save(n)
    assert not any(nor.erases[:4]) and not any(nor.erases[4 + BLOCKS :])
    life = Life(again(nor), first=4, count=BLOCKS)
    assert life.saved == 59 and rows(life.rings[0])[-1] == row(299)


@pytest.mark.parametrize("unit", [8, 16, 64, 256])
def test_units_of_programming(unit):
    nor = NOR(BLOCKS + 5, BLOCK_LEN, unit=unit)
    life = Life(nor, unit=unit)
    for n in range(1, 150):
        append(life.rings[0], n)
        append(life.rings[1], n)
        assert life.save(n)
    life = Life(again(nor), unit=unit)
    assert life.saved == 149
    assert rows(life.rings[0]) == [row(n) for n in range(110, 150)]
    assert rows(life.rings[1]) == [row(n, 60) for n in range(145, 150)]


# --- Power cuts -------------------------------------------------------------------------------

DAY = (
    [("append", 0, n) for n in range(4)]
    + [("save", 1), ("append", 1, 20), ("save", 2), ("save", 6), ("save", 21)]
    + [("append", 0, n) for n in range(4, 37)]
    + [("clear", 0), ("save", 3), ("append", 0, 30), ("append", 0, 31), ("append", 1, 21)]
    + [("append", 1, n) for n in range(22, 30)]
    + [("save", n) for n in range(4, 22)]
    + [("clear", 1), ("append", 1, 40), ("save", 41), ("save", 42), ("clear", 0)]
    + [("append", 0, n) for n in range(50, 57)]
    + [("append", 1, n) for n in range(50, 70)]
    + [("append", 0, n) for n in range(57, 150)]
    + [("save", n) for n in range(50, 66)]
    + [step for n in range(66, 75) for step in (("ahead", n, n % 3 + 1), ("save", n))]
    + [("ahead", 84, 1), ("append", 0, 150), ("ahead", 84, 2), ("append", 1, 70), ("save", 84)]
    + [("ahead", 85, 3), ("save", 86), ("ahead", 86, 3), ("save", 87)]
)


def do(step, life):
    if step[0] == "append":
        ring = life.rings[step[1]]
        return ring.append(row(step[2], ring.row_len), 0)
    if step[0] == "clear":
        return life.rings[step[1]].clear()
    if step[0] == "ahead":
        life.storage.ahead(image_of(step[1]), step[2])
        return True
    return life.save(step[1])


def models():
    """What must be there before and after every step: rows of the rings, number of the save."""
    out = [[], []]
    saved = 0
    yield [list(r) for r in out], saved
    for step in DAY:
        if step[0] == "append":
            _row, row_len, capacity = RINGS[step[1]]
            out[step[1]] = (out[step[1]] + [row(step[2], row_len)])[-capacity:]
        elif step[0] == "clear":
            out[step[1]] = []
        elif step[0] == "save":
            saved = step[1]
        yield [list(r) for r in out], saved


MODELS = list(models())


def live(nor):
    """Live the day; steps done, numbers of the rings' ends."""
    done = 0
    ends = [0, 0]
    try:
        life = Life(nor)
        for step in DAY:
            assert do(step, life)
            done += 1
            ends = [ring.first + ring.n for ring in life.rings]
    except PowerCut:
        pass
    return done, ends


def test_the_day_wraps_everything():
    nor = flash()
    assert live(nor)[0] == len(DAY)
    for first, n in ((2, 4), (6, 3), (9, 6)):
        assert min(nor.erases[first : first + n]) >= 1, "a block was not erased again"
    life = Life(again(nor))
    assert ([rows(r) for r in life.rings], life.saved) == MODELS[-1]


def check(cells, done, ends):
    """After a power cut everything is as before or after the step, and it goes on from there."""
    life = Life(NOR(BLOCKS, BLOCK_LEN, cells))
    # The very first save may be torn: that is said.
    assert not life.storage.damaged or not MODELS[done][1]
    before, after = MODELS[done], MODELS[min(done + 1, len(DAY))]
    assert life.saved in (before[1], after[1])
    found = [rows(ring) for ring in life.rings]
    for n in (0, 1):
        assert found[n] in (before[0][n], after[0][n]), (n, done)
        assert life.rings[n].first + life.rings[n].n >= ends[n]
    for n in (200, 201, 202):
        assert do(("append", 0, n), life) and do(("append", 1, n), life)
        assert do(("save", n), life)
    life = Life(NOR(BLOCKS, BLOCK_LEN, cells))
    assert life.saved == 202
    for n in (0, 1):
        new = [row(k, RINGS[n][1]) for k in (200, 201, 202)]
        assert rows(life.rings[n]) == (found[n] + new)[-RINGS[n][2] :]


def test_power_cut_at_every_operation(capsys):
    nor = flash()
    live(nor)
    total = nor.n
    tried = 0
    for cut_at in range(total):
        for part in (0, 1, 5, 60, 126, -1):
            nor = flash()
            nor.cut_at = cut_at
            nor.part = part
            done, ends = live(nor)
            assert nor.off
            check(nor.cells, done, ends)
            tried += 1
    with capsys.disabled():
        print("\nflash: %d power cuts tried, at %d operations" % (tried, total))


@pytest.mark.parametrize("seed", range(60))
def test_power_cuts_one_after_another(seed):
    """A life in which power fails again and again, in the repairs of the failure before too."""
    r = random.Random(seed)
    cells = flash().cells
    kept = [[], []]
    tried = [[], []]  # the row that was being written
    values = {0}
    n = 0
    for _life in range(60):
        nor = NOR(BLOCKS, BLOCK_LEN, cells)
        nor.cut_at = r.randrange(r.choice((9, 60, 200)))
        nor.part = r.randrange(-1, 130)
        try:
            life = Life(nor)
            saved = life.saved
            assert not life.storage.damaged or not saved
            assert saved in values
            for k in (0, 1):
                found = rows(life.rings[k])
                assert None not in found
                assert found in (kept[k], (kept[k] + tried[k])[-RINGS[k][2] :])
                kept[k] = found
                tried[k] = []
            while True:
                n += 1
                k = r.randrange(3)
                if k == 2:
                    values = {saved, n % 250 + 1}
                    saved = n % 250 + 1
                    for _ in range(r.randrange(3)):
                        life.storage.ahead(image_of(saved), r.randrange(1, 4))
                    assert life.save(saved)
                else:
                    tried[k] = [row(n, RINGS[k][1])]
                    assert life.rings[k].append(tried[k][0], 0)
                    kept[k] = (kept[k] + tried[k])[-RINGS[k][2] :]
                    tried[k] = []
        except PowerCut:
            pass


# --- Ahead of a save -------------------------------------------------------------------------


def slots_of(life, do):
    """Slots that are written meanwhile."""
    before = life.nor.programmed
    do()
    return (life.nor.programmed - before) // 128


def test_what_is_written_ahead_counts_with_the_save_alone():
    nor = flash()
    life = Life(nor)
    life.save(20)
    image = image_of(21)  # three pages
    assert slots_of(life, lambda: life.storage.ahead(image, 2)) == 2
    assert life.storage.ahead(image, 1) and not life.storage.ahead(image, 1)
    assert Life(NOR(BLOCKS, BLOCK_LEN, bytearray(nor.cells))).saved == 20
    assert slots_of(life, lambda: life.storage.ahead(image, 2)) == 0
    assert slots_of(life, lambda: life.save(21)) == 2  # the extra, and the commit
    assert Life(again(nor)).saved == 21


def test_a_page_that_changes_once_more_begins_another_chain():
    nor = flash()
    life = Life(nor)
    life.save(20)
    life.storage.ahead(image_of(21), 3)
    erased = sum(nor.erases)
    assert life.save(22)
    assert sum(nor.erases) > erased
    assert Life(again(nor)).saved == 22
    assert slots_of(life, lambda: life.save(23)) == 3


def test_power_fails_after_what_was_written_ahead():
    nor = flash()
    life = Life(nor)
    life.save(20)
    life.storage.ahead(image_of(21), 3)
    life = Life(again(nor))
    assert life.saved == 20 and not life.storage.damaged
    life.storage.ahead(image_of(21), 3)
    assert life.save(21)
    assert Life(again(nor)).saved == 21


# --- Damage -----------------------------------------------------------------------------------


def lived():
    nor = flash()
    life = Life(nor)
    append(life.rings[0], *range(75))
    append(life.rings[1], *range(12))
    for n in range(1, 12):
        life.storage.ahead(image_of(n), 1)
        life.save(n)
    return nor.cells


LIVED = lived()


@pytest.mark.parametrize("block", range(BLOCKS))
def test_damage_of_any_octet(block):
    """One row at most reads False or is not there; all others, and the values, are right."""
    for at in range(block * BLOCK_LEN, (block + 1) * BLOCK_LEN):
        for flip in (1, 0x80):
            cells = bytearray(LIVED)
            cells[at] ^= flip
            life = Life(NOR(BLOCKS, BLOCK_LEN, cells))
            # The commit of the last save is all that tells that there was one.
            assert life.saved in (10, 11)
            assert life.saved == 11 or cells[at - at % 128 + 4] == 0xFF or at % 128 == 4
            for ring, last in zip(life.rings, (75, 12)):
                row_len = ring.row_len
                wanted = [row(n, row_len) for n in range(last - ring.capacity, last)]
                found = rows(ring)
                if found != wanted:
                    assert sum(r is None for r in found) <= 1
                    lost = [r for r in wanted if r not in found]
                    assert len(lost) == 1
                    good = [r for r in found if r is not None]
                    # A last row that is lost gives its place to an older one.
                    assert [r for r in good if r in wanted] == [r for r in wanted if r in good]
                append(ring, 99)
                assert rows(ring)[-1] == row(99, row_len)
            assert life.save(77)
            assert Life(NOR(BLOCKS, BLOCK_LEN, cells)).saved == 77


def test_damage_while_running_reads_false():
    nor = flash()
    life = Life(nor)
    append(life.rings[0], *range(10))
    nor.cells[2 * BLOCK_LEN + 20 * 4 + 9] ^= 1
    assert not life.storage.damaged
    assert rows(life.rings[0]) == [row(n) if n != 4 else None for n in range(10)]
    assert life.storage.damaged
    assert not life.rings[0].read(10, bytearray(8), 0)


@pytest.mark.parametrize("fill", [b"\xff", b"\x00", b"\x5a", b"\xa5\x3c\xf0"])
@pytest.mark.parametrize("block", range(2, 9))
def test_a_spoiled_block_of_rows_is_said_and_the_others_are_kept(block, fill):
    """Seen at the start, but for the block of the newest rows: power that fails while the next one
    is erased leaves the same."""
    cells = bytearray(LIVED)
    at = block * BLOCK_LEN
    cells[at : at + BLOCK_LEN] = (fill * BLOCK_LEN)[:BLOCK_LEN]
    life = Life(NOR(BLOCKS, BLOCK_LEN, cells))
    said = life.storage.damaged, life.storage.message
    gone = newest = False
    for ring, last in zip(life.rings, (75, 12)):
        wanted = [row(n, ring.row_len) for n in range(last - ring.capacity, last)]
        found = rows(ring)
        good = [r for r in found if r is not None]
        assert [r for r in good if r in wanted] == [r for r in wanted if r in good]
        gone = gone or any(r not in good for r in wanted)
        newest = newest or wanted[-1] not in good
        append(ring, 99)
        assert rows(ring)[-1] == row(99, ring.row_len)
    if gone and not newest:
        assert said == (True, "Rows of a profile are damaged; the good ones are kept.")
    elif not gone and fill == b"\xff":
        assert said == (False, "")


def test_a_damaged_clear_is_one():
    nor = flash()
    life = Life(nor)
    append(life.rings[0], *range(10))
    life.rings[0].clear()
    for at in range(2 * BLOCK_LEN + 200, 2 * BLOCK_LEN + 200 + 40):
        cells = bytearray(nor.cells)
        cells[at] ^= 0x10
        assert Life(NOR(BLOCKS, BLOCK_LEN, cells)).rings[0].n == 0


def test_two_damaged_pages_of_a_save_are_said():
    """Then the values are those of a save before, and numbers of saves do not come again."""
    cells = bytearray(LIVED)
    slots = range(STATE[0] * BLOCK_LEN, len(cells), 128)
    newest = max(cells[at + 3] for at in slots if cells[at] == 0)
    for at in slots:
        if cells[at] == 0 and cells[at + 3] == newest and cells[at + 4] != 0xFF:
            cells[at + 50] ^= 1
    life = Life(NOR(BLOCKS, BLOCK_LEN, cells))
    assert life.saved == 10 and life.storage.damaged
    assert "damaged: the meter starts with those stored before" in life.storage.message
    assert life.save(12)
    life = Life(NOR(BLOCKS, BLOCK_LEN, cells))
    assert life.saved == 12 and not life.storage.damaged
    for block in STATE:
        for at in range(block * BLOCK_LEN, (block + 1) * BLOCK_LEN, 128):
            cells[at + 50] ^= 1
            cells[at + 51] ^= 1
    life = Life(NOR(BLOCKS, BLOCK_LEN, cells))
    assert not life.loaded and life.storage.damaged
    assert "damaged: the meter starts with those of its definition" in life.storage.message
    assert life.save(5)
    life = Life(NOR(BLOCKS, BLOCK_LEN, cells))
    assert life.saved == 5 and not life.storage.damaged


# --- Wear -------------------------------------------------------------------------------------


def test_a_flash_that_takes_nothing_any_more():
    nor = flash()
    life = Life(nor)
    append(life.rings[0], *range(100))
    assert life.save(3)
    for worn in ("ignores", "fails"):
        setattr(nor, worn, range(BLOCKS) if worn == "fails" else True)
        for _ in range(50):
            failed = life.storage.failed
            assert not life.rings[0].append(row(200), 0)
            assert life.storage.failed == failed + 1
            assert not life.save(4)
        assert not life.rings[0].clear()
        setattr(nor, worn, () if worn == "fails" else False)
        assert rows(life.rings[0]) == [row(n) for n in range(60, 100)]
        other = Life(again(NOR(BLOCKS, BLOCK_LEN, bytearray(nor.cells))))
        assert other.saved == 3 and rows(other.rings[0]) == [row(n) for n in range(60, 100)]
    append(life.rings[0], 100)
    assert life.save(6)
    life = Life(again(nor))
    assert life.saved == 6 and rows(life.rings[0]) == [row(n) for n in range(61, 101)]


@pytest.mark.parametrize("block", range(2, BLOCKS + 4))
def test_one_worn_block(block):
    """A block that takes nothing is left out."""
    nor = NOR(BLOCKS + 4, BLOCK_LEN)
    life = Life(nor)
    nor.fails = (block,)
    for n in range(1, 250):
        append(life.rings[0], n)
        append(life.rings[1], n)
        assert life.save(n)
        if n % 10 == 0:
            life = Life(again(nor))
            life.nor.fails = (block,)
            assert life.saved == n
            for ring in life.rings:
                found = [r for r in rows(ring) if r is not None]
                assert found == [row(k, ring.row_len) for k in range(1, n + 1)][-len(found) :]
                assert len(found) >= min(n, ring.capacity)
            nor = life.nor


def test_a_flash_lasts_ten_years():
    """The reference meter on 1 MiB that is rated for 100,000 erasures; tools/wear.py prints it."""
    figures = wear.measure(compiling.definition(DEFAULT_DEFINITION), days=4)
    assert figures["years"] >= 100, figures
    assert figures["amplification"] < 20 and not figures["failed"], figures


# --- Against a simple model -------------------------------------------------------------------

STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("append"), st.integers(0, 1), st.integers(1, 40)),
        st.tuples(st.just("clear"), st.integers(0, 1)),
        st.tuples(st.just("save"), st.integers(1, 250)),
        st.tuples(st.just("restart")),
    ),
    max_size=40,
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(STEPS)
def test_as_a_list(steps):
    life = Life(flash())
    model = [[], []]
    ends = [0, 0]
    saved = 0
    n = 0
    for step in steps:
        if step[0] == "append":
            for _ in range(step[2]):
                n += 1
                append(life.rings[step[1]], n)
                model[step[1]].append(row(n, RINGS[step[1]][1]))
            del model[step[1]][: -RINGS[step[1]][2]]
        elif step[0] == "clear":
            assert life.rings[step[1]].clear()
            model[step[1]] = []
        elif step[0] == "save":
            assert life.save(step[1])
            saved = step[1]
        else:
            life = Life(again(life.nor))
            assert life.saved == saved
        for k in (0, 1):
            assert rows(life.rings[k]) == model[k]
            end = life.rings[k].first + life.rings[k].n
            assert end >= ends[k]
            ends[k] = end


# --- MicroPython ------------------------------------------------------------------------------

SCRIPT = """
import sys
sys.path[:0] = [{lib!r}, {root!r}, {tests!r}]
import micropython
from device.nor import NOR
from firmware.flash import FlashStorage
class definition:
    NAME = "Test meter"
    OBJECTS = {objects!r}
    ATTRIBUTES = b"attributes"
    SHAPES = b"shapes"
    TYPES = b"types"
    PERSISTENT = 250
    RINGS = ((0, 8, 40), (1, 60, 5))
class Fast(NOR):
    # As NOR, and takes nothing from the heap.
    def readblocks(self, block, buf, offset=0):
        at = block * self.block_len + offset
        for k in range(len(buf)):
            buf[k] = self.cells[at + k]
    def writeblocks(self, block, buf, offset):
        at = block * self.block_len + offset
        for k in range(len(buf)):
            self.cells[at + k] &= buf[k]
    def ioctl(self, op, arg):
        if op != 6:
            return NOR.ioctl(self, op, arg)
        at = arg * self.block_len
        for k in range(self.block_len):
            self.cells[at + k] = 0xFF
def life(storage, image, rings, buf, n):
    good = 0
    while n:
        n -= 1
        buf[1] = n & 0xFF
        if not rings[0].append(buf, 1) or not rings[1].append(buf, 1):
            return -1
        image[n] = n & 0xFF
        if not storage.save(image):
            return -2
    k = 0
    while k < rings[0].n + 1:
        if rings[0].read(k, buf, 2):
            good += 1
        k += 1
    if not rings[1].clear():
        return -3
    return good
nor = Fast({blocks}, {block_len})
for _ in range(2):
    storage = FlashStorage(nor)
    storage.prepare(definition)
    image = bytearray(260)
    print(storage.load(image), image[0:4], storage.extra[5])
    rings = [storage.ring(*r) for r in definition.RINGS]
    from firmware import app
    app.forget()
    storage.extra[5] = 4
    buf = bytearray(80)
    n = [ring.n for ring in rings]
    good = 0
    micropython.heap_lock()
    good = life(storage, image, rings, buf, 200)
    micropython.heap_unlock()
    print(n, good, [ring.n for ring in rings], "firmware.flash_start" in sys.modules)
"""


def test_micropython_allocates_nothing(micropython, tmp_path):
    path = tmp_path / "flash.py"
    path.write_text(
        SCRIPT.format(
            lib=os.path.join(ROOT, "lib"),
            root=ROOT,
            tests=os.path.join(ROOT, "host_tests"),
            objects=OBJECTS,
            blocks=BLOCKS,
            block_len=BLOCK_LEN,
        )
    )
    out = subprocess.run([micropython, str(path)], capture_output=True, text=True, timeout=120)
    assert out.stdout.splitlines() == [
        "False bytearray(b'\\x00\\x00\\x00\\x00') 0",
        "[0, 0] 40 [40, 0] False",
        "True bytearray(b'\\x00\\x01\\x02\\x03') 4",
        "[40, 0] 40 [40, 0] False",
    ], out.stderr
