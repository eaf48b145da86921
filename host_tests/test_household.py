# SPDX-License-Identifier: MIT
"""The simulated household: physics that hold, four quadrants, seasons, always the same numbers.

Expected values: relations between the values themselves (S, P, Q; I, S, U; energy as the sum of
power), and orders of magnitude of a European household of 3 to 5 MWh a year. The digests hold the
numbers of one seed fixed, so that no runtime and no later change can alter them unnoticed.
"""

import ast
import os
import subprocess
import time
import types

import pytest
from conftest import ROOT

from firmware.meter import metrology
from firmware.meter.household import Household
from firmware.meter.numbers import mix, phase_angle, root, sine

ENERGIES = metrology.ENERGIES.split()
VALUES = metrology.VALUES.split()

# 2026-01-01 00:00 and 2026-06-21 00:00 UTC, minutes since 2000.
WINTER = 9497 * 1440
SUMMER = (9497 + 171) * 1440


def begin(house, minute):
    house.begin(minute, minute + 60)


def take(house, seconds=60):
    house.take(seconds)
    return dict(zip(ENERGIES, house.quanta))


def measure(house):
    house.measure()
    return dict(zip(VALUES, house.values))


def run(house, minute, n):
    """Energies of n minutes, summed up."""
    total = dict.fromkeys(ENERGIES, 0)
    for m in range(minute, minute + n):
        begin(house, m)
        for name, q in take(house).items():
            total[name] += q
    return total


def test_names_are_in_the_order_of_the_numbers():
    house = Household()
    assert len(ENERGIES) == len(house.quanta)
    assert len(VALUES) == len(house.values)


