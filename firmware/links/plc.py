# SPDX-License-Identifier: MIT
"""A link over a power line: a modem behind a UART, a profile on it, one client's network.

The station of a profile (lib/profiles/sfsk.py) has poll(now_ms), open(now_ms), reset(), a modem, a
channel, and notify() for what is sent unasked. A profile is a row of PROFILES, which says what it
is made of; what its setup objects say goes to it by configure(model).

What driver and profile count goes, once a second, to the counters of a definition (count.X, see
meter/sources.py), for Data objects that show it beside the classes of the profile:

    plc_faults      times that the modem had to be started again
    plc_damaged     frames between the board and the modem that were damaged, or none
    plc_refused     times that the modem was busy, full, or refused a frame
    plc_unanswered  times that it did not answer, or too late
    plc_lost        what it did not send, and the profile has given up
    plc_foreign     what came and was not for this meter

Buffers are allocated when the link is made; serving allocates nothing.
"""

from array import array

from cosem import slots
from firmware.links.settings import first
from micropython import const

_POLL_MS = const(10)  # a modem has time-outs of 20 ms and more
_ROUNDS = const(16)  # turns for one link before the others have theirs

_SFSK_PHY_MAC_SETUP = const(50)
_SFSK_TIMEOUTS = const(52)
_SFSK_LLC_SETUP = const(55)
_PRIME_LLC_SETUP = const(80)
_G3_MAC_SETUP = const(91)
_HDLC_SETUP = const(23)
_TCP_UDP_SETUP = const(41)
_INACTIVITY = const(6)

_LLC_432_LEN = const(3)
_PLC_FAULTS = const(11)  # the first of these counters, see meter/sources.py
_LOOK_MS = const(1000)
_TICKS_MASK = const(0x3FFFFFFF)

# What is summed up for each of them: of the modem, of its frames; of the station.
_OF_MODEM = (
    ("n_faults",),
    ("n_garbled", "n_stray", "n_long", "n_bad_crc"),
    ("n_busy", "n_nak", "n_refused", "n_errors"),
    ("n_no_answer", "n_retries", "n_late"),
)
_OF_STATION = ("n_lost", "n_foreign")

# Alarm descriptor 1 and alarm register 1 of a meter: Data, 0.0.97.98.20 and 0.0.97.98.0.
_ALARM_DESCRIPTOR = b"\x00\x01\x00\x00\x61\x62\x14\xff"
_ALARM_REGISTER = b"\x00\x01\x00\x00\x61\x62\x00\xff"
_VALUE = const(2)

_GROUPS = const(9)
_N_GROUPS = const(5)
_SPEED = const(15)
_LON_IDENTIFICATION = const(130)
_LON_PROTOCOL_SETUP = const(131)
_DOMAIN_ID = const(4)
_DOMAIN_LENGTHS = b"\x00\x01\x03\x06"  # by their code


class Octets:
    """The UART of a modem's driver: a stream of a port, which never waits."""

    def __init__(self, port, stream):
        self.port = port
        self.stream = stream

    def readinto(self, buf):
        n = self.port.readinto(self.stream, buf)
        return n if n > 0 else 0

    def write(self, buf, pos, n):
        n = self.port.write(self.stream, buf, pos, n)
        return n if n > 0 else 0


