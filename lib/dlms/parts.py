# SPDX-License-Identifier: MIT
"""What a server loads when a request wants it, and lets go of: parts, class modules that sleep,
security. See lib/README.md, "What is loaded when it is wanted". load() and forget() allocate,
between two requests; the others do not.
"""

from micropython import const

_OPENING = "dlms.opening"
_SHORT_NAMES = "dlms.short_names"
_ASSOCIATION_SN = "association_sn"
_CLASSES = "cosem"  # no part: what sleeps of the model
_SECURED = "dlms.secured"
_SECURITY_SETUP = "security_setup"

# States of association.py.
_IDLE = const(0)
_PENDING = const(1)
# Fields of a row of ASSOCIATIONS.
_MECHANISM = const(3)
_LLS = const(1)
_SECURITY = const(8)
_LOAD = const(8192)  # todo: a part is wanted


class Parts:
    """The half of a Server that knows what is there."""

    def part(self, name):
        """A module of the stack that is loaded when a request wants it, as "dlms.set". None: it
        is not there yet; work() loads it, and the request has to come again (-1)."""
        part = self.parts.get(name)
        if part is None:
            self.wanted = name
            self.todo |= _LOAD
        return part

    def wants(self, name):
        """A class module that sleeps is to be loaded by work(), all if name is empty; -1."""
        self._class = name
        self.wanted = _CLASSES
        self.todo |= _LOAD
        return -1

    def load(self, name):
        """Have a part. Allocates."""
        if name == _CLASSES:
            self.model.wake(self._class)
            if not self._class and self.short is not None:
                self.model.wake(_ASSOCIATION_SN)
            return
        part = self.model.load(name)
        if name == _SECURED:
            if self.secured is None:
                self.secured = part.Security(self)
                self.model.later = self.secured.later
            self.secured.context_of(self._client)
            return
        if self.keeps and "dlms.undo" not in self.parts and name in ("dlms.set", _SHORT_NAMES):
            # No module, but what it has: what a request has set, as it was before.
            self.parts["dlms.undo"] = self.model.load("dlms.undo").Undo(self.model)
        self.parts[name] = part
        if name == _SHORT_NAMES:
            self.short = part
            if not self.model.asleep:
                self.model.wake(_ASSOCIATION_SN)
        self.opening = self.parts.get(_OPENING)

    def lacks_security(self, config):
        """Is security still to be loaded, before anything is done for this client?"""
        if config is None or not is_secure(config):
            return False
        row = config[_SECURITY]
        if self.secured and (row < 0 or self.model.handler_of(row).has_context(row)):
            return False
        self.wants_security(config)
        return True

    def wants_security(self, config):
        """dlms.secured is to be loaded by work(), with what protects a client (None: nothing)."""
        self._client = config
        self.wanted = _SECURED
        self.todo |= _LOAD

    def needs_security(self):
        """Is security in use: does somebody cipher, or prove who he is, or run a job, or may
        something be sent that is ciphered?"""
        for a in self.associations:
            if a.context is not None or a.asks or a.state == _PENDING:
                return True
        return self.on_confirm is not None

    def in_use(self):
        """Has a client an association?"""
        for a in self.associations:
            if a.state != _IDLE:
                return True
        return False

    def rests(self):
        """Is nothing here that nobody needs any more?"""
        if self.secured is not None and not self.needs_security():
            return False
        return not self.parts and self.model.asleep or self.in_use()

    def forget(self, all_parts=False):
        """Let go of what opens associations; of security, if it is not in use; and of the other
        parts, too, if nobody has an association any more, or security has gone, or memory is short
        (all_parts). It is loaded again when a client needs it."""
        used = self.in_use()
        ended = not self.todo and not self.needs_security() and self._forget_security()
        if ended or all_parts or not used:
            undo = self.parts.get("dlms.undo")
            self.parts.clear()
            self.short = None
            if self.held is not None and undo is not None:
                self.parts["dlms.undo"] = undo
            for a in self.associations:
                if a.stream.variables is not None:
                    a.stream.variables = None
                # Without a transfer, its buffers can be made again.
                if a.gbt is not None and a.gbt.state == _IDLE:
                    a.gbt = None
        else:
            self.parts.pop(_OPENING, None)
        if not used or ended and self.model.asleep:
            self.model.sleep()
        self.opening = None
        if self.secured is not None:
            self.secured.forget()
        for handler in self.model.handlers:
            if handler is not None:
                handler.forget()

    def _forget_security(self):
        """Let go of ciphers and keys; the counters stay, see cosem/security_setup.py. False: there
        is nothing to let go of, or not yet."""
        model = self.model
        handler = model.handler(_SECURITY_SETUP)
        if self.secured is None and (handler is None or handler.sleeps()):
            return False
        if self.secured is not None and self.secured.waits:
            self.secured.rekey()
        if handler is not None and not handler.end():
            return False
        for a in self.associations:
            a.dedicated = None
        self.secured = model.later = None
        if model.on_security is not None:
            model.on_security(False)
        return True


def is_secure(config):
    """Has a row of ASSOCIATIONS ciphering, or high level security?"""
    return config[_MECHANISM] > _LLS or config[_SECURITY] >= 0
