# SPDX-License-Identifier: MIT
"""What the doubles of AMIS-49587, ST7570 and ST7580 have in common: local frames, T_REQ, status,
acknowledgements, and everything that goes wrong with these.

faults: {name: how often it still happens}. The names are the keys of FAULTS.
"""

import struct

from doubles.wire import Pin, Wire

STX, STX_AGAIN, ACK, NAK, STATUS = 0x02, 0x03, 0x06, 0x15, 0x3F

FAULTS = {
    "busy": "the status says that it has no room",
    "nak": "it refuses a frame that is good",
    "lost_ack": "its acknowledgement is lost",
    "split": "what it sends is read octet by octet, each in a poll of its own",
    "merged": "two frames and an acknowledgement are read at once",
    "garbage": "octets that mean nothing come before what it sends",
    "bad_checksum": "a frame is damaged on its way to the host",
    "cut": "a frame to the host ends in its middle",
    "reset_in_frame": "it is reset while the host sends a frame",
    "late_confirm": "the confirm comes after anybody waits for it",
    "confirm_twice": "the confirm comes twice",
    "full": "it refuses data, its buffer is full",
    "silence": "nothing at all comes from it, for a minute",
    "hangs": "nothing at all comes from it, until it is reset",
    "our_ack_lost": "it has not heard that a frame was taken",
}


class LocalFrames:
    counts_data = False
    status_ms = 5  # from T_REQ to the status
    ack_ms = 2
    listen_ms = 200  # from the status on, for a frame to begin
    again_ms = 5
    silence_ms = 60000
    # Whoever breaks the handshake fails the test; False: is not listened to until the next status.
    strict = True

    def __init__(self):
        self.uart = Wire()
        self.t_req = Pin()
        self.reset = Pin()
        self.faults = {}
        self.happened = []
        self.now = 0
        self.frames = []  # (command, data) that the host has sent
        self.silent_until = 0
        self.power_on()

    def power_on(self):
        self.begins = []  # (ms, octets) that go out then
        self.t_req_was = 1
        self.told = None  # when the status was told
        self.part = bytearray()
        self.unanswered = None  # the frame that the host has not answered
        self.queue = []
        self.hung = False
        self.deaf = not self.strict  # the rest of what was being sent means nothing

    def fault(self, name):
        if self.faults.get(name, 0):
            self.faults[name] -= 1
            self.happened.append(name)
            return True
        return False

    def is_silent(self):
        return self.hung or self.now < self.silent_until

    # --- To the host ----------------------------------------------------------------------------

    def pack(self, command, data, first=STX):
        n = len(data) if self.counts_data else len(data) + 3
        body = bytes((n, command)) + data
        return bytes((first,)) + body + struct.pack("<H", sum(body) & 0xFFFF)

    def say(self, octets, after_ms=0):
        self.begins.append((self.now + after_ms, octets))

    def send(self, command, data=b"", after_ms=1):
        """A frame to the host; the next goes out when this one was answered."""
        self.queue.append((self.now + after_ms, command, data))

    def _out(self):
        if self.is_silent():
            self.begins.clear()
            self.queue.clear()
            self.unanswered = None
            return
        if self.unanswered and self.now - self.unanswered[1] > 40:
            self.unanswered = None  # no answer is as good as a good one
        ready = [q for q in self.queue if q[0] <= self.now]
        if ready and self.unanswered is None:
            self.queue.remove(ready[0])
            frame = self.pack(ready[0][1], ready[0][2])
            self.unanswered = [frame, self.now, 1]
            self._frame_out(frame)
        for item in [b for b in self.begins if b[0] <= self.now]:
            self.begins.remove(item)
            self.uart.to_host += item[1]

    def _frame_out(self, frame):
        if self.fault("garbage"):
            self.uart.to_host += b"\x00\xff\x55"
        if self.fault("bad_checksum"):
            frame = frame[:-1] + bytes((frame[-1] ^ 0x40,))
        if self.fault("cut"):
            frame = frame[:-3]
        self.uart.to_host += frame

    # --- From the host --------------------------------------------------------------------------

    def turn(self, now_ms):
        self.now = now_ms
        if not self.reset():
            self.power_on()
            self.uart.heard()
            self.is_reset()
            return
        if self.fault("silence"):
            self.silent_until = now_ms + self.silence_ms
        if self.fault("hangs"):
            self.hung = True
        heard = self.uart.heard()
        if self.is_silent():
            heard = b""
        if heard and self.part == b"" and heard[0] in (STX, STX_AGAIN):
            if self.fault("reset_in_frame"):
                self.power_on()
                self.t_req_was = self.t_req()
                self.is_reset()
                return
        for octet in heard:
            self._octet(octet)
        if self.t_req_was and not self.t_req() and not self.part:
            octets = bytes((STATUS,)) + self.status()
            self.say(octets, self.status_ms)
            self.told = self.now + self.status_ms
            self.deaf = False
        self.t_req_was = self.t_req()
        self.works()
        self._out()

    def _octet(self, octet):
        part = self.part
        if self.deaf:
            return
        if not part:
            if octet in (STX, STX_AGAIN):
                # The handshake comes first; the frame begins while T_REQ is low or just up.
                in_time = self.told is not None and self.now - self.told <= self.listen_ms
                if not self.strict and not in_time:
                    self.deaf = True
                    return
                assert in_time, "a frame without T_REQ, or too late"
                self.told = None
                part.append(octet)
            elif octet == ACK:
                if self.fault("our_ack_lost") and self.unanswered:
                    self._again()
                else:
                    self.unanswered = None
            elif octet == NAK:
                if self.unanswered:
                    self._again()
            else:
                assert not self.strict, "octet %02X from the host" % octet
            return
        part.append(octet)
        if len(part) < 2:
            return
        if len(part) < (part[1] + 5 if self.counts_data else part[1] + 2):
            return
        frame = bytes(part)
        part.clear()
        if sum(frame[1:-2]) & 0xFFFF != struct.unpack("<H", frame[-2:])[0]:
            assert not self.strict, "checksum"
            self.say(bytes((NAK,)), self.ack_ms)
            return
        if self.fault("nak"):
            self.say(bytes((NAK,)), self.ack_ms)
            return
        if not self.fault("lost_ack"):
            self.say(bytes((ACK,)), self.ack_ms)
        if frame[0] == STX_AGAIN and self.frames and self.frames[-1] == (frame[2], frame[3:-2]):
            return
        self.frames.append((frame[2], frame[3:-2]))
        self.takes(frame[2], frame[3:-2])

    def _again(self):
        frame, _, left = self.unanswered
        self.unanswered = [frame, self.now, left - 1] if left else None
        if left:
            first = STX_AGAIN if self.counts_data else STX
            self.say(bytes((first,)) + frame[1:], self.again_ms)

    def confirm(self, command, data, after_ms=300):
        """Answer data that was taken, with what goes wrong there."""
        if self.fault("late_confirm"):
            after_ms = 8000
        self.send(command, data, after_ms)
        if self.fault("confirm_twice"):
            self.send(command, data, after_ms + 30)

    # --- What each double says ------------------------------------------------------------------

    def status(self):
        return b""

    def takes(self, command, data):
        pass

    def works(self):
        pass

    def is_reset(self):
        pass