class PowerLine:
    gate = None

    def __init__(self, port, name, address, stream, station, configure, setup_class, registers):
        """configure(model, station): hands on what the setup objects say. setup_class: of the
        object that says who may come by it, see dlms/guard.py. registers: of the program, have
        the counters."""
        self.port = port
        self.name = name
        self.address = address
        self.profile = station
        self.ready = False
        self.setup_class = setup_class
        self.stream = stream
        self._poller = None
        self._configure = configure
        self._registers = registers
        self._counted = array("I", bytes(4 * (len(_OF_MODEM) + len(_OF_STATION))))
        self._counted_ms = 0

    def open(self, poller):
        self._poller = poller
        poller.add(self.stream, self)
        self.profile.open(self.port.ticks_ms())

    def profiles(self):
        return [self.profile]

    def configure(self, model):
        self._configure(model, self.profile)

    def wait_ms(self):
        return 0 if self.ready else _POLL_MS

    def poll(self, now_ms):
        self.ready = False
        station = self.profile
        station.muted = self.gate is not None and self.gate.shut()
        rounds = _ROUNDS
        while rounds and station.poll(now_ms):
            rounds -= 1
        if not rounds:
            self.ready = True
        if (now_ms - self._counted_ms) & _TICKS_MASK >= _LOOK_MS:
            self._counted_ms = now_ms
            self._count(station)

    def _count(self, station):
        modem = station.modem
        usi = getattr(modem, "usi", None)
        k = 0
        for names in _OF_MODEM:
            n = 0
            for name in names:
                n += getattr(modem, name, 0) + getattr(usi, name, 0)
            self._add(k, n)
            k += 1
        for name in _OF_STATION:
            self._add(k, getattr(station, name, 0))
            k += 1

    def _add(self, k, n):
        more = n - self._counted[k]
        if more:
            self._counted[k] = n
        if more > 0:  # else a client has had them begin anew
            self._registers.count(_PLC_FAULTS + k, more)

    def close(self):
        if self._poller is not None:
            self._poller.remove(self.stream)
            self._poller = None
        self.port.close(self.stream)
        self.profile.reset()


def _reset_pin():
    """PLC_RESET, None: there is none."""
    from firmware.meter.fittings import pins_of

    pins = pins_of()
    try:
        return None if pins is None else pins.output("PLC_RESET").set
    except ValueError:
        return None


def _local_modem(driver, octets, options):
    """A modem with local frames. PLC_T_REQ, and PLC_RESET if there is one, are pins in the
    wiring."""
    from firmware.meter.fittings import pins_of

    pins = pins_of()
    if pins is None:
        raise ValueError("a modem needs pins, and there are none here")
    return driver(octets, pins.output("PLC_T_REQ").set, _reset_pin(), **options)


def _lives(meter, station, configure):
    """The station is there for the classes of its profile."""
    if meter.model.plc is None:
        meter.model.plc = {}
    meter.model.plc[station.name] = station
    configure(meter.model, station)
    return station


# --- S-FSK ------------------------------------------------------------------------------------


class Alarms:
    """The meter's alarms as CIASE has them: bit k of the alarm descriptor, or of the register, is
    alarm k + 1; the lowest one counts (project-defined). ClearAlarm clears it.
    """

    def __init__(self, model, row, ciase):
        self.model = model
        self.row = row
        self.ciase = ciase
        self._said = 0

    def look(self):
        at = self.model.slot(self.row, _VALUE) + 1
        image = self.model.image
        said = self._said
        if said and not self.ciase.alarm:
            # Cleared by the initiator.
            image[at + 3 - (said - 1 >> 3)] &= ~(1 << (said - 1 & 7))
            self.model.edited(self.row, _VALUE)
            said = 0
        if image[at] or image[at + 1] or image[at + 2] or image[at + 3]:
            said = 1
            while not image[at + 3 - (said - 1 >> 3)] >> (said - 1 & 7) & 1:
                said += 1
        else:
            said = 0
        self._said = self.ciase.alarm = said


def _alarms(model, ciase):
    """None: the definition has no alarms."""
    for name in (_ALARM_DESCRIPTOR, _ALARM_REGISTER):
        row = model.find_any(name, 0)
        if row >= 0 and model.slot(row, _VALUE) >= 0 and model.value_len(row, _VALUE) == 5:
            return Alarms(model, row, ciase)
    return None


def _sfsk(meter, port, octets, hdlc=False, **options):
    """A station with an AMIS-49587 or one of its family. Options: hz_60, baud_code."""
    from profiles.modems.amis49587 import Modem

    return sfsk(meter, _local_modem(Modem, octets, options), hdlc)


def _sfsk_hdlc(meter, port, octets, **options):
    return _sfsk(meter, port, octets, True, **options)


