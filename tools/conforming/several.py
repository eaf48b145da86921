# SPDX-License-Identifier: MIT
"""Cases of several COSEM objects at once, and of some classes (DLMS UA 1001-6)."""

from decoding.axdr import decode_data

from .case import Verdict, expect, group_of, inapplicable, inconclusive
from .objects import ASSOCIATION_LN, CURRENT, PROFILE, by_entry, objects
from .session import descriptor, result

CASES, case = group_of("objects", "DLMS UA 1001-6 (ATS_AL), ")

_CLOCK = 8


def reader(t):
    """(session, Objects) of the client that sees most."""
    entries = t.target.playable()
    if not entries:
        inapplicable("No association can be opened with what is known.")
    best = None
    for entry in entries:
        try:
            found = objects(t, entry)
        except Verdict:
            continue
        if best is None or len(found) > len(best[1]):
            best = entry, found
    if best is None:
        inconclusive("No object_list can be read.")
    return t.session(best[0]).ready(), best[1]


@case("COSEM_MANDATORY", "Objects that have to be there", "7.3.12 (the id is ours)")
def mandatory(t):
    """The current association is there, associated, its context the one that is used; each
    logical device has a logical device name; SAP assignment of the management device lists them
    all, each once."""
    entry = t.some()
    s = t.session(entry).ready()
    status, data = s.get(ASSOCIATION_LN, CURRENT, 8)
    if status:
        t.note("association_status cannot be read: %s" % result(status))
    else:
        expect(data == b"\x16\x02", "association_status is not associated (2).")
    names = {}
    for e in {x["server_sap"]: x for x in t.target.playable()}.values():
        t.done()
        s = t.session(e).ready()
        status, data = s.get(1, "0.0.42.0.0", 2)
        expect(
            status == 0 and data[:1] in (b"\x09", b"\x0a"),
            "There is no COSEM logical device name at server %d." % e["server_sap"],
        )
        expect(data[2:] not in names.values(), "Two logical devices have one name.")
        expect(3 <= data[1] <= 16, "A logical device name has %d octets." % data[1])
        names[e["server_sap"]] = data[2:]
    t.done()
    s = t.session(entry).ready()
    status, data = s.get(17, "0.0.41.0.0", 2)
    if status:
        inconclusive("SAP assignment cannot be read: %s." % result(status))
    listed = {c[0].value: c[1].value for c in decode_data(data).children}
    for sap, name in names.items():
        expect(listed.get(sap) == name, "SAP assignment does not have server %d so." % sap)
    return "%d logical devices" % len(listed)


@case("COSEM_MULTIPLE", "Several attributes in one GET", "7.3.11 (the id is ours)")
def multiple(t):
    """Attributes that do not change, read in a list and alone: the same; with an element that is
    not there among them, its result is an error and the others are as before."""
    s, found = reader(t)
    if not s.has("multiple-references"):
        inapplicable("multiple-references is not negotiated.")
    wanted = [(o, 1) for o in found if found.can_read(o.attributes.get(1, 0))][:8]
    if not wanted:
        inapplicable("The list has no object whose logical_name can be read.")
    single = [s.get(o.class_id, o.name, i)[1] for o, i in wanted]
    apdu = b"\xc0\x03\xc1" + bytes((len(wanted),))
    apdu += b"".join(descriptor(o.class_id, o.name, i) + b"\0" for o, i in wanted)
    expected = bytes((len(wanted),)) + b"".join(b"\0" + data for data in single)
    expect(together(s, apdu) == expected, "A list reads other than its attributes alone.")
    missing = descriptor(1, "0.7.99.77.55", 2) + b"\0"
    apdu = b"\xc0\x03\xc1\x02" + missing + apdu[4 : 4 + len(missing)]
    got = together(s, apdu)
    expect(
        got[:2] == b"\x02\x01" and got[3:] == b"\0" + single[0],
        "A list of an object that is not there and of %s/1 reads %s; expected 02 01, a result, 00"
        " %s." % (wanted[0][0], got.hex(" "), single[0].hex(" ")),
    )


def together(s, apdu):
    """Octets of the list of results."""
    got = s.sure(apdu)
    if got[:2] == b"\xc4\x02":
        return s.rest(got)
    expect(got[:3] == b"\xc4\x03\xc1", "GET with list is answered with %s." % got[:3].hex(" "))
    return got[3:]


