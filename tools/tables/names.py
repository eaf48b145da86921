# SPDX-License-Identifier: MIT
"""Short names: a base_name for each object of a device that has an association with short names.

The definition may say base_name; the rest is assigned, in the order of rows, past what is taken.
An attribute or a method has base_name + its offset `sn` of the class file. Some objects have the
base_name that is reserved for them (IEC 62056-5-3, short names).
"""

from .notation import logical_name

STEP = 8  # a name takes eight
# class_id, logical_name -> base_name: the current association, the script table for broadcasts,
# SAP assignment, the logical device name. Each has room up to the next.
RESERVED = {
    (12, logical_name("0.0.40.0.0")): 0xFA00,
    (9, logical_name("0.0.10.0.125")): 0xFB00,
    (17, logical_name("0.0.41.0.0")): 0xFC00,
    (1, logical_name("0.0.42.0.0")): 0xFD00,
}
_FIRST = 0x0100
_FIRST_RESERVED = 0xFA00
METHOD = 0x80


def members(version):
    """What each name of an object is, in steps from its base_name: an attribute's index, a
    method's with METHOD, 0: nothing."""
    at = {a.sn: k for k, a in version.attributes.items() if a.sn is not None}
    at |= {m.sn: k | METHOD for k, m in version.methods.items() if m.sn is not None}
    return bytes(at.get(sn, 0) for sn in range(0, max(at) + STEP, STEP))


def assign(loader):
    """base_names for the devices that need them; loader: the definition.Loader."""
    definition = loader.definition
    for device in definition.devices:
        if any(a.short and a.device is device for a in definition.associations):
            assign_device(loader, device)


def assign_device(loader, device):
    taken = []  # (first, behind the last, object)
    for o in device.objects:
        reserved = RESERVED.get((o.version.class_id, o.name))
        if o.base_name and reserved not in (None, o.base_name):
            message = "base_name 0x%04X of %s; expected 0x%04X, which is reserved for it"
            raise loader.error(path(o), message % (o.base_name, o.text, reserved))
        if not o.base_name and reserved is None:
            continue
        check(loader, o, o.base_name or reserved, reserved, taken)
        o.base_name = o.base_name or reserved
    name = _FIRST
    for o in device.objects:
        if o.base_name:
            continue
        size = STEP * len(members(o.version))
        while True:
            over = next((t for t in taken if t[0] < name + size and name < t[1]), None)
            if over is None:
                break
            name = over[1]
        if name + size > _FIRST_RESERVED:
            message = "no short names are left for %s; expected fewer objects, or base_names"
            raise loader.error(o.path, message % o.text)
        o.base_name = name
        name += size


def check(loader, o, name, reserved, taken):
    """Take the names from `name` on for o, if they can be had."""
    last = name + STEP * len(members(o.version))
    if name % STEP or not STEP <= name or (reserved is None and last > _FIRST_RESERVED):
        message = "base_name 0x%04X of %s; expected a multiple of 8, with its names below 0x%04X"
        raise loader.error(path(o), message % (name, o.text, _FIRST_RESERVED))
    for first, behind, other in taken:
        if first < last and name < behind:
            message = "base_name 0x%04X of %s overlaps %s at 0x%04X; expected names of its own"
            raise loader.error(path(o), message % (name, o.text, other.text, first))
    taken.append((name, last, o))


def path(o):
    return o.origin.get("base_name", o.path)