def sfsk(meter, modem, hdlc=False):
    """A station of S-FSK on a modem that is there.

    uncertain: which six octets of a system title of eight CIASE has with the LLC of 61334-4-32;
    the manufacturer's letters are left out but the last, so that serial numbers stay apart.
    """
    from profiles.sfsk import SFSK

    model = meter.model
    channel = meter.server.channel()
    if hdlc:
        from profiles.llc_hdlc import LLCHDLC as LLC
    else:
        from profiles.llc_432 import LLC432 as LLC
    title = bytes(model.system_title)
    llc = LLC(meter.server, channel, modem.max_data)
    station = SFSK(channel, modem, llc, title if hdlc else title[-6:], model.random)
    station.alarms = _alarms(model, station.ciase)
    return _lives(meter, station, configure_sfsk)


def configure_sfsk(model, station):
    row = first(model, _SFSK_PHY_MAC_SETUP)
    if row >= 0:
        frequencies = slots.source(model, row, 7)
        # 02 02 06 mark_frequency 06 space_frequency
        at = slots.offset(model, row, 7) + 3
        station.configure_phy(
            slots.octet(model, row, 4),
            slots.octet(model, row, 5),
            slots.octet(model, row, 6),
            slots.unsigned32(frequencies, at),
            slots.unsigned32(frequencies, at + 5),
            slots.octet(model, row, 10),
            slots.octet(model, row, _SPEED) if model.version(row) else -1,
        )
        groups = slots.source(model, row, _GROUPS)
        at = slots.offset(model, row, _GROUPS)
        n = groups[at + 1]
        for k in range(_N_GROUPS):
            at += 3
            station.configure_group(k, groups[at] << 8 | groups[at + 1] if k < n else 0)
    row = first(model, _SFSK_TIMEOUTS)
    if row >= 0:
        times = [slots.long_unsigned(model, row, k) for k in (2, 3, 4, 5)]
        station.configure_timeouts(*times)
    row = first(model, _SFSK_LLC_SETUP)
    if row >= 0:
        station.llc.configure(model.get_int(row, 2))


# --- PRIME, G3, ST7580 --------------------------------------------------------------------------


def _prime(meter, port, octets, identifier=b""):
    """A station with a PRIME service node of Microchip. Project-defined: the base node knows the
    meter by the logical device name of its first logical device, if there is no identifier."""
    from profiles.modems.prime_node import Modem

    identifier = identifier or bytes(meter.model.devices[0][3])
    return prime(meter, Modem(octets, _reset_pin(), identifier))


def prime(meter, modem):
    """A station of PRIME on a modem that is there."""
    from cosem import prime_setup
    from profiles.llc_432 import LLC432
    from profiles.prime import PRIME

    channel = meter.server.channel()
    # Beside what the modem takes there is the header, which it makes itself.
    llc = LLC432(meter.server, channel, modem.max_data + _LLC_432_LEN)
    station = PRIME(channel, modem, llc, prime_setup.values(modem))
    return _lives(meter, station, configure_values)


def _g3(meter, port, octets, prefix=b"", **options):
    """A station with a G3 device of Microchip. Options: band, eui64, key, hybrid; without them the
    modem has its EUI-64 and its key itself."""
    from profiles.modems.g3_adp import Modem

    return g3(meter, Modem(octets, _reset_pin(), **options), prefix)


def g3(meter, modem, prefix=b""):
    """A station of G3 on a modem that is there. prefix: of an address beside the link-local one,
    8 octets."""
    from cosem import g3_setup
    from profiles.g3 import G3
    from profiles.wrapper import Wrapper

    channel = meter.server.channel()
    wrapper = Wrapper(meter.server, channel, True)
    station = G3(channel, modem, wrapper, prefix, g3_setup.values(modem))
    return _lives(meter, station, configure_g3)


def configure_values(model, station):
    station.attributes.apply(model)


