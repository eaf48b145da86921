# SPDX-License-Identifier: MIT
"""Which keys of a meter may be the same; lib/cosem/key_places.py is this rule on the meter.

A key that encrypts APDUs, GUEK or GBEK, is in one place only: what was said to one Security setup
cannot be said again to another. Several may have one GAK, or one KEK. No key has two roles.
"""

_SECURITY_SETUP = 64
_ONE_FOR_ALL = ("gak", "kek")


def clash(setups):
    """((name, role), (name, role)) of two places that have one key and may not, or None.

    setups: {name: {role: octets or hexadecimal}} in order, one without a key left out.
    """
    places = [(name, role, key) for name, keys in setups.items() for role, key in keys.items()]
    for n, (name, role, key) in enumerate(places):
        for other, other_role, other_key in places[:n]:
            if key == other_key and not (role == other_role and role in _ONE_FOR_ALL):
                return (name, role), (other, other_role)
    return None


def check(loader):
    """The keys of a definition, and that counters are saved; loader: the definition.Loader."""
    for o in loader.definition.objects:
        if o.version.class_id == _SECURITY_SETUP and o.volatile:
            message = "volatile for %s; expected it to be saved: no counter may come again"
            raise loader.error(o.origin["volatile"], message % o.text)
    setups = {o: o.keys() for o in loader.definition.objects if "keys" in o.state}
    found = clash(setups)
    if found:
        (o, role), (other, other_role) = found
        message = "%s is the %s of %s, too; expected another key, see tools/tables/key_places.py"
        raise loader.error(o.origin["keys"], message % (role, other_role, other.text))
