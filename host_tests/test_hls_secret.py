# SPDX-License-Identifier: MIT
"""lib/cosem/association_ln.py: method change_HLS_secret. Client 4 of certified.py has a secret,
HLS-SHA-256, and ciphers; client 5 has LLS."""

import pytest
from certified import Certified
from secure import AE, Client, E

OLD, NEW = b"secret of certified", b"another secret"
DONE = "C701410000"
GET = "C00141 0001 0000603C01FF 02 00"
VALUE = "C401410009020102"


def client(meter, secret):
    meter.ic += 1000
    talk = meter.talk(client=4, server=1)
    return Client(talk, mechanism=6, secret=secret, suite=1, ic=meter.ic)


def change(secret, n=4):
    """ACTION change_HLS_secret of association n; 0: the current one."""
    return "C30141 000F 00002800%02XFF 02 01 09%02X" % (n, len(secret)) + secret.hex()


def opens(meter, secret):
    c = client(meter, secret)
    assert c.begin()["diagnostic"] == 14
    return c.finish() == "ok"


@pytest.mark.parametrize("n", [0, 4])
def test_the_next_association_needs_the_new_one(n):
    meter = Certified()
    c = client(meter, OLD).open()
    assert c.ask(change(NEW, n)) == DONE
    assert c.ask(GET) == VALUE
    assert not opens(meter, OLD)
    assert opens(meter, NEW)


def test_by_a_management_client():
    meter = Certified()
    assert meter.client(1).ask(change(NEW)) == DONE
    assert opens(meter, NEW)


@pytest.mark.parametrize("secret", [b"", b"x" * 65])
def test_secrets_of_no_length(secret):
    meter = Certified()
    c = client(meter, OLD).open()
    assert c.ask(change(secret)) == "C70141FA00"
    assert opens(meter, OLD)


@pytest.mark.parametrize("parameter", ["01 1105", "00"])
def test_what_is_no_secret(parameter):
    c = client(Certified(), OLD).open()
    assert c.ask("C30141 000F 0000280004FF 02 " + parameter) == "C701410C00"


@pytest.mark.parametrize("sc", [0x10, E])
def test_only_where_nobody_listens_or_changes_it(sc):
    meter = Certified()
    c = client(meter, OLD).open()
    assert c.ask(change(NEW), sc=sc) == "C701410D00"
    assert opens(meter, OLD)


def test_not_in_plain_text():
    meter = Certified()
    c = client(meter, OLD).open()
    assert c.talk.say(change(NEW)) == "C701410D00"
    lls = meter.talk(client=5, server=1)
    assert "A203020100A305A103020100" in lls.open(b"secret of certified")
    assert lls.say(change(NEW)) == "C701410D00"
    assert opens(meter, OLD)


@pytest.mark.parametrize("n", [1, 2, 5])
def test_associations_without_such_a_secret(n):
    """GMAC has keys, LLS a secret that is an attribute."""
    c = Certified().client(1)
    assert c.ask(change(NEW, n), sc=AE) == "C701410300"
