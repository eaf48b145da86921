# SPDX-License-Identifier: MIT
"""What the simulated household feeds into a register of a list: that into which it feeds the same
in the reference meter. The same are name, data type, scaler and unit.
"""

import functools
import os

import tables
from bootstrap import ROOT
from tables.notation import obis

SCALER_UNIT = {3: 3, 4: 3, 5: 4}  # attribute of each class of registers
_REFERENCE = os.path.join(ROOT, "firmware", "definitions", "residential.toml")
_FED = ("energy.", "demand.", "inst.")


@functools.lru_cache(maxsize=None)
def reference_sources():
    """{(class_id, name, data type, scaler, unit): source} of what the household feeds in the
    reference meter."""
    found = {}
    for o in tables.compile(_REFERENCE).definition.devices[0].objects:
        k = SCALER_UNIT.get(o.version.class_id)
        if k and (o.source or "").startswith(_FED):
            what = (o.version.class_id, obis(o.name), o.cells[2].type.text, *o.cells[k].value)
            found[what] = o.source
    return found


def of(found):
    """The source of a register that was read (reading.Found), or None."""
    k = SCALER_UNIT.get(found.version.class_id)
    value, unit = found.values.get(2), found.values.get(k)
    if not value or not unit:
        return None
    what = (found.version.class_id, found.name, value.get("type"), *unit)
    return reference_sources().get(what)
