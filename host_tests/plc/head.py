# SPDX-License-Identifier: MIT
"""The head of a simulated network of PRIME or G3: it gives out places, and has a client on it that
asks again where it hears nothing. mesh.py says by which rules.
"""

from plc.mesh import ALIVE, GONE, SEARCH, Node


class Head(Node):
    """The base node, or the coordinator, and a client on it, whose calls let time pass.

    places: (address, path) of names. A name that is unregistered gets another address.
    """

    def __init__(self, air, first_address=1):
        super().__init__(air)
        self.first_address = self.next_address = first_address
        self.places = {}
        self.heard = []  # (address, client, APDU)
        self.invoke_id = 0
        self.n_repeated = 0

    def restart(self):
        """It knows nobody any more."""
        self.forget()
        self.places = {}
        self.next_address = self.first_address

    def unregister(self, name):
        _, path = self.places.pop(name)
        self.put(GONE, path)

    def place_of(self, name, path):
        """The address of who has asked for it, along path."""
        if name not in self.places:
            self.places[name] = self.next_address, None
            self.next_address += 1
        address = self.places[name][0]
        self.places[name] = address, path[::-1]
        return address

    def came(self, frame):
        back = frame.path[::-1]
        if frame.kind == SEARCH:
            self.offer(frame.path[0], (self,))
        elif frame.kind == ALIVE:
            known = frame.body in self.places and self.places[frame.body][1] == back
            self.put(ALIVE if known else GONE, back)
        else:
            self.place(frame, back)

    def place(self, frame, back):
        """A node asks for its place."""

    def say(self, address, path, client, sap, apdu):
        """Send an APDU."""

    # --- The client -----------------------------------------------------------------------------

    def wait_for(self, *names, limit_ms=600000):
        until = self.clock.now_ms + limit_ms
        assert self.clock.run(until, lambda: all(self.is_there(n) for n in names))
        self.clock.run(until_ms=self.clock.now_ms)  # the hosts hear of it
        return self

    def is_there(self, name):
        return name in self.places and self.places[name][1][-1].is_up

    def ask(self, name, apdu, client=1, sap=1, tries=12, wait_ms=5000):
        """The answer to an APDU, None: none came. It is sent again and again, octet for octet."""
        if apdu[0] & 0xF0 == 0xC0:
            # A service has one invoke id, its blocks included.
            self.invoke_id += apdu[1] == 1
            apdu = apdu[:2] + bytes((apdu[2] & 0xF0 | self.invoke_id & 0xF,)) + apdu[3:]
        begin = len(self.heard)

        def answer():
            at = self.places.get(name, (None, None))[0]
            for address, to, found in self.heard[begin:]:
                if (address, to) == (at, client) and fits(apdu, found):
                    return found
            return None

        for k in range(tries):
            if name in self.places:
                self.say(*self.places[name], client, sap, apdu)
            self.n_repeated += k > 0
            limit_ms = wait_ms * (1 + min(k, 3))
            if self.clock.run(self.clock.now_ms + limit_ms, lambda: answer() is not None):
                return answer()
        return None


def fits(request, answer):
    """May this be the answer to it, and not to one before?"""
    if answer[0] == 0xD8:
        return True
    if request[0] & 0xF0 != 0xC0:
        return answer[0] == request[0] + 1
    if answer[0] != request[0] + 4 or answer[2] & 0xF != request[2] & 0xF:
        return False
    if request[0] == 0xC0 and request[1] == 2 and answer[1] == 2 and answer[8] == 0:
        return int.from_bytes(answer[4:8], "big") == int.from_bytes(request[4:8], "big") + 1
    return True