def profile(t):
    """(session, Object, rows, columns) of a Profile generic with some rows."""
    s, found = reader(t)
    if not s.has("selective-access"):
        inapplicable("selective-access is not negotiated.")
    best = None
    for o in found.find(PROFILE):
        if not found.can_read(o.attributes.get(2, 0)):
            continue
        n = int.from_bytes(s.get(PROFILE, o.name, 7)[1][1:5], "big")
        if 2 <= n <= 1000 and (best is None or n < best[1]):
            best = o, n
    if best is None:
        inapplicable("No profile has between 2 and 1000 rows.")
    columns = decode_data(s.get(PROFILE, best[0].name, 3)[1]).children
    return s, best[0], best[1], columns


def rows_of(s, o, selection):
    status, data = s.get(PROFILE, o.name, 2, selection)
    expect(
        status == 0,
        "GET of the rows of %s by %s says %s."
        % (o, "range" if selection[0] == 1 else "entry", result(status)),
    )
    return decode_data(data).children


@case("COSEM_7_ENTRY", "Rows of a profile by entry", "7.3.4.4 (the id is ours)")
def entries(t):
    """A row and a column: one value. From 1 to 0 (the last): all. From 2 to 2: one. What is not
    there, and a selector that nobody has defined: nothing, or a refusal."""
    s, o, n, columns = profile(t)
    one = rows_of(s, o, by_entry(1, 1, 1, 1))
    expect(len(one) == 1 and len(one[0].children) == 1, "One cell is not one value.")
    everything = rows_of(s, o, by_entry(1, 0))
    expect(abs(len(everything) - n) <= 1, "%d rows came; expected %d." % (len(everything), n))
    expect(
        all(len(row.children) == len(columns) for row in everything),
        "A row has not %d columns." % len(columns),
    )
    expect(len(rows_of(s, o, by_entry(2, 2))) == 1, "From entry 2 to entry 2 is not one row.")
    for what, selection in (
        ("Entry %d and more, behind the last one," % (n + 10), by_entry(n + 10, n + 20)),
        ("From entry 2 to entry 1", by_entry(2, 1)),
        ("Columns behind the last one", by_entry(1, 1, len(columns) + 1, len(columns) + 2)),
        ("Selector 9", b"\x09" + by_entry(1, 1)[1:]),
    ):
        status, data = s.get(PROFILE, o.name, 2, selection)
        cells = [c for row in decode_data(data).children for c in row.children] if data else []
        expect(status or not cells, "%s: %d values come." % (what, len(cells)))
    return "%s, %d rows" % (o, n)


@case("COSEM_7_RANGE", "Rows of a profile by range", "7.3.4.3 (the id is ours)")
def ranges(t):
    """Between two times that have all rows between them: all. In the far future: none, or a
    refusal; nor backwards in time. From the time of a row to the same: that row at least."""
    s, o, n, columns = profile(t)
    if not columns or (columns[0][0].value, columns[0][2].value) != (_CLOCK, 2):
        inapplicable("The first column of %s is not the time of a clock." % o)
    column = b"\x02\x04\x12" + _CLOCK.to_bytes(2, "big") + b"\x09\x06" + columns[0][1].value
    column += b"\x0f\x02\x12\0\0"

    def between(begin, end):
        return b"\x01\x02\x04" + column + b"\x09\x0c" + begin + b"\x09\x0c" + end + b"\x01\x00"

    def day(year):
        return year.to_bytes(2, "big") + b"\x01\x01\xff\0\0\0\0\x80\0\xff"

    everything = rows_of(s, o, between(day(2000), day(2099)))
    expect(abs(len(everything) - n) <= 1, "%d rows came; expected %d." % (len(everything), n))
    for what, first, last in (("2098", 2098, 2099), ("2099 to 2000", 2099, 2000)):
        status, data = s.get(PROFILE, o.name, 2, between(day(first), day(last)))
        expect(status or data == b"\x01\x00", "Rows of the years %s come." % what)
    times = [row.children[0].value for row in everything]
    time = times[0]
    if isinstance(time, bytes) and len(time) == 12 and None not in times:
        got = rows_of(s, o, between(time, time))
        expect(
            len(got) == times.count(time),
            "%d rows of %s come; expected %d." % (len(got), time.hex(" "), times.count(time)),
        )
    return "%s, %d rows" % (o, n)
