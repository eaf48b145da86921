#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""How fast tools/decode.py explains a trace, and how much memory a capture takes.

    python3 tools/decode_bench.py [--json] [--check]

The trace, 5 MB of HDLC, has what clients mostly do: an association, registers, an object list in
blocks and segments; another one, of registers only, has 56,000 short frames, and is told as JSON.
Time is that of the processor; a floor is one turn of a Python loop over each octet of the trace,
timed in the same run. Memory is the peak of the whole process for a capture, and
for one eight times as long. --check: exit code 1 when one is over its budget in
tools/bench_budget.toml.
"""

import argparse
import json
import os
import struct
import subprocess
import sys
import tempfile
import time
import tomllib

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import bootstrap
from bench import BUDGET
from bootstrap import Trouble, as_command, say
from capturing import packets

TRACE_LEN = 5_000_000
CAPTURE_LEN = 500_000
_DECODE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "decode.py")
_SEGMENT = 128
_BLOCK = 900
_ROUNDS = 3
_AARQ = bytes.fromhex(
    "6036A1090607608574050801018A0207808B0760857405080201AC0A80083132333435363738"
    "BE10040E01000000065F1F0400007E1F04B0"
)
_AARE = bytes.fromhex(
    "6129A109060760857405080101A203020100A305A103020100BE10040E0800065F1F0400007E1F04B00007"
)
_ROW = bytes.fromhex("02041200031100090601000108FFFF0202010202030F0116010002030F02160100010100")


def object_list(rows):
    """Data of an object_list with so many rows."""
    return b"\x01\x81" + bytes((rows,)) + _ROW * rows


def talk(with_list=True):
    """[(to the meter, APDU), ...]: what is said in an association."""
    said = [(True, _AARQ), (False, _AARE)]
    for k in range(20):
        name = bytes((1, 0, 1 + k, 8, 0, 255))
        said += [
            (True, b"\xc0\x01\xc1\x00\x03" + name + b"\x02\x00"),
            (False, b"\xc4\x01\xc1\x00\x06" + (1000 * k).to_bytes(4, "big")),
        ]
    if not with_list:
        return said
    data = object_list(200)
    said.append((True, bytes.fromhex("C001C1000F0000280000FF0200")))
    parts = [data[k : k + _BLOCK] for k in range(0, len(data), _BLOCK)]
    for k, part in enumerate(parts, 1):
        last = k == len(parts)
        head = b"\xc4\x02\xc1" + bytes((last,)) + k.to_bytes(4, "big")
        said.append((False, head + b"\x00\x82" + len(part).to_bytes(2, "big") + part))
        if not last:
            said.append((True, b"\xc0\x02\xc1" + k.to_bytes(4, "big")))
    return said


def frames(said):
    """The same in frames of HDLC: (to the meter, octets)."""
    from dlms.prim import crc16

    def frame(to_meter, control, info=b"", more=False):
        addresses = b"\x03\x21" if to_meter else b"\x21\x03"
        n = 7 + (2 + len(info) if info else 0)
        part = bytes((0xA8 if more else 0xA0, n)) + addresses + bytes((control,))
        for rest in (info, None) if info else (None,):
            crc = crc16(part, 0, len(part), 0xFFFF) ^ 0xFFFF
            part += bytes((crc & 0xFF, crc >> 8)) + (rest or b"")
        return to_meter, b"\x7e" + part + b"\x7e"

    yield frame(True, 0x93)
    yield frame(False, 0x73)
    n = {True: 0, False: 0}
    for to_meter, apdu in said:
        info = (b"\xe6\xe6\x00" if to_meter else b"\xe6\xe7\x00") + apdu
        while info:
            more = len(info) > _SEGMENT
            control = n[not to_meter] << 5 | 0x10 | n[to_meter] << 1
            yield frame(to_meter, control, info[:_SEGMENT], more)
            n[to_meter] = n[to_meter] + 1 & 7
            if more:
                yield frame(not to_meter, n[to_meter] << 5 | 0x11)
            info = info[_SEGMENT:]
    yield frame(True, 0x53)
    yield frame(False, 0x73)


def write_trace(path, length, with_list=True):
    session = "".join(
        "%s: 10:20:18 %s\n" % ("TX" if to_meter else "RX", octets.hex(" ").upper())
        for to_meter, octets in frames(talk(with_list))
    )
    with open(path, "w") as f:
        for _ in range(length // len(session) + 1):
            f.write(session)
        f.truncate(length)


def write_capture(path, length):
    """A pcap of one TCP connection."""
    t = packets.TCP(("10.0.0.1", 50000), ("10.0.0.2", 4059))
    said = talk()
    with open(path, "wb") as f:
        f.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 101))
        while f.tell() < length:
            for to_meter, apdu in said:
                ports = (16, 1) if to_meter else (1, 16)
                octets = struct.pack(">HHHH", 1, *ports, len(apdu)) + apdu
                for packet in t.data(to_meter, octets):
                    f.write(struct.pack("<IIII", 1700000000, 0, len(packet), len(packet)) + packet)


def decoded(path, *options):
    """(seconds of the processor, peak memory in MiB) of the command."""
    child = subprocess.Popen(
        [sys.executable, _DECODE, *options, path],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
    )
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise Trouble("tools/decode.py has failed.")
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def floor(octets):
    start = time.process_time()
    total = 0
    for octet in octets:
        total += octet
    return time.process_time() - start


def measure():
    with tempfile.TemporaryDirectory() as folder:
        path, short = (os.path.join(folder, name) for name in ("trace", "short"))
        write_trace(path, TRACE_LEN)
        write_trace(short, TRACE_LEN, with_list=False)
        floors, times, short_times = [], [], []
        for _ in range(_ROUNDS):
            floors.append(floor(bytes(TRACE_LEN // 3)))
            times.append(decoded(path)[0])
            short_times.append(decoded(short, "--json")[0])
        peaks = []
        for length in (CAPTURE_LEN, 8 * CAPTURE_LEN):
            path = os.path.join(folder, "capture")
            write_capture(path, length)
            peaks.append(decoded(path)[1])
    return {
        "s_of_5_mb": min(times),
        "floors": min(times) / min(floors),
        "s_of_short_as_json": min(short_times),
        "peak_mib": peaks[0],
        "peak_growth": peaks[1] / peaks[0],
    }


def main(args):
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    parser.add_argument("--check", action="store_true", help="fail when one is over its budget")
    options = parser.parse_args(args)
    bootstrap.inside("plugfest", "cryptography", "pcapng")
    import decoding.pieces  # noqa: F401  makes dlms findable

    with open(BUDGET, "rb") as f:
        budget = tomllib.load(f)["decode"]
    figures = measure()
    bad = [name for name, limit in budget.items() if figures[name] > limit]
    if options.json:
        print(json.dumps(figures, indent=1))
    else:
        print("Decoder, a trace of 5 MB, captures of 0.5 and 4 MB")
        for name, what in (
            ("s_of_5_mb", "s for 5 MB of trace, as trees"),
            ("floors", "  in floors"),
            ("s_of_short_as_json", "s for 5 MB of short frames, as JSON"),
            ("peak_mib", "MiB at most, whole process"),
            ("peak_growth", "  for eight times the capture, in times"),
        ):
            limit = "  (budget: %g)" % budget[name] if name in budget else ""
            print("%10.2f  %s%s" % (figures[name], what, limit))
    for name in bad:
        say("The decoder is over its budget: %s" % name)
    return 1 if bad and options.check else 0


if __name__ == "__main__":
    as_command(main)
