# SPDX-License-Identifier: MIT
"""ECDSA, ECDH and key pairs on P-256 and P-384 (FIPS 186-4, SP 800-56A), cut into short steps.

    work = ec.new("P-256", ciphers.new_hash, ciphers.elliptic("P-256"))
    work.sign(private, digest)                 result: r and s; see extra below
    work.verify(public, digest, signature)     result: 1, or 0: wrong
    work.agree(private, public)                result: x of the shared point; None: a wrong key
    work.public_key(private)                   result: x and y; None: not a private key
    work.generate(random_fill)                 result: the private key, x and y
    while work.step():
        ...                                    whatever else there is to do; work.stop() gives up
    work.result

Numbers have 32 octets (P-256) or 48, the highest first, public keys and signatures twice as many,
without a leading 04, as DLMS has them (IEC 62056-5-3). A digest is that of SHA-256 or SHA-384.
Every public key that comes in is checked: coordinates below the prime, and on the curve. r and s
must be in 1..n-1. ValueError: a length is wrong.

The nonce of a signature is that of RFC 6979, so that no random numbers are needed; octets handed
in as `extra` (3.6 of it) make it another each time, against faults that are induced.

A step is a doubling and two additions, or about as much of something else. The sequence of steps
and of operations does not depend on secret numbers, and tables are read whole; comparisons tell
how a key or nonce was refused, no more. On a Cortex-M3 at 62.5 million instructions a second:

              sign     verify   agree    key pair  longest step  heap held meanwhile
    P-256     0.70 s   1.58 s   1.16 s   0.56 s    12 ms         0.7 KiB; verify, agree 1.5 KiB
    P-384     1.90 s   4.10 s   3.02 s   1.44 s    26 ms         1.0 KiB; verify, agree 2.1 KiB

The registers are cleared in the end; octets that were made on the way (nonces) are left to the
collector.

The third argument is what the port has instead, with the same four functions, of OpenSSL or in a
chip that keeps the keys; its work is done in one step. See firmware/ports/ciphers.
"""

from micropython import const

from crypto import _points as points
from crypto import field
from crypto.hashes import hmac

# Registers: see _points.py. The table of multiples of Q comes after those.
_Q = const(3)
_ZQ = const(5)
_T0 = const(6)
_B = const(14)
_CONSTANTS = const(15)
_ZERO = const(16)
_TABLE = const(19)

_N_REGISTERS = const(19)
_N_REGISTERS_TABLE = const(43)

# Points of the comb, a digit of four bits; of the table of multiples of Q, a digit of three.
_COMB = const(16)
_MULTIPLES = const(8)
_WINDOW = const(3)

_POWERS_A_STEP = const(6)


class Curve:
    """The constants of a curve, in the form that field.py wants."""

    def __init__(self, name):
        if name == "P-256":
            from crypto import _p256 as made

            self.hash = "sha256"
        elif name == "P-384":
            from crypto import _p384 as made

            self.hash = "sha384"
        else:
            raise ValueError(name)
        self.made = made
        self.size = len(made.PRIME)
        self.prime = field.modulus(made.PRIME, made.KIND)
        self.order = field.modulus(made.ORDER, 0)