def configure_g3(model, station):
    configure_values(model, station)
    row = first(model, _TCP_UDP_SETUP)
    if row >= 0:
        station.llc.wrapper.configure(model.get_int(row, _INACTIVITY))


def _st7580(meter, port, octets, **options):
    """A station with an ST7580: a raw link, project-defined. Options: phy."""
    from profiles.modems.st7580 import Modem

    return st7580(meter, _local_modem(Modem, octets, options))


def st7580(meter, modem):
    """A raw link on a modem that is there."""
    from profiles.llc_hdlc import LLCHDLC
    from profiles.st7580 import RawLink

    channel = meter.server.channel()
    station = RawLink(channel, modem, LLCHDLC(meter.server, channel, modem.max_data))
    configure_st7580(meter.model, station)
    return station


def configure_st7580(model, station):
    """Times and the address of IEC HDLC setup; frames are as long as the modem's."""
    row = first(model, _HDLC_SETUP)
    if row >= 0:
        hdlc = station.llc.hdlc
        times = [model.get_int(row, k) for k in (7, 8, 9)]
        hdlc.configure(hdlc.capacity, hdlc.capacity, 1, 1, *times)


# --- ISO/IEC 14908 ------------------------------------------------------------------------------


def _lon(meter, port, octets):
    """A station with a network interface for power lines. Project-defined above the network."""
    from profiles.modems.mip_u61 import MIPU61

    return lon(meter, MIPU61(octets), port)


def lon(meter, modem, port):
    """A station of LON on a modem that is there."""
    from profiles.lon import LON

    station = _lives(meter, LON(meter.server.channel(), modem), configure_lon)
    protection = getattr(meter, "lon", None)
    if protection:
        from firmware.links.lon_secure import Secure
        from firmware.ports import ciphers

        key, station.only = protection
        station.secure = Secure(ciphers.aes, key, station.node.unique, port.random_fill)
    return station


def configure_lon(model, station):
    row = first(model, _LON_PROTOCOL_SETUP)
    minutes = model.get_int(row, 2) if row >= 0 else 0
    row = first(model, _LON_IDENTIFICATION)
    if row >= 0:
        station.configure(model.get_int(row, 2), model.get_int(row, 3), minutes)
        for attribute, octets in ((4, station.node.domain), (6, station.node.unique)):
            source = slots.source(model, row, attribute)
            at = slots.offset(model, row, attribute)
            n = source[at + 1]
            octets[:n] = source[at + 2 : at + 2 + n]
            if attribute == _DOMAIN_ID:
                code = _DOMAIN_LENGTHS.find(bytes((n,)))
                if code < 0:
                    raise ValueError("a domain_ID of %d octets" % n)
                station.node.domain_code = code


# Profile: what makes its station of (meter, port, the modem's octets); what hands on its setup
# objects; the class of the first of them.
PROFILES = {
    "sfsk": (_sfsk, configure_sfsk, _SFSK_PHY_MAC_SETUP),
    "sfsk_hdlc": (_sfsk_hdlc, configure_sfsk, _SFSK_PHY_MAC_SETUP),
    "prime": (_prime, configure_values, _PRIME_LLC_SETUP),
    "g3": (_g3, configure_g3, _G3_MAC_SETUP),
    "st7580": (_st7580, configure_st7580, _HDLC_SETUP),
    "lon": (_lon, configure_lon, _LON_IDENTIFICATION),
}


def make(want, meter, port):
    """The link of ["plc-" and the profile, number of the UART, baud rate]; behind that {option:
    value} of the modem's driver, if there are any. ValueError: it has no such option or value."""
    station_of, configure, setup_class = PROFILES[want[0][4:]]
    stream = port.uart(want[1], want[2])
    try:
        options = want[3] if len(want) > 3 else {}
        station = station_of(meter, port, Octets(port, stream), **options)
    except TypeError as e:
        raise ValueError("%s: %s" % (want[0], e))
    name = "UART%d %d" % (want[1], want[2])
    return PowerLine(
        port, want[0], name, stream, station, configure, setup_class, meter.program.registers
    )
