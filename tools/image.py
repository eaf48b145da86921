#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Images of firmware for an update by Image transfer (class 18): made, signed, shown, sent.

    python3 tools/image.py keys maker.pem                    the maker's key pair, made once
    python3 tools/image.py make --version 2 --key maker.pem  build/images/picometer-2-....pmf
    python3 tools/image.py show IMAGE [--key maker.pem]      what it has; is it whole, and signed?
    python3 tools/image.py send IMAGE HOST:PORT              update the meter, and wait for it

A meter takes images of one maker. His public key, which `keys` prints, stands in the definition
([update] maker_key), or comes with the provisioning record of a meter (provision.py new
--maker-key); the private one stays in a file that only its owner can read. Without --key the demo
meter's is used, which everybody has.

An image has the files of one version for one runtime: .mpy for MicroPython on one kind of
processor, sources for CPython. --for says which: `micropython` (the one that meter.py runs),
`cpython`, or what the meter says of itself, such as "rp2 mpy6.3 armv6m". A fourth word, romfs, is
for boards whose slots are regions of flash (boards/README.md): "rp2 mpy6.3 armv6m romfs" or
"qemu mpy6.3 armv7em romfs". Such an image has one file, a ROMFS with the .mpy, which run from
flash. Its number has to be above that of the firmware that runs; with no --version it is that of
firmware/version.py. A definition goes into it with --definition only: else the meter keeps the one
it has. With another one, whose objects are others, the meter begins without the values of before.

