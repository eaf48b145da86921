# SPDX-License-Identifier: MIT
"""What the trees of tools/decoding tell, in the words of vectors/*.jsonl, "fields"."""

import json
import os
import struct

from decoding.fields import CONFORMANCE

FOLDER = os.path.join(os.path.dirname(__file__), "vectors")
SERVICES = ("get-request", "get-response", "set-request", "set-response", "action-request",
            "action-response")  # fmt: skip


def vectors(*files):
    """The vectors of these files that are octets to decode."""
    found = []
    for file in files:
        with open(os.path.join(FOLDER, file + ".jsonl")) as f:
            found += [json.loads(line) for line in f]
    return [v for v in found if "hex" in v and v.get("kind") in (None, "protected")]


def nested(node, start, end):
    """Ranges nest, and lie within what was decoded; so do the octets of faults."""
    assert start <= node.start <= node.end <= end, node
    assert node.error is None or start <= node.error.at <= end, node
    for child in node.children:
        nested(child, node.start, node.end)


def blamed(decode, octets, at):
    """What is said to be wrong at an octet."""
    node = decode(octets)
    nested(node, 0, len(octets))
    return "; ".join(fault for _, fault in node.faults() if fault.at == at)


def cut_off(decode, octets):
    """Octets without their last ones, decoded, for each number of them: the first fault is where
    they end, and says what was expected."""
    for n in range(len(octets)):
        node = decode(octets[:n])
        nested(node, 0, n)
        faults = [fault for _, fault in node.faults()]
        assert {fault.at for fault in faults} == {n}, (n, faults)
        assert all("expected" in fault for fault in faults), (n, faults)
        yield n, node


def data(node):
    """[type, value] of a Data."""
    if node.type in ("array", "structure"):
        return [node.type, [data(child) for child in node.children]]
    if node.type == "compact-array":
        description, contents = node.children
        return [node.type, _described(description), [data(child) for child in contents.children]]
    if node.value is None:
        return [node.type]
    value = node.value
    if isinstance(value, float):
        value = struct.pack(">f" if node.type == "float32" else ">d", value)
    if node.type in ("visible-string", "utf8-string"):
        value = value.encode("utf-8")
    return [node.type, value.hex() if isinstance(value, bytes) else value]


def _described(node):
    if node.type == "structure":
        return ["structure", [_described(child) for child in node.children]]
    return [node.kind.tag]


def _descriptor(node):
    class_id, name, index = node.children
    kind = "attr" if index.name == "attribute-id" else "method"
    return {"class": class_id.value, "obis": name.text, kind: index.value}


def _selection(node):
    if node.value is None and not node.children:
        return None
    return {
        "selector": node["access-selector"].value,
        "parameters": data(node["access-parameters"]),
    }


def _result(node):
    """CHOICE of a Data and a data-access-result, or of octets."""
    child = node.children[0]
    if child.name == "data":
        return {"data": data(child)}
    return {child.name: child.text if child.type == "ENUMERATED" else child.value.hex()}


def _block(node):
    found = {}
    for child in node.children:
        if child.name == "result":
            found.update(_result(child))
        else:
            value = child.value
            found[child.name] = value.hex() if isinstance(value, bytes) else value
    return found


def _acted(node):
    parameters = node["return-parameters"]
    return {"result": node["result"].text,
            "return-parameters": _result(parameters) if parameters.children else None}  # fmt: skip


def _octets(node):
    return None if node.value is None else node.value.hex()


def _protected(node):
    """Of the octet string that holds it."""
    inner = node.children[0]
    control = inner["security-control"].value
    found = {
        "sc": "%02x" % control, "suite": control & 0x0F, "authenticated": bool(control & 0x10),
        "encrypted": bool(control & 0x20), "broadcast": bool(control & 0x40),
        "compressed": bool(control & 0x80), "ic": inner["invocation-counter"].value,
        "body": inner["content"].value.hex(),
    }  # fmt: skip
    if control & 0x10:
        found["tag"] = inner["authentication-tag"].value.hex()
    return found


def _variable(node):
    child = node.children[0]
    if child.name == "variable-name":
        return {child.name: "%04x" % child.value}
    if child.name == "parameterized-access":
        name, selector, parameter = child.children
        found = {"variable-name": "%04x" % name.value, "selector": selector.value}
        return {child.name: {**found, "parameter": data(parameter)}}
    return {child.name: _block(child)}


def _read(node):
    child = node.children[0]
    if child.name == "block-number":
        return {child.name: child.value}
    return {child.name: data(child) if child.name == "data" else child.text}


def _written(node):
    child = node.children[0]
    return child.name if child.name == "success" else {child.name: child.text}


def _specification(node):
    child = node.children[0]
    kind = child.name.split("-")[2]
    found = {kind: _descriptor(child.children[0])}
    if len(child.children) > 1:
        found["selection"] = _selection(child["access-selection"])
    return found


def _key_info(node):
    child = node.children[0]
    if child.name == "identified-key":
        return {child.name: child["key-id"].value}
    found = {
        m.name: m.value.hex() if isinstance(m.value, bytes) else m.value for m in child.children
    }
    return {child.name: found}


def _listed(one):
    return lambda node: [one(child) for child in node.children]


def _selected(node):
    attribute, selection = node.children
    return {"attribute": _descriptor(attribute), "selection": _selection(selection)}


def _value(node):
    return node.value


def _text(node):
    return node.text


