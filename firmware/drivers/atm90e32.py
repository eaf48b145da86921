# SPDX-License-Identifier: MIT
"""ATM90E32AS (Microchip; Atmel M90E32AS): energy chip for three phases, on SPI.

Facts of its datasheet (Atmel-46003: SPI interface; special, energy, measurement registers) and
application note (Atmel-46103), as public drivers quote them. A transfer is four octets under one
/CS: bit 7 of the first one reads, then ten bits of the register's address, two octets of data;
SPI mode 3. Energy registers count hundredths of a pulse (CF) of each phase and direction, and are
cleared by a read that the chip has seen to its end. LastSPIData is what it has sent or heard last.

No energy is lost over a bad transfer: each read is compared with LastSPIData, which stays until
another register is read. Before an energy register SoftReset is read, which always reads 0; so
LastSPIData is 0 if the chip has not seen the read, and then it has not cleared the register. If
the line is too bad for that, the question stays open, and is asked again before anything else.
What the chip cannot help against is an address that it hears wrong.

What happens, by what MeterEn reads, which is 0 after a reset and _OURS after our configuration:

    state    ours        other       nothing     (FFFF, no two reads agree, the bus fails)
    SILENT   configure   reset       SILENT      reset: SoftReset, then RESET until the next take()
    RESET    reset       configure   SILENT      configure: all registers written and read back,
    RUNNING  read        reset       SILENT      MeterEn last; then RUNNING, or if not SILENT

Who leaves RUNNING, or does not get there, is a fault: counted, and event 16. A chip that only its
wires have left counts on: what it has is read when it is back (uncertain: whether a register that
is full stops or begins again; it holds 204 Wh of a phase at 3200 pulses a kWh). A chip that was
reset, by its supply or by noise, has lost what it had counted since the last take().

Totals are sums over the phases with their signs, in the direction of the total mean power; what
has the other direction, since phases do not count at the same instant, is kept and balanced.

uncertain: 0.01 CF, which is what users of public drivers measure; that CRCErrStatus changes when
a configuration register does; the sense of the voltage angles. A poll takes no memory.
"""

from array import array

from firmware.meter.metrology import Metrology
from firmware.meter.numbers import phase_angle, power_factor, root
from micropython import const

# Clock and mode of the SPI (CPOL 1, CPHA 1).
BAUD = 1000000

_METER_EN = const(0x00)
_SOFT_RESET = const(0x70)
_LAST_SPI_DATA = const(0x78)
_CRC_ERR_STATUS = const(0x79)
_CFG_REG_ACC_EN = const(0x7F)
# APenergyA..C; four further: ANenergy, RPenergy, RNenergy, SAenergy.
_AP_ENERGY_A = const(0x81)
_N_ENERGY_REGISTERS = const(15)
_P_MEAN_T = const(0xB0)
_Q_MEAN_T = const(0xB4)
_P_MEAN_A = const(0xB1)
_Q_MEAN_A = const(0xB5)
_S_MEAN_A = const(0xB9)
_LOW_WORD = const(0x10)
_U_RMS_A = const(0xD9)
_I_RMS_N = const(0xDC)
_I_RMS_A = const(0xDD)
_FREQ = const(0xF8)
_U_ANGLE_A = const(0xFD)

_READ = const(0x80)
_RESET_KEY = const(0x789A)
_ACCESS_KEY = const(0x55AA)
# MeterEn: metering is on with any bit of eight; these say that we have configured it.
_OURS = const(0xA5)
_FLOATING = const(0xFFFF)
_NEGATIVE = const(0x8000)
_TRIES = const(8)
_PATIENCE = const(120)  # polls that an open question lasts

_SILENT = const(0)
_RESET = const(1)
_RUNNING = const(2)
_TO_SILENT = const(0)
_TO_RESET = const(1)
_TO_READ = const(2)
_TO_CONFIGURE = const(3)
# By state, and what MeterEn reads: ours, other, nothing.
_ACTIONS = b"\x03\x01\x00\x01\x03\x00\x02\x01\x00"
_N_ANSWERS = const(3)
_ANSWERED_OURS = const(0)
_ANSWERED_OTHER = const(1)
_ANSWERED_NOTHING = const(2)

# In the octets that are kept: a remainder for each energy, then the balances of P and Q.
_KEPT = const(40)
_BALANCE_P = const(54)
_BALANCE_Q = const(56)
# A balance that grows so large is no matter of instants.
_MOST_BALANCE = const(64)

# Indices into quanta and values, in the order of metrology.py.
_N_ENERGIES = const(14)
_R_Q1 = const(2)
_R_Q3 = const(4)
_S_PLUS = const(6)
_A_PLUS_L1 = const(8)
_A_MINUS_L1 = const(11)
_N_VALUES = const(32)
_U = const(0)
_I = const(3)
_I_N = const(6)
_P = const(7)
_Q = const(10)
_S = const(13)
_P_PLUS = const(16)
_Q_PLUS = const(18)
_S_TOTAL = const(20)
_PF_TOTAL = const(21)
_PF = const(22)
_FREQUENCY = const(25)
_ANGLE_U = const(26)
_ANGLE_I = const(29)