firmware/container.py has the format; firmware/update.py says what the meter does with it.
"""

import sys

if sys.version_info < (3, 11):
    sys.exit("Python 3.11 or later is needed; this is %d.%d." % sys.version_info[:2])

import argparse
import contextlib
import hashlib
import os
import re
import socket
import subprocess
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import bootstrap
import bundle
import compile as compiling
import reader
import records
import remote
import romfs
import sheet as sheets
from bootstrap import BUILD, ROOT, Trouble, as_command, say
from decoding.names_apdu import ACTION_RESULT

IMAGES = os.path.join(BUILD, "images")
DEFINITION = os.path.join(ROOT, "firmware", "definitions", "residential.toml")
DEMO_KEY = os.path.join(ROOT, "firmware", "definitions", "residential", "maker-p256.pem")
DEMO = "DEMO ONLY. Everybody knows this key: it is in the sources of Picometer.\n\n"
ROMFS = "romfs"  # the fourth word of a runtime: slots are regions of flash
CLIENT = 7  # of the reference meter: firmware update

_MAGIC = b"PMFW\x01\x01"
_SIZE = 32  # octets of a number of P-256
_VERSION = "firmware/version.py"
_NUMBER = re.compile(r"^NUMBER = const\((\d+)\)$", re.M)
# Of the firmware, what no slot needs: a runtime of its own, and what is on the path already.
_NOT_FOR_CPYTHON = ("firmware/circuitpython/", "firmware/ports/circuitpython.py",
                    "firmware/ports/shim/", "firmware/ports/ciphers/circuitpython.py")  # fmt: skip


def main(args):
    options = parser().parse_args(args)
    return options.run(options)


def parser():
    p = argparse.ArgumentParser(
        prog="image.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = p.add_subparsers(required=True, metavar="COMMAND")

    c = commands.add_parser("keys", help="make the maker's key pair")
    c.set_defaults(run=keys)
    c.add_argument("key", metavar="FILE", help="PEM that is written; one that is there is shown")

    c = commands.add_parser("make", help="put an image together, and sign it")
    c.set_defaults(run=make)
    c.add_argument("--version", type=version, metavar="N", help="number (firmware/version.py)")
    c.add_argument("--for", dest="runtime", default="micropython", metavar="RUNTIME")
    c.add_argument("--key", metavar="FILE", default=DEMO_KEY, help="private key (the demo one)")
    c.add_argument("--definition", metavar="FILE", help="goes into the image, too")
    c.add_argument("-o", "--output", metavar="FILE", help="(build/images/...)")

    c = commands.add_parser("show", help="say what an image is")
    c.set_defaults(run=show)
    c.add_argument("image")
    c.add_argument("--key", metavar="FILE", default=DEMO_KEY, help="the maker's (the demo one)")

    c = commands.add_parser("send", help="update a meter by TCP with the wrapper")
    c.set_defaults(run=send)
    c.add_argument("image")
    c.add_argument("place", metavar="HOST:PORT")
    c.add_argument(
        "--resume", action="store_true", help="go on with the transfer that was cut off"
    )
    c.add_argument("--client", type=int, default=CLIENT, help="SAP (%d)" % CLIENT)
    c.add_argument("--record", help="of a meter that has been provisioned: whose keys to use")
    c.add_argument("--folder", default=records.FOLDER, help="of the records")
    c.add_argument("--definition", metavar="FILE", default=DEFINITION, help="of the meter")
    return p


def version(text):
    if not re.fullmatch("[1-9][0-9]{0,8}", text):
        raise argparse.ArgumentTypeError("%r is no number of a version (1..999999999)" % text)
    return int(text)


# --- Keys -----------------------------------------------------------------------------------


def cryptography():
    """The modules (ec, serialization, hashes, utils) of that package."""
    if not bootstrap.have("cryptography"):
        remote.in_venv()
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec, utils

    return ec, serialization, hashes, utils


def keys(options):
    ec, serialization, _hashes, _utils = cryptography()
    if os.path.exists(options.key):
        say("%s is there already, and stays." % options.key)
    else:
        pem = ec.generate_private_key(ec.SECP256R1()).private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        try:
            records.write_private(options.key, pem)
        except OSError as e:
            raise Trouble("Cannot write %s (%s)." % (options.key, e.strerror)) from None
        say("Made %s. Who has it can update your meters: keep it, and keep it from others."
            % options.key)  # fmt: skip
    print('maker_key = "0x%s"' % public(load_key(options.key)).hex().upper())
    return 0


def load_key(path):
    """The private key in a PEM."""
    ec, serialization, _hashes, _utils = cryptography()
    try:
        with open(path, "rb") as f:
            text = f.read()
        if path != DEMO_KEY and records.shared(path):
            say("Other users of this computer can read %s. chmod 600 keeps them out." % path)
        key = serialization.load_pem_private_key(text, None)
        if not isinstance(key.curve, ec.SECP256R1):
            raise ValueError
    except OSError as e:
        raise Trouble("Cannot read the key %s (%s)." % (path, e.strerror)) from None
    except (ValueError, TypeError, AttributeError):
        raise Trouble(
            "%s is no private key of P-256 without a password: `keys` makes one." % path
        ) from None
    return key


def public(key):
    """x and y."""
    numbers = key.public_key().public_numbers()
    return numbers.x.to_bytes(_SIZE, "big") + numbers.y.to_bytes(_SIZE, "big")


# --- Images ---------------------------------------------------------------------------------


def container(number, runtime, payload, key):
    """Octets of an image. payload: its files, as payload_of() makes them."""
    ec, _serialization, hashes, utils = cryptography()
    name = runtime.encode()
    head = _MAGIC + (17 + len(name) + 3 * _SIZE).to_bytes(2, "big")
    head += number.to_bytes(4, "big") + len(payload).to_bytes(4, "big")
    head += bytes((len(name),)) + name + hashlib.sha256(payload).digest()
    r, s = utils.decode_dss_signature(key.sign(head, ec.ECDSA(hashes.SHA256())))
    return head + r.to_bytes(_SIZE, "big") + s.to_bytes(_SIZE, "big") + payload


def payload_of(files):
    """files: {path in a slot: octets}"""
    return b"".join(
        bytes((len(name),)) + name.encode() + len(data).to_bytes(4, "big") + data
        for name, data in sorted(files.items())
    )


def stated():
    """The number in firmware/version.py."""
    with open(os.path.join(ROOT, _VERSION)) as f:
        return int(_NUMBER.search(f.read()).group(1))


def sources(number):
    """{path: text} of lib/ and firmware/, with this number."""
    found = {}
    for source, name in compiling.all_sources():
        with open(os.path.join(ROOT, source), encoding="utf-8") as f:
            found[name] = f.read()
    found[_VERSION] = _NUMBER.sub("NUMBER = const(%d)" % number, found[_VERSION])
    return found


def micropython_files(number, arch, definition):
    """{path: octets} of .mpy for an architecture."""
    compiler = bootstrap.mpy_cross()
    if not compiler:
        bootstrap.provide("run")
        compiler = bootstrap.mpy_cross()
    with bootstrap.step("Compiling for %s" % (arch or "any processor")):
        folder = compiling.device_code(compiler, arch)
    files = {}
    for _source, name in compiling.device_sources():
        name = name[:-3] + ".mpy"
        with open(os.path.join(folder, name), "rb") as f:
            files[name] = f.read()
    with tempfile.TemporaryDirectory(prefix="picometer-") as scratch:
        path = os.path.join(scratch, "version.py")
        with open(path, "w", encoding="utf-8") as f:
            f.write(sources(number)[_VERSION])
        compiling.cross(compiler, arch, path, _VERSION, path + ".mpy")
        with open(path + ".mpy", "rb") as f:
            files[_VERSION[:-3] + ".mpy"] = f.read()
    if definition:
        made = compiling.definition_mpy(compiler, compiling.definition(definition))
        with open(os.path.join(made, "definition.mpy"), "rb") as f:
            files["definition.mpy"] = f.read()
    return files


def cpython_files(number, definition):
    files = {
        name: bundle.stripped(text).encode()
        for name, text in sources(number).items()
        if not name.startswith(_NOT_FOR_CPYTHON)
    }
    if definition:
        with open(os.path.join(compiling.definition(definition), "definition.py"), "rb") as f:
            files["definition.py"] = f.read()
    return files


def runtime_of(text):
    """(as the meter says it, architecture) of --for."""
    if text == "cpython":
        return text, None
    if text == "micropython":
        program, arch = bootstrap.micropython() or bootstrap.provide("run")
        r = subprocess.run(
            [program, "-c", "import sys; m = sys.implementation._mpy;"
             " print(sys.platform, 'mpy%d.%d' % (m & 255, m >> 8 & 3))"],
            capture_output=True, text=True,
        )  # fmt: skip
        return "%s %s" % (r.stdout.strip(), arch or "any"), arch
    words = text.split(" ")
    if len(words) - (words[-1] == ROMFS) != 3 or not re.fullmatch(r"mpy\d+\.\d+", words[1]):
        raise Trouble(
            "--for %s: expected micropython, cpython, or the three words that a meter says, as in"
            ' "rp2 mpy6.3 armv6m", and perhaps romfs.' % text
        )
    arch = None if words[2] == "any" else words[2]
    if arch not in bootstrap.ARCHITECTURES:
        names = ", ".join(name for name in bootstrap.ARCHITECTURES if name)
        raise Trouble("--for: %s is no processor that is known: %s." % (arch, names))
    return text, arch


def make(options):
    key = load_key(options.key)
    if options.key == DEMO_KEY:
        say("Signed with the demo key, which everybody has: for demo meters only.")
    number = options.version or stated()
    runtime, arch = runtime_of(options.runtime)
    if runtime == "cpython":
        files = cpython_files(number, options.definition)
    else:
        files = micropython_files(number, arch, options.definition)
    if runtime.endswith(" " + ROMFS):
        del files["firmware/main.mpy"]  # a PC's
        files = {"firmware.romfs": romfs.image(files)}
    octets = container(number, runtime, payload_of(files), key)
    name = "picometer-%d-%s.pmf" % (number, runtime.replace(" ", "-"))
    path = options.output or os.path.join(IMAGES, name)
    try:
        os.makedirs(os.path.dirname(os.path.abspath(path)), exist_ok=True)
        with open(path + ".new", "wb") as f:
            f.write(octets)
        os.replace(path + ".new", path)
    except OSError as e:
        raise Trouble("Cannot write %s (%s)." % (path, e.strerror)) from None
    say("Version %d for %s: %d files, %d octets." % (number, runtime, len(files), len(octets)))
    print(path)
    return 0


def read(path):
    try:
        with open(path, "rb") as f:
            return f.read()
    except OSError as e:
        raise Trouble("Cannot read %s (%s)." % (path, e.strerror)) from None


_WRONG = {
    100: "it is truncated",
    101: "it is damaged, or no image of firmware",
    102: "it is not signed with this key",
}


def checked(path, key):
    """The firmware's own reading of an image in a file, which is whole and signed; Trouble."""
    for folder in ("firmware/ports/shim", "lib", "."):
        sys.path.append(os.path.join(ROOT, folder))
    from firmware.container import Image

    octets = read(path)
    with open(path, "rb") as f:
        image = Image(f, len(octets))
        work = image.verify(0, b"" if image.code else image.runtime, public(load_key(key)))
        while True:
            try:
                next(work)
            except StopIteration as e:
                if e.value:
                    raise Trouble("%s: %s." % (path, _WRONG[e.value])) from None
                break
        image.files = []
        at = image.at
        while at < len(octets):
            name, at, n = image.file(at)
            image.files.append((name.decode(), n))
            at += n
    return image


