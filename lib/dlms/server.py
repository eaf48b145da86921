# SPDX-License-Identifier: MIT
"""The DLMS server: who asks, and which service answers (IEC 62056-5-3).

    server = Server(model)
    channel = server.channel()                        one for each link (a TCP connection, a UART)
    n = server.request(channel, client_sap, server_sap, buf, pos, end, confirmed)
    channel.tx[channel.tx_pos : channel.tx_pos + n]   is the reply APDU; n = 0: there is none
    n = -1: not now; the same request comes again after
    server.work()                                     while server.todo, between two requests

A request is an APDU at buf[pos:end]; buf is not kept after the call, and may be deciphered where
it lies. Whatever comes gets one of: silence, a result code, an exception-response, a
confirmedServiceError. No exception leaves here, and nothing is allocated on the way: what has to
allocate, or to be saved first, is done by work(). In front of tx_pos are 32 octets for headers.
"""

from dlms import exceptions
from dlms.association import Association
from dlms.axdr import get_small_u32
from dlms.channel import Channel, save
from dlms.get import request as _get
from dlms.guard import Guard
from dlms.parts import Parts, is_secure
from dlms.prim import find
from micropython import const

_AARQ = const(0x60)
_RLRQ = const(0x62)
_GET_REQUEST = const(0xC0)
_GENERAL_BLOCK_TRANSFER = const(0xE0)
_GATEWAY_REQUEST = const(0xE6)
_CONFORMANCE_GENERAL_BLOCK_TRANSFER = const(0x200000)
_CONFORMANCE_GET = const(0x000010)

# Services beside GET: tag, bit of the negotiated conformance, and the part that has them.
_SERVICES = (
    (0xC1, 0x000008, "dlms.set"),
    (0xC3, 0x000001, "dlms.action"),
    (0xD9, 0x000040, "dlms.access"),
)
_CONFORMANCE_ACCESS = const(0x000040)
_ACTION_REQUEST = const(0xC3)
_ACCESS_REQUEST = const(0xD9)
_NORMAL = const(1)
_OPENING = "dlms.opening"
_SHORT_NAMES = "dlms.short_names"
# States and events of association.py.
_IDLE = const(0)
_PENDING = const(1)
_OPEN = const(2)
# Fields of a row of ASSOCIATIONS.
_CLIENT_SAP = const(0)
_DEVICE = const(1)
_CONFORMANCE = const(4)
_CONTEXT = const(7)  # even: with short names
_PRE_ESTABLISHED = const(9)
_TRANSFER = const(4096)  # todo: buffers are wanted
_LOAD = const(8192)  # todo: a part is wanted
_REFUSE = const(16384)  # todo: there is no room for it, see refuse()
_SAVE = const(32768)  # todo: what has been changed is to be saved
_STEPS = const(128)  # todo: others are served meanwhile, see security_work.py

_CURRENT_ASSOCIATION = b"\x00\x0f\x00\x00\x28\x00\x00\xff"