# member -> (the vectors' name of it, how it is told)
MEMBERS = {
    "access-request-list-of-data": ("data", _listed(data)),
    "access-request-specification": (
        "spec", _listed(_specification)),
    "access-response-list-of-data": ("data", _listed(data)),
    "access-response-specification": (
        "result", _listed(lambda n: {n.children[0].name.split("-")[2]: n.children[0].text})),
    "access-selection": ("selection", _selection),
    "attribute-descriptor-list": ("list", _listed(_selected)),
    "attribute-value": ("value", data),
    "block-data": ("block-data", _octets),
    "block-number": ("block-number", _value),
    "block-number-ack": ("block-number-ack", _value),
    "client-max-receive-pdu-size": ("max-pdu", _value),
    "ciphered-content": ("content", _protected),
    "ciphered-service": ("content", _protected),
    "content": ("content", _octets),
    "cosem-attribute-descriptor": ("attribute", _descriptor),
    "cosem-method-descriptor": ("method", _descriptor),
    "cosem-method-descriptor-list": ("methods", _listed(_descriptor)),
    "current-time": ("current-time", _octets),
    "datablock": ("block", _block),
    "date-time": ("date-time", _octets),
    "dedicated-key": ("dedicated-key", _octets),
    "key-info": ("key-info", _key_info),
    "list-of-data": ("data", _listed(data)),
    "list-of-responses": ("responses", _listed(_acted)),
    "negotiated-dlms-version-number": ("dlms-version", _value),
    "negotiated-quality-of-service": ("qos", _value),
    "notification-body": ("body", data),
    "originator-system-title": ("originator", _octets),
    "other-information": ("other-information", _octets),
    "pblock": ("block", _block),
    "proposed-dlms-version-number": ("dlms-version", _value),
    "proposed-quality-of-service": ("qos", _value),
    "recipient-system-title": ("recipient", _octets),
    "response-allowed": ("response-allowed", _value),
    "server-max-receive-pdu-size": ("max-pdu", _value),
    "signature": ("signature", _octets),
    "single-response": ("response", _acted),
    "state-error": ("state-error", _value),
    "system-title": ("system-title", _octets),
    "time": ("time", _octets),
    "transaction-id": ("transaction-id", _octets),
    "vaa-name": ("vaa", lambda n: "%04x" % n.value),
    "value": ("value", data),
    "value-list": ("values", _listed(data)),
    "variable-access-specification": ("spec", _listed(_variable)),
}  # fmt: skip


def _conformance(node):
    return [word.partition(" ")[0] for word in CONFORMANCE.names(node.value)]


def _member(node):
    """{name: what is told} of a member of an APDU."""
    name = node.name
    if name == "invoke-id-and-priority":
        value = node.value
        return {"iip": {"invoke-id": value & 0x0F, "confirmed": bool(value & 0x40),
                        "high": bool(value & 0x80)}}  # fmt: skip
    if name == "long-invoke-id-and-priority":
        value = node.value
        return {"long-iip": {
            "long-invoke-id": value & 0xFFFFFF, "self-descriptive": bool(value & 0x10000000),
            "break-on-error": bool(value & 0x20000000), "confirmed": bool(value & 0x40000000),
            "high": bool(value & 0x80000000)}}  # fmt: skip
    if name.endswith("-conformance"):
        return {"conformance": _conformance(node)}
    if name == "service-error":
        found = {name: node.kind.put(node)[0]}
        child = node.children[0]
        return {**found, "invocation-counter": child.value} if child.value is not None else found
    if name == "block-control":
        value = node.value
        return {"last-block": bool(value & 0x80), "streaming": bool(value & 0x40),
                "window": value & 0x3F}  # fmt: skip
    if name == "method-invocation-parameters":
        if node.type.startswith("SEQUENCE"):
            return {"parameters": _listed(data)(node)}
        return {"parameters": None if node.type == "Data" else data(node)}
    if name == "result":
        if node.type == "SEQUENCE OF Get-Data-Result":
            return {"list": _listed(_result)(node)}
        if node.type == "DataBlock-G":
            return {"block": _block(node)}
        if node.type.startswith("SEQUENCE"):
            return {"results": _listed(_text)(node)}
        return {name: _result(node) if node.children else node.text}
    if name == "access-request-specification" and not node.children:
        return {"request-spec": None}
    known, told = MEMBERS[name]
    return {known: told(node)}


def _acse(node):
    found = {"apdu": node.name}
    for child in node.children:
        name = child.name.replace("application-context-name", "application-context")
        if name == "user-information":
            found[name] = apdu(child.children[0])
        elif name.endswith("requirements"):
            found[name] = child.kind.put(child).hex()
        elif name == "result-source-diagnostic":
            found[name] = [child.children[0].name.split("-")[2], child.children[0].value]
        elif name.endswith("authentication-value"):
            found[name] = "%s:%s" % (child.children[0].name, child.children[0].value.hex())
        else:
            found[name] = child.value.hex() if isinstance(child.value, bytes) else child.value
    return found


def apdu(node):
    """The fields of an APDU."""
    name = node.name
    if name in ("aarq", "aare", "rlrq", "rlre"):
        return _acse(node)
    if name.startswith("glo-") or name.startswith("ded-"):
        return {"apdu": name, "content": _protected(node)}
    if name == "readResponse":
        return {"apdu": name, "result": _listed(_read)(node)}
    if name == "writeResponse":
        return {"apdu": name, "result": _listed(_written)(node)}
    if name == "confirmedServiceError":
        service = node.children[0]
        return {"apdu": name, "service": service.name, "error": service.children[0].name,
                "value": service.children[0].value}  # fmt: skip
    found = {"apdu": name}
    for service in SERVICES:
        if name.startswith(service + "-"):
            found = {"apdu": service, "choice": name[len(service) + 1 :]}
    for child in node.children:
        found.update(_member(child))
    return found


def lines(*files):
    """The vectors of these files, with the file as their layer."""
    found = []
    for file in files:
        with open(os.path.join(FOLDER, file + ".jsonl")) as f:
            found += [dict(json.loads(line), layer=file) for line in f]
    return found