def show(options):
    cryptography()
    image = checked(options.image, options.key)
    print("version    %d" % image.version)
    print("runtime    %s" % image.runtime.decode())
    print("files      %d, %d octets" % (len(image.files), sum(n for _, n in image.files)))
    print("SHA-256    %s" % image.hash.hex())
    print("signature  good, by the key %s" % options.key)
    return 0


# --- A meter --------------------------------------------------------------------------------

_TRANSFER = bytes.fromhex("0012 00002C0000FF")
_VERSION_OBJECT = bytes.fromhex("0001 0000000201FF 02")
_BLOCK_SIZE, _FIRST, _STATUS = 2, 4, 6
_INITIATE, _BLOCK, _VERIFY, _ACTIVATE = 1, 2, 3, 4
_STATES = (
    "not initiated", "initiated", "verification initiated", "verification successful",
    "verification failed", "activation initiated", "activation successful", "activation failed",
)  # fmt: skip
_TEMPORARY_FAILURE = 2
_PATIENCE_S = 180
_ANSWER_S = 10


class Meter:
    """An association of the client for firmware updates."""

    def __init__(self, sheet, place, client):
        host, _, number = place.rpartition(":")
        if not number.isdigit() or not host:
            raise Trouble("%s is no place: HOST:PORT of the wrapper." % place)
        (a,) = [a for a in sheet["associations"] if a["client_sap"] == client] or [None]
        if a is None or not reader.can(a) or a["mechanism_id"] < 5:
            raise Trouble("Client %d has no keys of suite 0 that would open the meter." % client)
        self.socket = socket.create_connection((host.strip("[]"), int(number)), _ANSWER_S)
        link = reader.Wrapper(self.socket)
        server = sheet["logical_devices"][0]["server_sap"]
        counter = reader.counter_of(link, server, a.get("invocation_counter"))
        link.open(client, server)
        self.asks = reader.HLS(link, a, bytes.fromhex(sheet["system_title"]), counter)
        if not self.asks.open():
            self.close()
            raise Trouble("The meter refuses client %d." % client)

    def close(self):
        with contextlib.suppress(OSError):
            self.socket.close()

    def get(self, descriptor):
        """A-XDR of an attribute."""
        answer = self.asks.ask(b"\xc0\x01\xc1" + descriptor + b"\x00")
        if answer[:4] != b"\xc4\x01\xc1\x00":
            raise Trouble("The meter does not say %s (answer %s)."
                          % (descriptor.hex(), answer[:8].hex()))  # fmt: skip
        return answer[4:]

    def number(self, attribute):
        return int.from_bytes(self.get(_TRANSFER + bytes((attribute,)))[1:], "big")

    def version(self):
        return self.get(_VERSION_OBJECT)[2:].decode("ascii", "replace")

    def act(self, method, data=b"\x0f\x00", *fine):
        head = b"\xc3\x01\xc1" + _TRANSFER + bytes((method, 1))
        answer = self.asks.ask(head + data)
        if answer[:3] != b"\xc7\x01\xc1":
            raise Trouble("The meter does not answer to method %d (%s)."
                          % (method, answer[:8].hex()))  # fmt: skip
        if answer[3] and answer[3] not in fine:
            name = ACTION_RESULT.get(answer[3], str(answer[3]))
            raise Trouble("The meter answers %s to method %d of Image transfer; its status: %s."
                          % (name, method, _STATES[self.number(_STATUS)]))  # fmt: skip