class Work:
    def __init__(self, name, new_hash):
        self.curve = Curve(name)
        self.result = None
        self._new_hash = new_hash
        self._job = None
        self._w = None

    def step(self):
        """1: there is more to do. 0: the result is there."""
        if self._job is None:
            return 0
        more = 0
        try:
            next(self._job)
            more = 1
        except StopIteration:
            pass
        finally:
            if not more:
                self.stop()
        return more

    def stop(self):
        """Forget what is being done, and the secrets in it."""
        if self._w is not None:
            field.clear(self._w)
        self._w = None
        self._job = None

    def sign(self, private, digest, extra=b""):
        self._expect(private, 1, digest, 1)
        self._begin(_N_REGISTERS, self._sign(private, digest, extra))

    def verify(self, public, digest, signature):
        self._expect(public, 2, digest, 1)
        self._expect(signature, 2, digest, 1)
        self._begin(_N_REGISTERS_TABLE, self._verify(public, digest, signature))

    def agree(self, private, public):
        self._expect(private, 1, public, 2)
        self._begin(_N_REGISTERS_TABLE, self._agree(private, public))

    def public_key(self, private):
        self._expect(private, 1, private, 1)
        self._begin(_N_REGISTERS, self._public_key(private))

    def generate(self, random_fill):
        private = bytearray(self.curve.size)
        random_fill(private)
        while not self._in_range(private, 0):
            random_fill(private)
        self._begin(_N_REGISTERS, self._generate(private))

    def _expect(self, a, n_a, b, n_b):
        size = self.curve.size
        if len(a) != n_a * size or len(b) != n_b * size:
            raise ValueError("length of a key, digest or signature")

    def _begin(self, n_registers, job):
        self.stop()
        curve = self.curve
        w = field.numbers(n_registers, curve.prime)
        self._w = w
        self.result = None
        self._job = job
        self._modulo(curve.prime)
        field.load(w, _B, curve.prime, curve.made.B, 0)
        self._run(points.SCALE_B)

    # --- Pieces

    def _modulo(self, m):
        self._m = m
        field.constants(self._w, _CONSTANTS, m)

    def _run(self, program):
        field.run(program, 0, len(program), self._w, self._m)

    def _load(self, at, buf, pos):
        field.load(self._w, at, self._m, buf, pos)

    def _store(self, at, buf, pos):
        field.store(self._w, at, self._m, buf, pos)

    def _in_range(self, buf, pos):
        """1..n-1?"""
        number = bytes(buf[pos : pos + self.curve.size])
        return number < self.curve.made.ORDER and any(number)

    def _take_point(self, buf):
        """Q becomes a public key, scaled. False: it is not on the curve."""
        size = self.curve.size
        prime = self.curve.made.PRIME
        if bytes(buf[:size]) >= prime or bytes(buf[size:]) >= prime:
            return False
        self._load(_Q, buf, 0)
        self._load(_Q + 1, buf, size)
        self._run(points.SCALE_Q)
        self._run(points.ONE_ZQ)
        self._run(points.EQUATION)
        return field.is_zero(self._w, _T0, self._m)

    def _multiply(self, u, v):
        """The point becomes u G + v Q; octets with the highest first, or None: not that one."""
        w = self._w
        m = self._m
        size = self.curve.size
        columns = size * 2
        comb = self.curve.made.COMB
        self._run(points.INFINITY)
        bit = columns - 1
        if v:
            bit = size * 8 - 1
            for i in range(_MULTIPLES):
                field.pick(w, _TABLE + i * 3, m, None, 0, 1, 3, 0)
                self._run(points.ADD)
                yield
            self._run(points.INFINITY)
        while bit >= 0:
            self._run(points.DOUBLE)
            if v and bit % _WINDOW == 0:
                digit = 0
                for k in range(_WINDOW):
                    digit |= self._bit(v, bit + k) << k
                field.pick(w, _Q, m, None, _TABLE, _MULTIPLES, 3, digit)
                self._run(points.ADD)
            if u and bit < columns:
                digit = 0
                for k in range(4):
                    digit |= self._bit(u, bit + k * columns) << k
                field.pick(w, _Q, m, comb, 0, _COMB, 2, digit)
                self._run(points.SCALE_Q)
                field.pick(w, _ZQ, m, None, _ZERO, 2, 1, (digit + 15) >> 4)
                self._run(points.ADD)
            bit -= 1
            yield

    def _bit(self, octets, bit):
        i = self.curve.size - 1 - (bit >> 3)
        return octets[i] >> (bit & 7) & 1 if i >= 0 else 0

    def _invert(self, modulus):
        """X3 = 1 / T0, by Fermat's theorem; the exponent is no secret."""
        w = self._w
        m = self._m
        self._run(points.POWERS)
        exponent = bytearray(modulus)
        exponent[-1] -= 2  # both primes and both orders end in more than that
        left = _POWERS_A_STEP
        for octet in exponent:
            for shift in (6, 4, 2, 0):
                digit = octet >> shift & 3
                at = (digit - 1) * points.POWER_LEN
                if digit:
                    field.run(points.POWER, at, at + points.POWER_LEN, w, m)
                else:
                    field.run(points.POWER, 0, points.SQUARES_LEN, w, m)
                left -= 1
                if not left:
                    left = _POWERS_A_STEP
                    yield

    def _affine(self):
        self._run(points.TAKE_Z)
        yield from self._invert(self.curve.made.PRIME)
        self._run(points.AFFINE)
        yield

    def _nonces(self, private, digest, extra):
        """RFC 6979, 3.2: an endless row of octets of the size of a key, or None: go on."""
        curve = self.curve
        name = curve.hash
        new_hash = self._new_hash
        v = b"\x01" * curve.size
        k = bytes(curve.size)
        # The digest modulo n.
        self._load(_T0, digest, 0)
        self._run(points.SCALE_T0)
        self._run(points.UNSCALE_T0)
        reduced = bytearray(curve.size)
        self._store(_T0, reduced, 0)
        for separator in (b"\0", b"\x01"):
            k = hmac(name, new_hash, k, (v, separator, private, reduced, extra))
            yield None
            v = hmac(name, new_hash, k, (v,))
            yield None
        while True:
            v = hmac(name, new_hash, k, (v,))
            yield v
            k = hmac(name, new_hash, k, (v, b"\0"))
            yield None
            v = hmac(name, new_hash, k, (v,))
            yield None

    # --- Jobs

    def _sign(self, private, digest, extra):
        curve = self.curve
        size = curve.size
        signature = bytearray(size * 2)
        if not self._in_range(private, 0):
            return
        self._modulo(curve.order)
        for nonce in self._nonces(private, digest, extra):
            if nonce is None or not self._in_range(nonce, 0):
                yield
                continue
            self._modulo(curve.prime)
            yield from self._multiply(nonce, None)
            yield from self._affine()
            self._modulo(curve.order)
            self._run(points.REDUCE_X)
            self._store(0, signature, 0)
            self._load(1, digest, 0)
            self._load(_Q, private, 0)
            self._load(_T0, nonce, 0)
            self._run(points.SCALE_T0)
            yield from self._invert(curve.made.ORDER)
            self._run(points.SIGN)
            self._store(1, signature, size)
            if self._in_range(signature, 0) and self._in_range(signature, size):
                self.result = bytes(signature)
                return
            self._modulo(curve.order)

    def _verify(self, public, digest, signature):
        curve = self.curve
        size = curve.size
        self.result = 0
        if not self._in_range(signature, 0) or not self._in_range(signature, size):
            return
        self._modulo(curve.order)
        self._load(0, signature, 0)
        self._load(1, digest, 0)
        self._load(_T0, signature, size)
        self._run(points.SCALE_T0)
        yield from self._invert(curve.made.ORDER)
        self._run(points.VERIFY)
        u = bytearray(size)
        v = bytearray(size)
        self._store(_Q, u, 0)
        self._store(_Q + 1, v, 0)
        self._modulo(curve.prime)
        if not self._take_point(public):
            return
        yield from self._multiply(u, v)
        if field.is_zero(self._w, 2, self._m):
            return
        yield from self._affine()
        self._modulo(curve.order)
        self._run(points.REDUCE_X)
        self._store(0, u, 0)
        self.result = 1 if u == signature[:size] else 0

    def _agree(self, private, public):
        if not self._in_range(private, 0) or not self._take_point(public):
            return
        yield from self._multiply(None, private)
        yield from self._affine()
        shared = bytearray(self.curve.size)
        self._store(0, shared, 0)
        self.result = bytes(shared)

    def _public_key(self, private):
        if not self._in_range(private, 0):
            return
        yield from self._multiply(private, None)
        yield from self._affine()
        size = self.curve.size
        made = bytearray(size * 2)
        self._store(0, made, 0)
        self._store(1, made, size)
        self.result = bytes(made)

    def _generate(self, private):
        yield from self._public_key(private)
        self.result = bytes(private) + self.result


class HostWork:
    """The same, by what the port has."""

    def __init__(self, host):
        self._host = host
        self.result = None

    def step(self):
        return 0

    def stop(self):
        pass

    def sign(self, private, digest, extra=b""):
        self.result = self._host.sign(private, digest, extra)

    def verify(self, public, digest, signature):
        self.result = self._host.verify(public, digest, signature)

    def agree(self, private, public):
        self.result = self._host.agree(private, public)

    def public_key(self, private):
        self.result = self._host.public_key(private)

    def generate(self, random_fill):
        self.result = self._host.generate(random_fill)


def new(name, new_hash, host=None):
    """ValueError: no such curve. "P-256", "P-384"."""
    return HostWork(host) if host else Work(name, new_hash)
