# SPDX-License-Identifier: MIT
"""A double of the ATM90E32AS, octet by octet, as a fake machine.SPI. Runs on MicroPython too.

What the chip does is from its datasheet (Atmel-46003) and from public drivers of it: a transfer is
what happens under /CS; a write counts, and a Read/Clear register is cleared, only if there were
exactly 32 clocks; LastSPIData is the last data sent or heard; configuration needs CfgRegAccEn.
uncertain, and so in the double: what CRCErrStatus says, and that a full energy register stops.

    chip = Chip()                   without power it does not drive its output: FFFF
    chip.count(register, ticks)     energy: a register of 0x80..0x93
    chip.word[0xD9] = 23012         a measurement
    chip.wire = f(transfer, k, octet)     octet k of a transfer on its way back: what arrives
    chip.clocks = f(transfer)       octets of a transfer that the chip sees, 4 if all
    chip.fails = f(transfer)        True: the bus raises OSError, and the chip sees nothing
"""

METER_EN = 0x00
ENERGY = range(0x80, 0x94)
SOFT_RESET = 0x70
LAST_SPI_DATA = 0x78
CRC_ERR_STATUS = 0x79
CFG_REG_ACC_EN = 0x7F
CONFIGURATION = tuple(range(0x01, 0x70))
# Not 0 after a reset.
DEFAULTS = {
    0x01: 0x0210, 0x02: 0x0654, 0x05: 0x143F, 0x06: 0xC000, 0x07: 0x0001, 0x0A: 0xFFFF,
    0x0B: 0xC000, 0x31: 0x0861, 0x32: 0xC468, 0x33: 0x0087, 0x61: 0x8000, 0x62: 0x8000,
    0x65: 0x8000, 0x66: 0x8000, 0x69: 0x8000, 0x6A: 0x8000,
}  # fmt: skip


class Chip:
    def __init__(self):
        self.power = True
        self.transfers = 0
        self.resets = 0
        self.wire = self.clocks = self.fails = None
        self.uncounted = 0  # ticks that came while it did not measure, or that a reset has lost
        self.reset()

    def reset(self):
        if self.transfers:
            self.uncounted += sum([self.word[k] for k in ENERGY])
        self.word = [0] * 256
        for k, value in DEFAULTS.items():
            self.word[k] = value
        self.digest = self._digest()

    def _digest(self):
        n = 0
        for k in CONFIGURATION:
            n = (n * 31 + self.word[k]) % 65521
        return n

    def count(self, register, ticks):
        if not self.power or not self.word[METER_EN]:
            self.uncounted += ticks
            return
        whole = self.word[register] + ticks
        self.word[register] = min(whole, 0xFFFF)
        self.uncounted += whole - self.word[register]

    def exchange(self, buf):
        """A transfer: the octets of buf go out, and what comes back is in it."""
        n = self.transfers
        self.transfers += 1
        if self.fails is not None and self.fails(n):
            raise OSError(5)
        seen = len(buf) if self.clocks is None else self.clocks(n)
        sent = bytes(buf[:seen])
        back = b"\x00\x00\xff\xff"
        if self.power and seen >= 2:
            back = b"\x00\x00" + self._serve(sent, seen == 4)
        elif not self.power:
            back = b"\xff\xff\xff\xff"
        for k in range(4):
            octet = back[k] if k < seen else 0xFF
            buf[k] = octet if self.wire is None else self.wire(n, k, octet)

    def _serve(self, sent, whole):
        register = (sent[0] & 3) << 8 | sent[1]
        word = self.word
        if register > 0xFF:
            return b"\x00\x00"
        if not sent[0] & 0x80:
            if whole:
                self._write(register, sent[2] << 8 | sent[3])
            return b"\x00\x00"
        data = word[register]
        if register == SOFT_RESET:
            data = 0
        if register == CRC_ERR_STATUS:
            data = 1 if self._digest() != self.digest else 0
        if whole:
            word[LAST_SPI_DATA] = data
            if register in ENERGY:
                word[register] = 0
        return bytes((data >> 8, data & 0xFF))

    def _write(self, register, value):
        word = self.word
        if register == SOFT_RESET:
            if value == 0x789A:
                self.reset()
                self.resets += 1
                return
        elif register == CFG_REG_ACC_EN:
            if word[register] == 0x55AA and value != 0x55AA:
                self.digest = self._digest()
            word[register] = value
        elif (register in CONFIGURATION or register == METER_EN) and (
            word[CFG_REG_ACC_EN] == 0x55AA
        ):
            word[register] = value & 0xFF if register == METER_EN else value
        word[LAST_SPI_DATA] = value


class Bus:
    """What ports/pins.py makes of a machine.SPI, without the pins."""

    def __init__(self, chip):
        self.chip = chip

    def transfer(self, buf):
        try:
            self.chip.exchange(buf)
        except OSError:
            return False
        return True


class Machine:
    """A fake module machine: SPI with /CS, I2C that keeps what was written, pins that remember."""

    def __init__(self, chip=None):
        pins = {}
        written = []

        class Pin:
            OUT = 1
            IN = 0
            PULL_UP = 2

            def __init__(self, name, mode=None, pull=None, value=None):
                self.name = name
                pins.setdefault(name, 1 if value is None else value)
                if value is not None:
                    pins[name] = value

            def __call__(self, *value):
                if value:
                    pins[self.name] = value[0]
                return pins[self.name]

        class SPI:
            def __init__(self, number, **settings):
                self.settings = settings
                made.append(self)

            def write_readinto(self, out, back):
                if [pins[name] for name in selects] != [0]:
                    raise ValueError("a transfer without /CS")
                if out is not back:
                    back[:] = out
                chip.exchange(back)

        class I2C:
            absent = False

            def __init__(self, number, **settings):
                self.settings = settings

            def writeto(self, address, octets):
                if I2C.absent:
                    raise OSError(19)
                written.append((address, bytes(octets)))

        made = self.made = []
        selects = self.selects = []  # names of the pins that are /CS
        self.pins = pins
        self.written = written
        self.Pin = Pin
        self.SPI = SPI
        self.I2C = I2C