def u32(n):
    return b"\x06" + n.to_bytes(4, "big")


def wait(meter, while_):
    """The status when it is none of these any more."""
    limit = time.monotonic() + _PATIENCE_S
    while time.monotonic() < limit:
        status = meter.number(_STATUS)
        if status not in while_:
            return status
        time.sleep(0.2)
    raise Trouble("The meter is not done within %d s." % _PATIENCE_S)


def send(options):
    cryptography()
    octets = read(options.image)
    module = sheets.load(compiling.definition(options.definition))
    if options.record:
        record = records.load(records.find(options.record, options.folder))
        sheet = records.sheet(record, module, [], ("all",))
    else:
        sheet = sheets.sheet(module, [])
    try:
        meter = Meter(sheet, options.place, options.client)
        say("The meter runs version %s." % meter.version())
        transfer(meter, octets, options)
        meter.act(_VERIFY, b"\x0f\x00", _TEMPORARY_FAILURE)
        status = wait(meter, (2,))
        if status != 3:
            raise Trouble("The meter refuses the image: %s. Its event log says why."
                          % _STATES[status])  # fmt: skip
        say("Verified. Activating ...")
        meter.act(_ACTIVATE, b"\x0f\x00", _TEMPORARY_FAILURE)
        status = restarted(meter, sheet, options)
    except (OSError, ValueError) as e:
        raise Trouble("There is no talking to a meter at %s (%s)." % (options.place, e)) from None
    return status


