# SPDX-License-Identifier: MIT
"""A pcapng file. Needs python-pcapng."""

import os
import sys

from bootstrap import Trouble, say
from pcapng import FileWriter, blocks
from pcapng.structs import EPBFlags

_INBOUND, _OUTBOUND = 1, 2


class File:
    """A pcapng file that is written block by block. What cannot be written is said once."""

    def __init__(self, path):
        self.path = path
        try:
            fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            if os.path.isfile(path):
                os.fchmod(fd, 0o600)
        except OSError as e:
            raise Trouble("The capture %s cannot be written (%s)." % (path, e.strerror)) from None
        self._file = os.fdopen(fd, "wb", buffering=0)
        self._whole = 0  # octets of blocks that are there
        self._section = blocks.SectionHeader(
            options={"shb_userappl": "Picometer", "shb_os": sys.platform}
        )
        self._block = bytearray()
        self._writer = None
        try:
            self._writer = FileWriter(self, self._section)
            self._out()
        except OSError as e:
            self._give_up(e)

    def write(self, octets):
        """Of the writer: a part of a block."""
        self._block += octets
        return len(octets)

    def _out(self):
        block, self._block = bytes(self._block), bytearray()
        while block:
            n = self._write(block)
            block = block[n:]
            self._whole += n

    def _write(self, block):
        return self._file.write(block)

    @property
    def ended(self):
        return self._file is None

    def _give_up(self, e):
        say("The capture %s ends here: it cannot be written (%s)." % (self.path, e.strerror))
        self.close()

    def _add(self, kind, **fields):
        if self._file is None:
            return None
        block = self._section.new_member(kind, **fields)
        whole = self._whole
        try:
            self._writer.write_block(block)
            self._out()
        except OSError as e:
            try:
                os.ftruncate(self._file.fileno(), whole)  # no half of a block
            except OSError:
                pass
            self._give_up(e)
        return block

    def interface(self, name, link_type, description):
        """Number of a new interface."""
        options = {"if_name": name, "if_description": description}
        block = self._add(blocks.InterfaceDescription, link_type=link_type, options=options)
        return 0 if block is None else block.interface_id

    def packet(self, interface, seconds, octets, sent, comments=()):
        us = max(0, round(seconds * 1000000))
        options = {"epb_flags": EPBFlags(_OUTBOUND if sent else _INBOUND)}
        if comments:
            options["opt_comment"] = list(comments)
        self._add(
            blocks.EnhancedPacket,
            interface_id=interface,
            timestamp_high=us >> 32,
            timestamp_low=us & 0xFFFFFFFF,
            packet_data=octets,
            options=options,
        )

    def close(self):
        if self._file is not None:
            try:
                self._file.close()
            except OSError:
                pass
            self._file = None
