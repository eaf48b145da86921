# SPDX-License-Identifier: MIT
"""The meter of definitions/short_names.toml, and clients that use short names."""

import itertools
import subprocess

import tables
from secure import THIRD_GUEK, Client, take_length
from small import HERE, Meter, Talk, aarq
from suites import SigningClient
from tables import show

SHORT_NAMES = HERE / "definitions/short_names.toml"
PROPOSED = "1CFF3F"  # everything that a client of short names may want
OPEN = "6129A109060760857405080102A203020100A305A103020100BE10040E0800065F1F0400%s012CFA00"


def joined(ask, got, most=0xFFFF):
    """An answer to Read in one piece, if got, what came first, is a block of it: ask() the next.
    most: octets of a block at most."""
    if not got.startswith("0C0102"):
        return got
    raw = ""
    for number in itertools.count(1):
        assert got.startswith("0C0102") and int(got[8:12], 16) == number, got
        assert len(got) <= 2 * most
        octets = bytes.fromhex(got[12:])
        n, at = take_length(octets, 0)
        assert at + n == len(octets)
        raw += octets[at:].hex().upper()
        if got[6:8] == "01":
            return "0C" + raw
        got = ask("050105%04X" % number)


class ShortMeter(Meter):
    def __init__(self, path=SHORT_NAMES, **options):
        super().__init__(path, handlers=None, **options)

    def short(self, client=2, server=1, channel=None, **options):
        """An open association with short names and low level security."""
        t = self.talk(client, server, channel)
        got = t.open_short(**options)
        assert got[26:36] == "A203020100", got
        return t

    def talk(self, client=2, server=1, channel=None):
        return ShortTalk(self, channel or self.server.channel(), client, server)


class ShortTalk(Talk):
    def open_short(self, secret=b"12345678", conformance=PROPOSED, max_pdu=0xFFFF, user=None):
        octets = aarq(secret, conformance, max_pdu, context=2)
        if user is not None:
            # calling-AE-invocation-id comes behind the application context
            user_id = bytes((0xA9, 3, 2, 1, user))
            octets = bytes((0x60, octets[1] + 5)) + octets[2:13] + user_id + octets[13:]
        return self.say(octets.hex())

    def read(self, name):
        """The Data of a variable, in blocks if it comes so; else its result."""
        got = joined(self.say, self.say("050102" + name))
        return got[6:] if got.startswith("0C0100") else got


class ShortClient(Client):
    """secure.Client with short names: pass 3 is a Read with a parameter."""

    PASS_3 = "050104FA5800"
    PASS_4 = "0C0100"

    def __init__(self, meter, client, mechanism=5, **how):
        how.setdefault("context", 4)
        super().__init__(meter.talk(client=client, server=17), mechanism, **how)

    def aarq(self, initiate="01 000000 065F1F0400 7CFF3F FFFF", protect=True):
        return super().aarq(initiate=initiate, protect=protect)


class ShortSigningClient(SigningClient):
    PASS_3 = "050104FA5800"
    PASS_4 = "0C0100"

    def __init__(self, meter, suite, **how):
        super().__init__(meter, suite, context=4, guek=THIRD_GUEK, **how)

    def aarq(self, initiate="01 000000 065F1F0400 7CFF3F FFFF", protect=True):
        return super().aarq(initiate=initiate, protect=protect)


class DeviceTalk:
    """The meter on MicroPython, its heap locked while it serves: device/requests.py."""

    def __init__(self, micropython, folder, client, server):
        self.client = client
        t = tables.compile(str(SHORT_NAMES))
        (folder / "definition.py").write_text(show.module(t))
        self.process = subprocess.Popen(
            [micropython, HERE / "device/requests.py", folder, str(client), str(server)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env={"MICROPYPATH": ":".join(str(HERE.parent / p) for p in ("lib", ".")) + ":.frozen"},
        )  # fmt: skip

    def say(self, request):
        self.process.stdin.write(request.replace(" ", "") + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        if not answer:
            raise AssertionError(self.process.stderr.read())
        return answer.strip().upper()

    def talk(self, client, server):
        """As of a Meter."""
        return self

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.wait(10)
        self.process.stdout.close()
        self.process.stderr.close()
