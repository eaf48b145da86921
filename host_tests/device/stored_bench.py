# SPDX-License-Identifier: MIT
"""Measure how long a SET takes that is stored before it is acknowledged; prints a JSON object.

    micropython stored_bench.py DEFINITION_DIR SETS

The storage is a littlefs of 1 MiB in RAM, with the files of the meter as on a board; the SET is
authenticated and encrypted. Counted is from the request to its answer, with all that is done in
between: median and longest, of which some save invocation counters, too.
"""

import json
import sys

import vfs

if "." in __name__:
    from device.bench import CIPHERING, DEVICE, Bench, octets, since_us, ticks_us
else:
    from bench import CIPHERING, DEVICE, Bench, octets, since_us, ticks_us

BLOCK_LEN = 4096
BLOCKS = 256
SET = "C101C1 0001 0000600D00FF 02 00 0904"  # a message of four octets
SUCCESS = 0


class RAM:
    """A block device."""

    def __init__(self):
        self.cells = bytearray(BLOCK_LEN * BLOCKS)

    def readblocks(self, block, buf, offset=0):
        at = block * BLOCK_LEN + offset
        buf[:] = self.cells[at : at + len(buf)]

    def writeblocks(self, block, buf, offset=0):
        at = block * BLOCK_LEN + offset
        self.cells[at : at + len(buf)] = buf

    def ioctl(self, op, arg):
        return {4: BLOCKS, 5: BLOCK_LEN}.get(op, 0)


def main(argv):
    sys.path.insert(0, argv[0])
    import definition
    from firmware import ports
    from firmware.store import FileStorage

    device = RAM()
    vfs.VfsLfs2.mkfs(device)
    vfs.mount(device, "/ram")
    bench = Bench(definition, FileStorage("/ram/state"), ports.current())
    bench.open_ciphered()
    server = bench.server
    channel = bench.channel
    times = []
    for k in range(int(argv[1])):
        data = octets(SET) + k.to_bytes(4, "big")
        apdu = bytearray(bench.secure.protect(bytes(data)))
        storage = bench.meter.storage
        before = storage.sequence
        t = ticks_us()
        n = server.request(channel, CIPHERING, DEVICE, apdu, 0, len(apdu))
        while n < 0:
            server.work()
            n = server.request(channel, CIPHERING, DEVICE, apdu, 0, len(apdu))
        times.append(since_us(t))
        if channel.tx[channel.tx_pos] != 0xCD or storage.sequence == before:
            raise RuntimeError("a SET was refused, or not stored")
    times = sorted(times[1:])  # the first one loads the service
    result = {"set_stored_us": times[len(times) // 2], "set_stored_worst_us": times[-1]}
    print(json.dumps(result))


if __name__ == "__main__":
    main(sys.argv[1:])