def transfer(meter, octets, options):
    block_size = meter.number(_BLOCK_SIZE)
    n = -(-len(octets) // block_size)
    first = 0
    if options.resume and meter.number(_STATUS) == 1:
        first = meter.number(_FIRST)
        say("Going on with block %d of %d." % (first, n))
    else:
        name = os.path.splitext(os.path.basename(options.image))[0].encode()[:32]
        meter.act(_INITIATE, b"\x02\x02" + reader.field(9, name) + u32(len(octets)))
    for k in range(first, n):
        block = octets[k * block_size : (k + 1) * block_size]
        meter.act(_BLOCK, b"\x02\x02" + u32(k) + reader.field(9, block))
        if sys.stderr.isatty() or k % 100 == 99 or k == n - 1:
            say("%s%d of %d blocks" % ("\r" if sys.stderr.isatty() else "", k + 1, n),
                end="" if sys.stderr.isatty() and k < n - 1 else "\n")  # fmt: skip


def restarted(meter, sheet, options):
    """Wait until the new firmware has confirmed itself, or the old one is back: exit code."""
    limit = time.monotonic() + _PATIENCE_S
    status = version = None
    while status not in (6, 7):
        if time.monotonic() > limit:
            raise Trouble("The meter has not come back within %d s." % _PATIENCE_S)
        time.sleep(0.5)
        try:
            status, version = meter.number(_STATUS), meter.version()
        except (OSError, ValueError, IndexError, Trouble):
            # It restarts.
            meter.close()
            with contextlib.suppress(OSError, ValueError, IndexError, Trouble):
                meter = Meter(sheet, options.place, options.client)
    meter.close()
    if status == 7:
        raise Trouble("Activation failed: the meter runs version %s." % version)
    print("The meter runs version %s." % version)
    return 0


if __name__ == "__main__":
    as_command(main)