@pytest.mark.parametrize("car", [False, True])
def test_power_current_and_energy_agree(car):
    house = Household(5, car=car)
    for minute in range(SUMMER, SUMMER + 1440, 7):
        begin(house, minute)
        for second in range(0, 60, 13):
            v = measure(house)
            for k in "123":
                p, q, s = v["p_l" + k], v["q_l" + k], v["s_l" + k]
                assert s == root(p * p + q * q)
                assert abs(v["i_l" + k] * v["u_l" + k] // 10000 - s) <= 1
                assert abs(v["pf_l" + k] * s - p * 1000) <= 1000 + s
            p = v["p_l1"] + v["p_l2"] + v["p_l3"]
            q = v["q_l1"] + v["q_l2"] + v["q_l3"]
            assert v["p_plus"] - v["p_minus"] == p and v["p_plus"] * v["p_minus"] == 0
            assert v["q_plus"] - v["q_minus"] == q and v["q_plus"] * v["q_minus"] == 0
            assert abs(v["s_total"] - (p * p + q * q) ** 0.5) < 1.5
            energy = take(house, 1)
            assert energy["a_plus"] == v["p_plus"] and energy["a_minus"] == v["p_minus"]
            reactive = [energy["r_q%d" % n] for n in (1, 2, 3, 4)]
            quadrant = (1 if q >= 0 else 4) if p >= 0 else (2 if q >= 0 else 3)
            assert sum(reactive) == reactive[quadrant - 1] == abs(q)
            for n, k in enumerate("123"):
                assert energy["a_plus_l" + k] - energy["a_minus_l" + k] == v["p_l" + k], n
            if second + 13 < 60:
                take(house, 12)


def test_angles_follow_the_load():
    house = Household(5)
    begin(house, WINTER)
    v = measure(house)
    for k in range(3):
        name = "_l%d" % (k + 1)
        phi = (v["angle_i" + name] - 1200 * k) % 3600
        assert abs(sine(phi + 900) - v["pf" + name] * 10) < 100
        assert v["angle_u" + name] == 1200 * k


def test_a_minute_of_seconds_is_a_minute():
    a = Household(9)
    b = Household(9)
    for minute in range(SUMMER + 600, SUMMER + 700):
        begin(a, minute)
        begin(b, minute)
        whole = take(a)
        parts = dict.fromkeys(ENERGIES, 0)
        for seconds in (1, 7, 2, 25, 5, 20):
            for name, q in take(b, seconds).items():
                assert q >= 0
                parts[name] += q
        assert whole == parts


def test_any_minute_in_any_order():
    a = Household(11)
    b = Household(11)
    minutes = list(range(SUMMER, SUMMER + 3000, 37))
    forward = []
    for minute in minutes:
        begin(a, minute)
        forward.append(take(a))
    for minute, expected in reversed(list(zip(minutes, forward))):
        begin(b, minute)
        assert take(b) == expected


def test_all_quadrants_occur():
    house = Household(7)
    total = run(house, SUMMER, 3 * 1440)
    for k in (1, 2, 3, 4):
        assert total["r_q%d" % k] > 0, "quadrant %d" % k


def test_sun_by_season_and_none_at_night():
    house = Household(7)
    summer = run(house, SUMMER, 7 * 1440)
    winter = run(house, WINTER, 7 * 1440)
    assert summer["a_minus"] > 5 * winter["a_minus"]
    assert run(house, SUMMER + 23 * 60, 120)["a_minus"] == 0
    assert run(Household(7, solar_w=0), SUMMER, 7 * 1440)["a_minus"] == 0


@pytest.mark.parametrize("seed, car, low, high", [(3, False, 3000, 6500), (3, True, 4500, 10000)])
def test_a_year_is_a_household(seed, car, low, high):
    house = Household(seed, car=car)
    started = time.perf_counter()
    total = dict.fromkeys(ENERGIES, 0)
    for day in range(0, 365, 5):
        for name, q in run(house, WINTER + day * 1440, 1440).items():
            total[name] += 5 * q
    spent = 5 * (time.perf_counter() - started)
    kwh = {name: q // 3600000 for name, q in total.items()}
    print("a year of household: %.1f s, %s" % (spent, kwh))
    assert low < kwh["a_plus"] < high
    assert 2500 < kwh["a_minus"] < 6000


def test_voltages_stay_in_their_band_but_on_rare_days():
    house = Household(7)
    outside = 0
    for minute in range(WINTER, WINTER + 90 * 1440, 15):
        begin(house, minute)
        v = measure(house)
        assert 4990 <= v["freq"] <= 5010
        for k in "123":
            assert 1800 < v["u_l" + k] < 2700
            outside += not 2070 <= v["u_l" + k] <= 2530
    assert 0 < outside < 20


def test_evenings_are_higher_than_nights():
    house = Household(4, solar_w=0, car=True)
    night = evening = 0
    for day in range(30):
        night += run(house, WINTER + day * 1440 + 2 * 60, 120)["a_plus_l2"]
        evening += run(house, WINTER + day * 1440 + 18 * 60, 120)["a_plus_l2"]
    assert evening > 3 * night


def test_seeds_differ():
    assert run(Household(1), WINTER, 1440) != run(Household(2), WINTER, 1440)


# --- Numbers ----------------------------------------------------------------------------------


def test_root_is_the_integer_square_root():
    for n in list(range(3000)) + [2**30 - 1, 32767**2, 32767**2 - 1, 12345**2 + 1]:
        r = root(n)
        assert r * r <= n < (r + 1) * (r + 1)


def test_sine_and_phase_angle():
    import math

    for angle in range(-3600, 3600, 7):
        assert abs(sine(angle) - 10000 * math.sin(math.radians(angle / 10))) < 6
    for p, q in ((100, 0), (0, 100), (-100, 0), (0, -100), (300, 200), (-300, 200), (-7, -900)):
        expected = math.degrees(math.atan2(q, p)) * 10
        assert abs(phase_angle(p, q, root(p * p + q * q)) - expected) < 25, (p, q)


def test_mix_spreads():
    seen = {mix(1, n, 0) & 0xFF for n in range(4000)}
    assert len(seen) == 256
    assert all(0 <= mix(n, 2**30 - 1, n) < 2**30 for n in range(2000))


class Checked(ast.NodeTransformer):
    """Wraps every result of arithmetic: on a 32-bit board an int of 30 bits and more allocates."""

    def visit_BinOp(self, node):
        self.generic_visit(node)
        return ast.copy_location(ast.Call(ast.Name("_checked", ast.Load()), [node], []), node)

    def visit_AugAssign(self, node):
        self.generic_visit(node)
        target = ast.parse(ast.unparse(node.target), mode="eval").body
        value = ast.Call(
            ast.Name("_checked", ast.Load()), [ast.BinOp(target, node.op, node.value)], []
        )
        return ast.fix_missing_locations(ast.copy_location(ast.Assign([node.target], value), node))


def test_no_number_reaches_30_bits():
    def checked(value):
        if type(value) is int:
            assert -(2**30) <= value < 2**30, value
        return value

    modules = {}
    for name in ("numbers", "sky", "household"):
        path = os.path.join(ROOT, "firmware", "meter", name + ".py")
        with open(path, encoding="utf-8") as f:
            tree = ast.fix_missing_locations(Checked().visit(ast.parse(f.read())))
        module = types.ModuleType(name)
        module._checked = checked
        exec(compile(tree, path, "exec"), module.__dict__)
        modules[name] = module
        # The modules after it see the checked functions.
        for later in ("mix", "phase_angle", "root", "sine", "Sky"):
            if hasattr(module, later):
                modules[later] = getattr(module, later)
    for name in ("sky", "household"):
        for known in ("mix", "phase_angle", "root", "sine", "Sky"):
            if hasattr(modules[name], known) and name != known.lower():
                setattr(modules[name], known, modules[known])
    for car in (False, True):
        house = modules["household"].Household(2**30 - 1, 10000, car)
        for minute in range(WINTER, WINTER + 400 * 1440, 211):
            begin(house, minute)
            house.take(60)
            house.measure()


# --- The same on every runtime ----------------------------------------------------------------

SCRIPT = """
import sys
sys.path[:0] = [{lib!r}, {root!r}]
from binascii import crc32
from firmware.meter.household import Household
crc = 0
for seed in (1, 2, 99):
    house = Household(seed)
    for minute in range({first}, {first} + 4000, 3):
        house.begin(minute, minute + 60)
        house.take(23)
        house.measure()
        text = " ".join([str(n) for n in house.quanta] + [str(n) for n in house.values])
        crc = crc32(text.encode(), crc)
        house.take(37)
print(crc)
"""
# Changes with every change of what the household does: then say so in the commit.
DIGEST = 2443157788


def script(first=SUMMER):
    return SCRIPT.format(lib=os.path.join(ROOT, "lib"), root=ROOT, first=first)


def digest():
    import contextlib
    import io
    import sys

    out = io.StringIO()
    path = list(sys.path)
    with contextlib.redirect_stdout(out):
        exec(script(), {})
    sys.path[:] = path
    return int(out.getvalue())


def test_numbers_of_a_seed_stay():
    assert digest() == DIGEST


def test_micropython_has_the_same_numbers(micropython, tmp_path):
    path = tmp_path / "house.py"
    path.write_text(script())
    answer = subprocess.run(
        [micropython, str(path)], capture_output=True, text=True, timeout=120, check=False
    )
    assert answer.returncode == 0, answer.stdout + answer.stderr
    assert int(answer.stdout) == digest()
