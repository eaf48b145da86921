# SPDX-License-Identifier: MIT
"""What stored octets belong to. Only the start needs it."""

from binascii import crc32


def fingerprint(definition):
    """A number that changes with everything that decides what stored octets mean."""
    crc = crc32(definition.OBJECTS)
    crc = crc32(definition.ATTRIBUTES, crc)
    crc = crc32(definition.SHAPES, crc)
    crc = crc32(definition.TYPES, crc)
    for ring in definition.RINGS:
        crc = crc32(b"%d %d %d;" % (ring[0], ring[1], ring[2]), crc)
    return crc32(b"%d" % definition.PERSISTENT, crc) & 0xFFFFFFFF