_MEASUREMENT_ERROR = const(16)  # event code, see meter/events.py
_METROLOGY_FAULTS = const(9)  # counter, see meter/sources.py


class ATM90E32(Metrology):
    """bus: transfer(buf) exchanges four octets in place under /CS, False if that failed.
    settings: (watt-seconds of a hundredth of a pulse as numerator and denominator, registers to
    write: address and two octets each). kept: storage.extra. relay: set(closed), or None."""

    measures = False

    def __init__(self, bus, settings, kept, relay=None):
        Metrology.__init__(self)
        self._bus = bus
        self._numerator, self._denominator, self._registers = settings
        self._kept = kept
        self._relay = relay
        self._buf = bytearray(4)
        self._sums = array("i", [0] * 3)  # ticks of this take(): P, Q, S
        self._state = _SILENT
        self._noted = False
        self._crc = 0
        self._unsure = -1  # energy register whose last read is not settled
        self._patience = 0
        self._back = 0  # P is negative
        self._lagging = 1  # Q is not
        self._good = True  # all transfers of this measure()
        self.faults = 0
        self.program = None
        self._step()

    def attach(self, program):
        """What to tell of faults; of those, too, that there have been."""
        self.program = program
        if self.faults:
            self._tell()

    def supply(self, connected):
        if self._relay is not None:
            self._relay.set(connected)

    # --- Transfers --------------------------------------------------------------------------

    def _transfer(self, first, register, word):
        """The word that came back, -1 if the bus failed."""
        b = self._buf
        b[0] = first | register >> 8
        b[1] = register & 0xFF
        b[2] = word >> 8
        b[3] = word & 0xFF
        return b[2] << 8 | b[3] if self._bus.transfer(b) else -1

    def _settled(self, word):
        """What the chip has sent or heard last; -1: the line is too bad. If it agrees with word,
        what came, it is that; else it takes three: noise agrees with itself now and then."""
        wanted = 1
        same = 0
        for _ in range(_TRIES):
            last = self._transfer(_READ, _LAST_SPI_DATA, 0)
            if last >= 0 and last == word:
                same += 1
                if same == wanted:
                    return last
            else:
                wanted = 2
                same = 0
            word = last
        return -1

    def _read(self, register):
        """A register that reading does not change; -1: the line is too bad."""
        for _ in range(_TRIES):
            word = self._transfer(_READ, register, 0)
            if word >= 0 and self._transfer(_READ, _LAST_SPI_DATA, 0) == word:
                return word
        return -1

    def _write(self, register, word):
        """Write a register; False: the chip has not heard it."""
        for _ in range(_TRIES):
            self._transfer(0, register, word)
            if self._settled(word) == word:
                return True
        return False

    # --- States -----------------------------------------------------------------------------

    def _step(self):
        """Who is there, and what follows; True: it runs and can be read."""
        word = self._read(_METER_EN)
        answer = _ANSWERED_NOTHING
        if word == _OURS:
            answer = _ANSWERED_OURS
        elif word >= 0 and word != _FLOATING and self._read(_METER_EN) == word:
            answer = _ANSWERED_OTHER
        action = _ACTIONS[self._state * _N_ANSWERS + answer]
        if action == _TO_CONFIGURE and self._configure():
            self._state = _RUNNING
            self._noted = False
        elif action == _TO_RESET:
            self._reset()
        elif action != _TO_READ:
            self._leave(_SILENT)
        return self._state == _RUNNING

    def _reset(self):
        self._transfer(0, _SOFT_RESET, _RESET_KEY)
        if self._state == _RUNNING:
            self._leave(_RESET)
        self._state = _RESET

    def _leave(self, state):
        """It cannot be read: a fault, said once."""
        self._state = state
        self.measures = False
        values = self.values
        for k in range(_N_VALUES):
            values[k] = 0
        if not self._noted:
            self._noted = True
            self.faults += 1
            if self.program is not None:
                self._tell()

    def _tell(self):
        self.program.registers.count(_METROLOGY_FAULTS, 1)
        self.program.events.later(_MEASUREMENT_ERROR)

    def _configure(self):
        t = self._registers
        if not self._write(_CFG_REG_ACC_EN, _ACCESS_KEY):
            return False
        for k in range(0, len(t), 3):
            if not self._write(t[k], t[k + 1] << 8 | t[k + 2]):
                return False
        for k in range(0, len(t), 3):
            if self._read(t[k]) != t[k + 1] << 8 | t[k + 2]:
                return False
        if not self._write(_METER_EN, _OURS) or not self._write(_CFG_REG_ACC_EN, 0):
            return False
        self._crc = self._read(_CRC_ERR_STATUS)
        return self._crc >= 0

    # --- Energies ---------------------------------------------------------------------------

    def take(self, seconds):
        q = self.quanta
        sums = self._sums
        for k in range(_N_ENERGIES):
            q[k] = 0
        sums[0] = sums[1] = sums[2] = 0
        if self._unsure >= 0:
            ticks = self._settled(-1)
            if ticks >= 0 and ticks != _FLOATING:
                self._add(self._unsure, ticks)
            elif self._patience:
                self._patience -= 1
                return
            self._unsure = -1
        if self._step():
            self._read_energies()
        self._add_totals()

    def _read_energies(self):
        marked = False
        for n in range(_N_ENERGY_REGISTERS):
            if not marked and not self._mark():
                self._leave(_SILENT)
                return
            register = _AP_ENERGY_A + n // 3 * 4 + n % 3
            ticks = self._settled(self._transfer(_READ, register, 0))
            if ticks < 0 or ticks == _FLOATING:
                self._unsure = n
                self._patience = _PATIENCE
                self._leave(_SILENT)
                return
            marked = not ticks
            if ticks:
                self._add(n, ticks)
        crc = self._read(_CRC_ERR_STATUS)
        if crc != self._crc and crc >= 0 and crc != _FLOATING:
            if self._read(_CRC_ERR_STATUS) == crc:
                self._reset()

    def _mark(self):
        """Make LastSPIData 0."""
        for _ in range(_TRIES):
            if self._transfer(_READ, _SOFT_RESET, 0) == 0:
                return True
        return False

    def _add(self, n, ticks):
        """Ticks of energy register n, counted from APenergyA without the totals."""
        kind = n // 3
        if kind < 2:
            self._put((_A_MINUS_L1 if kind else _A_PLUS_L1) + n % 3, ticks)
        self._sums[kind >> 1] += -ticks if kind == 1 or kind == 3 else ticks

    def _put(self, k, ticks):
        at = _KEPT + k
        ticks = ticks * self._numerator + self._kept[at]
        self.quanta[k] += ticks // self._denominator
        self._kept[at] = ticks % self._denominator

    def _add_totals(self):
        if self._state == _RUNNING:
            p = self._transfer(_READ, _P_MEAN_T, 0)
            q = self._transfer(_READ, _Q_MEAN_T, 0)
            if p >= 0 and q >= 0:
                self._back = 1 if p & _NEGATIVE else 0
                self._lagging = 0 if q & _NEGATIVE else 1
        p = self._balanced(_BALANCE_P, self._sums[0], not self._back)
        back = self._back if not p else 1 if p < 0 else 0
        self._put(back, -p if back else p)
        self._put(_S_PLUS + back, self._sums[2])
        q = self._balanced(_BALANCE_Q, self._sums[1], self._lagging)
        if q < 0:
            self._put(_R_Q3 + 1 - back, -q)
        else:
            self._put(_R_Q1 + back, q)

    def _balanced(self, at, ticks, positive):
        """What counts now; the rest is kept."""
        kept = self._kept
        ticks += (kept[at] ^ 0x80) - 0x80 << 8 | kept[at + 1]
        rest = 0
        if (ticks > 0) != positive and -_MOST_BALANCE < ticks < _MOST_BALANCE:
            rest = ticks
        kept[at] = rest >> 8 & 0xFF
        kept[at + 1] = rest & 0xFF
        return ticks - rest

    # --- Instantaneous values ---------------------------------------------------------------

    def _value(self, register):
        word = self._read(register)
        if word < 0:
            self._good = False
        return word

    def _power(self, register):
        """W, var or VA of 32 bits in units of 0.00032. A carry may come between its words."""
        high = self._value(register)
        low = self._value(register + _LOW_WORD)
        again = self._value(register)
        if again != high:
            high = again
            low = self._value(register + _LOW_WORD)
        if high & _NEGATIVE:
            high -= 0x10000
        return 20 * high + (3036 * high + low + 1562) // 3125

    def measure(self):
        if self._state != _RUNNING:
            return
        self._good = True
        v = self.values
        p_all = q_all = s_all = 0
        for k in range(3):
            u = self._value(_U_RMS_A + k)
            i = self._value(_I_RMS_A + k)
            p = self._power(_P_MEAN_A + k)
            q = self._power(_Q_MEAN_A + k)
            s = self._power(_S_MEAN_A + k)
            p_all += p
            q_all += q
            s_all += s
            v[_U + k] = (u + 5) // 10
            v[_I + k] = i
            v[_P + k] = p
            v[_Q + k] = q
            v[_S + k] = s
            v[_PF + k] = power_factor(p, s)
            angle = self._value(_U_ANGLE_A + k) if k else 0
            v[_ANGLE_U + k] = (angle - 0x10000 if angle & _NEGATIVE else angle) % 3600
            phi = phase_angle(p, q, root(p * p + q * q))
            v[_ANGLE_I + k] = (v[_ANGLE_U + k] + phi) % 3600
        v[_I_N] = self._value(_I_RMS_N)
        v[_P_PLUS] = p_all if p_all > 0 else 0
        v[_P_PLUS + 1] = -p_all if p_all < 0 else 0
        v[_Q_PLUS] = q_all if q_all > 0 else 0
        v[_Q_PLUS + 1] = -q_all if q_all < 0 else 0
        v[_S_TOTAL] = s_all
        v[_PF_TOTAL] = power_factor(p_all, s_all)
        v[_FREQUENCY] = self._value(_FREQ)
        # What is spoiled is no reason for an event; the next second knows better.
        self.measures = self._good
