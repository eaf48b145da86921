# SPDX-License-Identifier: MIT
"""An update on the flash of the chip, whose power fails (chip.cut()); no meter, and no signature.

    life(octets, cut_at, part)

A start of the board: `runs N` says which version the launcher starts, which has to be whole; then
the update to the image in octets goes on, until it asks for another start (`restart`), or is done.
The image has version 2, a ROMFS with one file: what content() makes.
"""

import _boot  # noqa: F401  mounts the file system
import chip
import wiring
from firmware import container, launch, regions, update
from firmware.files import Files

_BLOCK_SIZE = 384
_INITIATED = 1
_VERIFIED = 3
_ACTIVATED = 6


def content():
    return b"version 2 " * 300


def _trusts(image, key):
    yield
    return True


def check(is_so):
    """For what is frozen here has no assert."""
    if not is_so:
        raise ValueError


class Meter:
    """What firmware/update.py wants of one."""

    associations = ()

    def __init__(self):
        self.model = self.program = self.server = self
        self.event = lambda code: print("event", code)

    def n_rows(self):
        return 0

    def save_now(self):
        return True


def life(octets, cut_at=-1, part=0):
    container.Image._is_signed = _trusts
    chip.cut(cut_at, part)
    number = launch.slot(wiring.UPDATE)
    slots = regions.of(wiring.SLOTS)
    if number:
        with open(slots.mount(number) + "/content", "rb") as f:
            check(f.read() == content())
    update.NUMBER = 2 if number else 1
    print("runs", update.NUMBER)
    meter = Meter()
    images = update.Images(meter, 0, Files(), wiring.UPDATE, slots, b"key")
    if not number:
        if images.status not in (_INITIATED, _VERIFIED):
            check(images.begin(b"new", len(octets), _BLOCK_SIZE))
        for k in range(images.n_blocks):
            if not images._has(k):
                check(images.put(k, octets[k * _BLOCK_SIZE : (k + 1) * _BLOCK_SIZE]))
        images.start(1)
    now_ms = 0
    while not images.wants_restart and images.status != _ACTIVATED:
        images.turn(meter, now_ms)
        now_ms += 100
        check(now_ms < 60000)
    print("restart" if images.wants_restart else "done")
