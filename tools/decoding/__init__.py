# SPDX-License-Identifier: MIT
"""Decoding what meters and clients say, for people and for programs; on the PC only.

The schema: tables of IEC 62056-5-3 from which octets are read and written.

    from decoding import apdu, axdr

    node = apdu.decode(octets)            any APDU, of the xDLMS or of the ACSE; never raises
    node.name                             "get-request-normal", "aarq", "glo-get-request", ...
    node["cosem-attribute-descriptor"]    a child, by its name in the Book's ASN.1
    node.get("result", "data")            the node at the end of a path, or None
    node.faults()                         [(node, fault)]; fault: a sentence; fault.at: the octet
    node.plain()                          dicts, lists and scalars, as encode() takes them
    node.json()                           an object of JSON, as text

    apdu.encode("get-request-normal", {
        "invoke-id-and-priority": 0xC1,
        "cosem-attribute-descriptor": {
            "class-id": 3, "instance-id": "1.0.1.8.0.255", "attribute-id": 2},
    })                                    octets; ValueError says what does not fit
    apdu.encode(node)                     the octets that the node was decoded from, or those of
                                          what was changed in it since
    axdr.decode_data(octets)              a Data: type "structure", value, children
    axdr.encode_data(("structure", [("long-unsigned", 5), ("octet-string", b"")]))

Plain values: a SEQUENCE is a dict (members that may be absent: left out or None), SEQUENCE OF a
list, CHOICE {name: value} (the name alone where there is no value: {"service-error":
"other-reason"}), a Data (type, value), ENUMERATED a number or its name, conformance 24 bits as a
number or a list of names, a logical name text or octets, octets bytes or hexadecimal text, what
holds an APDU octets or (name, value):

    apdu.encode("aarq", {
        "application-context-name": 1, "sender-acse-requirements": "1", "mechanism-name": 1,
        "calling-authentication-value": {"charstring": b"12345678"},
        "user-information": ("initiateRequest", {
            "proposed-dlms-version-number": 6, "proposed-conformance": ["get", "set"],
            "client-max-receive-pdu-size": 1024}),
    })

What is protected, with keys (needs the package `cryptography`):

    from decoding.ciphering import Keys, Session

    keys = Keys.read("sheet.json")        or a record, or PEM; keys.add(guek=..., gak=...)
    session = Session(keys)               one an association; keeps titles, dedicated key
    session.decode(octets, to_meter)      as apdu.decode(), and what is inside below "content", as
                                          a node with `octets` of its own
    session.decipher(node, octets, to_meter)      the same for a tree that is there

node            Node, Fault
schema, composed, ber     the mechanism: kinds that read and write, A-XDR and BER
data, compact, axdr       Data
fields, apdu, acse        the tables
ciphering, keys           what is protected
names_apdu      numbers and names that the meter's tables do not have; the rest is read from those
shown           values as text
xml, xml_names  trees as XML, in the two vocabularies of Gurux' translator
"""
