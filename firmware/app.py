# SPDX-License-Identifier: MIT
"""A meter put together: model, server, storage, program and clock, in the order that they need.

build() makes one; main.py gives it links and time. Two meters in one process are two calls. All of
it may allocate: what requests need is allocated here, once.

Only the start needs this module, and some others: forget() lets go of their code. Whatever is
needed later must not stand in one of them, or hold on to what does.
"""

import sys

from firmware.meter import running
from firmware.meter.running import Meter, random_of
from micropython import const

# Fields of a row of ASSOCIATIONS in the definition.
_MECHANISM = const(3)
_SECURITY = const(8)
_LLS = const(1)
_SECURITY_SETUP = const(64)  # its ring is the vault's
_IMAGE_TRANSFER = const(18)
_MEMORY_ERROR = const(14)  # event codes, see meter/events.py
_WATCHDOG = const(15)
_DOUBTFUL = const(0x02)  # clock status, see cosem/clock.py

# What only the start needs.
_START = (
    "firmware.app",
    "firmware.meter.sources",
    "firmware.meter.lines",
    "firmware.ports.cause",
    "firmware.meter.power_up",
    "firmware.meter.fittings",
    "firmware.flash_start",
    "firmware.fingerprint",
    "firmware.version",
    "firmware.provisioning",
    "firmware.vault",
    "firmware.ports.ciphers.micropython",
    "firmware.ports.ciphers",
)


class Tables:
    """What a generated module defines, without the module: what only the start needs can go."""

    def __init__(self, name):
        module = __import__(name)
        for key in dir(module):
            if not key.startswith("_"):
                setattr(self, key, getattr(module, key))
        del sys.modules[name]


def needs_ciphers(configs):
    """Does an association of the definition cipher, or have high level security?"""
    for config in configs:
        if config[_MECHANISM] > _LLS or config[_SECURITY] >= 0:
            return True
    return False


def needs_fittings(definition):
    """Does it want something of the board around the meter, see meter/fittings.py?"""
    if hasattr(definition, "METROLOGY") or hasattr(definition, "PULSES"):
        return True
    for source in definition.SOURCES:
        if source[0].startswith("contact."):
            return True
    return False


def build(
    definition,
    storage,
    port,
    seed=None,
    start_minute=None,
    start_second=0,
    speed=1,
    record=None,
    n_associations=0,
    display=None,
    update=None,
    script=None,
    slots=None,
):
    """A meter, ready for links.

    definition    the generated module, or its Tables
    storage       see store.py
    port          see ports/__init__.py
    seed          int: the simulated household, the same for the same seed
    start_minute  UTC minutes since 2000-01-01 00:00; None: the port's clock. One that has not run
                  on without power may be behind the last save: then the meter goes on from there
                  with a doubtful clock, for its time must not go back
    speed         times faster than real time; 0: the clock stands
    record        who the meter is, see provisioning.py; None: who the definition says
    n_associations  how many at a time; 0: as the definition says
    display       terminal or ssd1306: what shows the display list; None: nothing does
    update        folder for what an update of the firmware keeps, see update.py; None: no updates
    script        what happens to the simulated household, see meter/scripted.py
    slots         regions of flash for updates, see of() of regions.py; None: folders in `update`

    OSError: the storage cannot be used. ValueError: the definition does not fit this program.
    """
    from cosem.model import Model
    from dlms.server import Server
    from firmware.meter.power_up import saved_time
    from firmware.meter.program import Program
    from firmware.ports.cause import by_watchdog
    from firmware.version import show

    storage.prepare(definition)
    model = Model(definition)
    model.storage = storage
    model.random = random_of(port)
    model.random_fill = port.random_fill
    secures = needs_ciphers(model.configs)
    if secures:
        from firmware.ports import ciphers  # noqa: F401  to hear now what it lacks
    storage.load(model.image)
    kept = None
    for ring in definition.RINGS:
        if model.class_id(ring[0]) == _SECURITY_SETUP:
            from firmware.vault import Vault

            kept = storage.ring(ring[0], ring[1], ring[2])
            model.vault = Vault(kept)
    if record is not None:
        record.apply(model)
    elif model.vault is not None and model.vault.is_empty():
        # A demo meter has keys that everybody knows.
        for certificate in getattr(definition, "CERTIFICATES", ()):
            model.vault.put(*certificate)
    show(model)
    model.start()
    clock = model.handler("clock")
    if clock is not None:
        minute = start_minute
        second = start_second
        behind = False
        if minute is None:
            minute, second = port.utc()
            last = saved_time(storage.extra)
            behind = (minute, second) < last
            if behind:
                minute, second = last
        clock.set_utc(minute, second)
        if behind:
            clock.set_flags(_DOUBTFUL)
    metrology = fittings = None
    if display or needs_fittings(definition):
        from firmware.meter.fittings import Fittings

        fittings = Fittings(definition, storage.extra, port)
        metrology = fittings.chip
    if metrology is None:
        metrology = household(1 if seed is None else seed, script)
    if fittings is not None:
        metrology = fittings.counted(metrology)
    program = Program(model, metrology)
    # Fast time has no peers that would notice.
    program.in_parts = speed == 1
    model.save = program.save_now
    if record is not None and record.taken:
        model.save()
    server = Server(model, n_associations)
    server.keeps = storage.keeps
    rows = model.rows(_IMAGE_TRANSFER) if update else ()
    if rows:
        from firmware.update import Images

        maker = getattr(definition, "MAKER", b"") if record is None else record.maker()
        model.images = Images(model, rows[0], *slots_of(storage, update, slots), maker)
    # What is needed of it later the model has.
    model.definition = None
    meter = Meter(model, server, program, storage, port.ticks_ms(), speed)
    if secures:
        meter.lock_up(kept)
    meter.record = record
    if fittings is not None:
        fittings.attach(program)
        if display:
            fittings.show(model, display)
        meter.outputs = fittings.outputs
    if hasattr(definition, "OPTICAL"):
        meter.optical = definition.OPTICAL
    if hasattr(definition, "LON"):
        meter.lon = definition.LON
    if hasattr(definition, "GATEWAYS"):
        meter.gateways = definition.GATEWAYS
    if hasattr(definition, "MBUS"):
        meter.mbus = definition.MBUS
    if record is not None and not record.good:
        model.event(_MEMORY_ERROR)
    if by_watchdog():
        model.event(_WATCHDOG)
    return meter


def household(seed, script):
    if script:
        from firmware.meter.scripted import Scripted

        return Scripted(seed, script)
    from firmware.meter.household import Household

    return Household(seed)


def slots_of(storage, folder, regions):
    """Files, the folder and the slots of an update."""
    files = getattr(storage, "files", None)
    if files is None:  # of raw flash
        from firmware.files import Files

        files = Files()
    slots = None
    if regions:
        from firmware.regions import of

        slots = of(regions)
    if slots is None:
        from firmware.folders import Folders

        slots = Folders(files, folder)
    return files, folder, slots


def forget():
    """Let go of the code that only the start needs. On a board: all meters and links are made."""
    running.forget(_START)
