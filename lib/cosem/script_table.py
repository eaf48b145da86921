# SPDX-License-Identifier: MIT
"""Script table (class_id 9, version 0; IEC 62056-6-2, 4.5.2).

execute runs the actions of a script in their order: write an attribute, or run a method, in the
same logical device and without access rights (the right to execute is the right to all of it).

Project-defined: the first action that fails ends the script, and its result is that of execute;
what was done before it stays done. An unknown script is other-reason; script 0 does nothing. A
script may run a script, four deep; the scripts cannot be written while one runs
(temporary-failure). A method that has to be loaded first is temporary-failure, too. Nothing is
allocated.
"""

from cosem import handler, slots
from dlms.axdr import get_u16, length, length_size, skip
from dlms.prim import copy
from micropython import const

_SCRIPTS = const(2)

_EXECUTE = const(1)

_WRITE_ATTRIBUTE = const(1)
_RUN_METHOD = const(2)

_SUCCESS = const(0)
_TEMPORARY_FAILURE = const(2)
_OBJECT_UNDEFINED = const(4)
_TYPE_UNMATCHED = const(12)
_OTHER_REASON = const(250)

_LONG_UNSIGNED = const(0x12)
# Where run() puts a key together.
_KEY = bytearray(b"\x00\x09\0\0\0\0\0\0")

_MAX_DEPTH = const(4)


class Handler(handler.Handler):
    def __init__(self, model):
        handler.Handler.__init__(self, model)
        self._depth = 0
        self.local = False  # see run()

    def check(self, row, attribute, buf, pos, end):
        if attribute == _SCRIPTS and self._depth:
            return _TEMPORARY_FAILURE
        return _SUCCESS

    def invoke(self, s, method, buf, pos, end):
        if method != _EXECUTE:
            return _OBJECT_UNDEFINED
        if end - pos != 3 or buf[pos] != _LONG_UNSIGNED:
            return _TYPE_UNMATCHED
        return self.execute(s.row, get_u16(buf, pos + 1))

    def execute(self, row, script):
        """Run a script by its identifier; action_result."""
        if script == 0:
            return _SUCCESS
        if self._depth >= _MAX_DEPTH:
            return _OTHER_REASON
        model = self.model
        buf = slots.source(model, row, _SCRIPTS)
        at = slots.offset(model, row, _SCRIPTS)
        end = at + model.value_len(row, _SCRIPTS)
        n = length(buf, at + 1, end)
        at += 1 + length_size(buf, at + 1)
        while n:
            # structure of 2: 12 script_identifier, array of actions
            if get_u16(buf, at + 3) == script:
                self._depth += 1
                try:
                    return self._run(slots.device_of(model, row), buf, at + 5, end)
                finally:
                    self._depth -= 1
            at = skip(buf, at, end)
            n -= 1
        return _OTHER_REASON

    def _run(self, device, buf, at, end):
        model = self.model
        n = length(buf, at + 1, end)
        at += 1 + length_size(buf, at + 1)
        while n:
            # 02 05 16 service_id 12 class class 09 06 logical_name 0F index parameter
            service = buf[at + 3]
            row = slots.find_object(model, device, buf, at + 5, at + 9)
            index = buf[at + 16]
            pos = at + 17
            at = skip(buf, pos, end)
            if row < 0:
                return _OBJECT_UNDEFINED
            if service == _WRITE_ATTRIBUTE:
                result = model.write(row, index, buf, pos, at)
            elif service == _RUN_METHOD:
                result = model.act(row, index, buf, pos, at)
                if result < 0:
                    # The next time what it needs may be loaded; no step is done twice for that.
                    result = _TEMPORARY_FAILURE
            else:
                result = _OTHER_REASON
            if result:
                return result
            n -= 1
        return _SUCCESS


def run(model, row, buf, at, local=False):
    """Execute, for the object of this row, the script that a structure names, 02 02 09 06
    script_logical_name 12 script_selector, at buf[at:]; action_result, of which
    model.on_executed() hears. local: for a function of the meter that supervises a value; what its
    script asks of a Disconnect control is local."""
    result = _run(model, slots.device_of(model, row), buf, at, local)
    if model.on_executed is not None:
        model.on_executed(row, result)
    return result


def _run(model, device, buf, at, local):
    copy(_KEY, 2, buf, at + 4, 6)
    table = model.find(device, _KEY, 0)
    if table < 0:
        return _OTHER_REASON
    scripts = model.handler_of(table)
    before = scripts.local
    scripts.local = before or local
    try:
        return model.act(table, _EXECUTE, buf, at + 10, at + 13)
    finally:
        scripts.local = before
