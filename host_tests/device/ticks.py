# SPDX-License-Identifier: MIT
"""How long captures and ticks take on a board, in the heap that it has; printed as JSON.

    ticks.main(state)    state: where the meter keeps its state, as STATE of its wiring

A client is not there: what can sleep does. Every tick begins with a fresh heap, for a collection
that falls into one is not its own.

capture_us       a row of load profile 1, which has eight columns
tick_us          100 ms pass, and no second begins
tick_idle_us     the longest of some seconds with nothing due, but for their metrology: when energy
                 was counted and values were measured, what the class modules and the program do
power_fail_us    the longest time that it takes to store everything when power fails
tick_second_us   the longest part of a second
tick_quarter_us  the same when a quarter of an hour ends: demand periods do, and profiles capture
"""

import gc
import json
import time

_LOAD_PROFILE = b"\x00\x07\x01\x00\x63\x01\x00\xff"


def took(do, argument):
    now = time.ticks_us
    gc.collect()
    t = now()
    do(argument)
    return time.ticks_diff(now(), t)


def seconds(board, n):
    """Seconds pass: for each, how long its parts have taken."""
    program = board.meter.program
    for _ in range(n):
        parts = [took(program.tick, 1000)]
        while program.work is not None:
            parts.append(took(program.tick, 0))
        board.rest()
        yield parts


def main(state):
    from firmware import board_main

    board = board_main.start(seed=1, state=state)
    model = board.meter.model
    program = board.meter.program
    clock = program.clock
    capture = model.handler("profile_generic").capture
    row = model.find_any(_LOAD_PROFILE, 0)
    figures = {"capture_us": min([took(capture, row) for _ in range(8)])}
    clock.set_utc(clock.minute // 15 * 15 + 14, 30)
    # The first ones find out that the clock was set, and that there are rows.
    for parts in seconds(board, 8):
        pass
    quiet = list(seconds(board, 8))
    figures["tick_idle_us"] = max([sum(parts[2:]) for parts in quiet])
    figures["tick_second_us"] = max([max(parts) for parts in quiet])
    figures["tick_us"] = min([took(program.tick, 100) for _ in range(8)])
    while clock.second:
        for parts in seconds(board, 1):
            figures["tick_quarter_us"] = max(parts)
    figures["power_fail_us"] = 0
    for _ in range(20):
        for parts in seconds(board, 7):
            pass
        us = took(stored, program)
        figures["power_fail_us"] = max(us, figures["power_fail_us"])
    print(json.dumps(figures))


def stored(program):
    if not program.power_fails():
        raise ValueError("It could not be stored.")