class Server(Parts):
    """All logical devices of a model, for clients on any number of channels."""

    gateway = None  # to meters on other links, see gateway.py: of those that have some
    on_confirm = None  # takes confirmations while notifications are sent, see cosem/notifier.py

    def __init__(self, model, n_associations=0, work_len=0):
        self.model = model
        limits = model.limits
        self.max_pdu = limits[2]
        self.max_receive_pdu = limits[3]
        self.aliases = [
            find(model.objects, d[1], d[2], _CURRENT_ASSOCIATION, 0) for d in model.devices
        ]
        # Some association ciphers or has high level security: a client of such a one has
        # dlms.secured loaded; a meter without does not even import it.
        self.secures = False
        self.secured = None
        # Modules that requests have wanted, by name, and the one that is wanted now; see part().
        self.parts = {}
        self.short = None  # that of short names
        self.wanted = self._class = self._client = None
        model.part = self.part
        model.wants = self.wants
        self.todo = 0
        self.keeps = False  # handed in: what clients change is saved before they hear of it
        self.unsaved = False  # something is changed
        self.held = None  # the channel whose answer waits for that
        self.wants_transfer = None  # the association that has to have a Transfer, see gbt.py
        self.gbt_len = limits[4]
        make = Association
        walks = False
        for config in model.configs:
            short = config[_CONTEXT] & 1 == 0
            if short or get_small_u32(config[_CONFORMANCE], 0) & _CONFORMANCE_ACCESS:
                walks = True
            if is_secure(config):
                from dlms.secured_association import SecuredAssociation as make

                self.secures = True
        self.associations = [
            make(self, work_len or limits[1]) for _ in range(n_associations or limits[0])
        ]
        if walks:
            for a in self.associations:
                a.stream.make_room()
        model.associations = self.associations
        self.guard = Guard(self)
        # Handed in: called with the row of ASSOCIATIONS when a client fails to authenticate.
        self.on_authentication_failed = None
        # Handed in: called when an APDU cannot be deciphered (0), or its counter came before (1).
        self.on_protection_failed = None
        # The last exception that request() has caught, for the log; None if there was none.
        self.fault = None
        self.load(_OPENING)

    def _wakes(self, a, buf, pos, end):
        """Has the class of a SET or ACTION to be woken first? All are for several objects, for a
        request in blocks."""
        if buf[pos] == _ACCESS_REQUEST:
            return False  # it sees to that
        if end - pos > 11 and buf[pos + 1] == _NORMAL:
            row = a.locate(buf, pos + 3)
            return row >= 0 and self.model.wakes(row, buf[pos] == _ACTION_REQUEST)
        self.wants("")
        return True

    def channel(self, max_pdu=0, tx=None):
        """A channel for one more link (boot only); tx: the buffer of another, to share."""
        return Channel(self, max_pdu or self.max_pdu, self.max_receive_pdu, tx)

    def has_device(self, server_sap):
        for d in self.model.devices:
            if d[0] == server_sap:
                return True
        return False

    def authentication_failed(self, a, config):
        self.guard.failed(a, config)
        if self.on_authentication_failed is not None:
            self.on_authentication_failed(config)

    def request(self, channel, client_sap, server_sap, buf, pos, end, confirmed=1):
        """Serve the APDU buf[pos:end]; length of the reply in channel.tx from channel.tx_pos.

        confirmed: bit 0 clear: it came by broadcast or unconfirmed frame, and there is no reply;
        bit 1 set: it was longer than the profile's buffer, and this is its beginning; 0: when it
        has to wait it does not come again, and is lost (bit 2 set: there is no reply, but it
        does).
        """
        if pos >= end:
            return 0
        if confirmed & 2:
            return exceptions.too_long(channel) if confirmed & 1 else 0
        if self.todo and self.todo != _STEPS:
            if not self.todo & _REFUSE:
                return -1
            self.todo &= ~_REFUSE
            self.held = None
            return exceptions.failed(channel) if confirmed & 1 else 0
        if self.held is not None:
            n = channel.fetch(end)
            if n:
                return n
        a = None
        try:
            a = channel.last
            if a is None or a.client_sap != client_sap or a.server_sap != server_sap:
                a = self._lookup(channel, client_sap, server_sap)
            tag = buf[pos]
            if channel.gate.status and not channel.gate.admits(a, tag):
                return 0
            if tag == _GATEWAY_REQUEST and self.gateway is not None:
                return self.gateway.request(
                    channel, client_sap, server_sap, buf, pos, end, confirmed & 1
                )
            if a is not None and a.gbt is not None and tag != _GENERAL_BLOCK_TRANSFER:
                a.gbt.end(a)
            opened = a is not None and a.state == _OPEN
            if tag >= _GET_REQUEST and opened:
                if a.context is None and tag == _GET_REQUEST and a.conformance & _CONFORMANCE_GET:
                    n = _get(a, buf, pos, end)
                else:
                    edits = self.model.edits
                    if a.context is not None:
                        n = self.secured.request(channel, a, buf, pos, end)
                    else:
                        n = self.service(channel, a, buf, pos, end)
                    if self.unsaved or self.model.edits != edits:
                        n = channel.hold(n, end, confirmed & 1 and a.confirmed)
                return n if confirmed & 1 and a.confirmed else a.unheard(n, confirmed)
            edits = self.model.edits
            if tag < _AARQ and opened and a.own_name and a.context is None:
                if self.short is None:
                    n = self.service(channel, a, buf, pos, end)
                else:
                    n = self.short.request(a, buf, pos, end)
                if self.unsaved or self.model.edits != edits:
                    n = channel.hold(n, end, confirmed & 1 and a.confirmed)
                return n if confirmed & 1 and a.confirmed else a.unheard(n, confirmed)
            # Security takes more room: it is loaded first.
            if tag == _AARQ and self.lacks_security(self.config(client_sap, server_sap)):
                return -1
            if (tag == _AARQ or tag == _RLRQ) and self.part(_OPENING) is None:
                return -1
            if a is not None and (a.context is not None or a.state == _PENDING) and tag != _AARQ:
                n = self.secured.request(channel, a, buf, pos, end)
                # Who proves itself changes nothing.
                if opened and (self.unsaved or self.model.edits != edits):
                    n = channel.hold(n, end, confirmed & 1 and a.confirmed)
                return n if confirmed & 1 and a.confirmed else a.unheard(n, confirmed)
            n = self._without(channel, a, client_sap, server_sap, buf, pos, end, confirmed)
            if self.model.edits != edits:
                n = channel.hold(n, end, confirmed & 1)
            if n < 0 and not confirmed:
                a = self._lookup(channel, client_sap, server_sap)
                if a is not None:
                    a.drop()
            return n if n < 0 or confirmed & 1 else 0
        except Exception as e:
            self.fault = e
            if a is not None:
                a.drop()
            return exceptions.failed(channel) if confirmed & 1 else 0

    def service(self, channel, a, buf, pos, end):
        """A request of an open association, in plain text."""
        tag = buf[pos]
        if tag == _GET_REQUEST and a.conformance & _CONFORMANCE_GET:
            return _get(a, buf, pos, end)
        for service in _SERVICES:
            if tag == service[0] and a.conformance & service[1]:
                part = self.part(service[2])
                if part is None or self.model.asleep and self._wakes(a, buf, pos, end):
                    return -1
                return part.request(a, buf, pos, end)
        if tag == _GENERAL_BLOCK_TRANSFER and a.conformance & _CONFORMANCE_GENERAL_BLOCK_TRANSFER:
            return a.general_block(buf, pos, end)
        if a.own_name and tag < _AARQ:
            part = self.part(_SHORT_NAMES)
            return -1 if part is None else part.request(a, buf, pos, end)
        return exceptions.not_supported(channel, tag)

    def _lookup(self, channel, client_sap, server_sap):
        for a in self.associations:
            if (
                a.channel is channel
                and a.client_sap == client_sap
                and a.server_sap == server_sap
                and a.state != _IDLE
            ):
                channel.last = a
                return a
        return None

    def _without(self, channel, a, client_sap, server_sap, buf, pos, end, confirmed):
        """What does not need an open association: AARQ, RLRQ, and refusals."""
        tag = buf[pos]
        if not self.has_device(server_sap):
            return 0
        if self.on_confirm is not None:
            n = self.on_confirm(client_sap, server_sap, buf, pos, end, False)
            if n:
                return n if n < 0 else 0
        if tag == _AARQ:
            return self.opening.open(channel, a, client_sap, server_sap, buf, pos, end, confirmed)
        if tag == _RLRQ:
            return self.opening.release(channel, a, client_sap, server_sap, buf, pos, end)
        if a is not None and a.state == _OPEN:
            return exceptions.not_supported(channel, tag)
        config = self.config(client_sap, server_sap)
        if config is not None and config[_PRE_ESTABLISHED]:
            opening = self.part(_OPENING)
            if opening is None or self.lacks_security(config):
                return -1
            a = opening.places.establish(self, channel, config)
            if a is not None:
                if a.context is not None:
                    return self.secured.request(channel, a, buf, pos, end)
                return self.service(channel, a, buf, pos, end)
        return exceptions.no_association(channel, tag)

    def work(self):
        """Do what requests are waiting for, if todo. It may allocate, and save the state."""
        if self.todo & _SAVE:
            save(self)
        edits = self.model.edits
        if self.todo & _LOAD:
            self.todo &= ~_LOAD
            self.load(self.wanted)
            self.wanted = None
        if self.todo & _TRANSFER:
            self.todo &= ~_TRANSFER
            self.wants_transfer.make_transfer()
        if self.secured is not None:
            self.secured.work()
        if self.model.edits != edits:
            self.unsaved = self.keeps

    def refuse(self, e):
        """There is no room for what is wanted, again and again: who asks next hears so."""
        self.todo |= _REFUSE
        self.fault = e

    def more(self, channel):
        """After a reply of this channel, while channel.more: the one that follows without a
        request; its length."""
        try:
            return channel.more.gbt.block(channel.more)
        except Exception as e:
            self.fault = e
            channel.more = None
            return 0

    def config(self, client_sap, server_sap):
        """The row of ASSOCIATIONS for this client, or None."""
        model = self.model
        for config in model.configs:
            if config[_CLIENT_SAP] == client_sap:
                if model.devices[config[_DEVICE]][0] == server_sap:
                    return config
        return None
