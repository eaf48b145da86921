# SPDX-License-Identifier: MIT
"""The words of the two vocabularies in which Gurux' translator says an APDU, where they are not
those of the Book.

standard    of COSEMpdu (IEC 62056-5-3), which are the names of the nodes, but for those here
simple      these without hyphens, each part with a capital: "class-id" is ClassId, but for those
            here

They are facts of a format, found with what gurux-dlms 1.0.203 writes; host_tests compares all.
"""

from tables.notation import TAGS

# APDUs: name of the node -> (simple, standard), those of a service inside its own element
APDUS = {
    "aarq": ("AssociationRequest", "aarq"),
    "aare": ("AssociationResponse", "aare"),
    "rlrq": ("ReleaseRequest", "rlrq"),
    "rlre": ("ReleaseResponse", "rlre"),
    "get-request-next": ("GetRequestForNextDataBlock", "get-request-next"),
    "get-response-with-datablock": ("GetResponsewithDataBlock", "get-response-with-data-block"),
    "set-request-with-first-datablock": (
        "SetRequestFirstDataBlock",
        "set-request-first-data-block",
    ),
    "set-request-with-datablock": ("SetRequestWithDataBlock", "set-request-with-datablock"),
    "set-response-datablock": ("SetResponseDataBlock", "set-response-data-block"),
    "set-response-last-datablock": (
        "SetResponseWithLastDataBlock",
        "set-response-with-last-data-block",
    ),
    "action-request-next-pblock": (
        "ActionRequestForNextDataBlock",
        "ActionRequestForNextDataBlock",
    ),
    "action-response-with-pblock": ("ActionResponseWithPBlock", "action-response-with-pblock"),
    "action-response-next-pblock": ("ActionResponseNextBlock", "action-response-next-pblock"),
    "glo-confirmedServiceError": ("glo_GloConfirmedServiceError", "glo-confirmed-service-error"),
    "ded-confirmedServiceError": ("ded_GloConfirmedServiceError", "ded-confirmed-service-error"),
}

# Members: name of the node -> (simple, standard)
MEMBERS = {
    "cosem-attribute-descriptor": ("AttributeDescriptor", "cosem-attribute-descriptor"),
    "cosem-method-descriptor": ("MethodDescriptor", "cosem-method-descriptor"),
    "datablock": ("DataBlock", "datablock"),
    "pblock": ("PBlock", "pblock"),
    "client-max-receive-pdu-size": ("ProposedMaxPduSize", "client-max-receive-pdu-size"),
    "server-max-receive-pdu-size": ("NegotiatedMaxPduSize", "server-max-receive-pdu-size"),
    "ciphered-service": ("CipheredService", "ciphered-content"),
    "acse-service-user": ("ACSEServiceUser", "acse-service-user"),
    "acse-service-provider": ("ACSEServiceProvider", "acse-service-provider"),
    "sender-acse-requirements": ("SenderACSERequirements", "sender-acse-requirements"),
    "responder-acse-requirements": ("ResponderACSERequirement", "responder-acse-requirements"),
    "calling-authentication-value": ("CallingAuthentication", "calling-authentication-value"),
    "responding-authentication-value": (
        "RespondingAuthentication",
        "responding-authentication-value",
    ),
    "calling-AP-title": ("CallingAPTitle", "CallingAPTitle"),
    "responding-AP-title": ("RespondingAPTitle", "RespondingAPTitle"),
    "called-AP-title": ("CalledAPTitle", "called-ap-title"),
    "called-AP-invocation-id": ("CalledAPInvocationId", "called-ap-invocation-id"),
    "called-AE-qualifier": ("CalledAEQualifier", "called-ae-qualifier"),
    "called-AE-invocation-id": ("CalledAEInvocationId", "called-ae-invocation-id"),
    "calling-AP-invocation-id": ("CallingApInvocationId", "calling-ap-invocation-id"),
    "calling-AE-qualifier": ("CallingAEQualifier", "calling-Ae-qualifier"),
    "variable-access-specification": (
        "ListOfVariableAccessSpecification",
        "variable-access-specification",
    ),
    "parameterized-access": ("ParameterisedAccess", "parameterized-access"),
    "block-number-access": ("BlockNumberAccess", "BlockNumberAccess"),
    "read-data-block-access": ("ReadDataBlockAccess", "ReadDataBlockAccess"),
    "write-data-block-access": ("WriteDataBlockAccess", "WriteDataBlockAccess"),
    "data-block-result": ("DataBlockResult", "DataBlockResult"),
}

# Types of Data: name -> simple. The others are without hyphens; standard: as they are.
DATA = {
    "null-data": "None",
    "bcd": "BCD",
    "double-long": "Int32",
    "double-long-unsigned": "UInt32",
    "visible-string": "String",
    "utf8-string": "StringUTF8",
    "integer": "Int8",
    "long": "Int16",
    "unsigned": "UInt8",
    "long-unsigned": "UInt16",
    "long64": "Int64",
    "long64-unsigned": "UInt64",
}
DATA_TYPES = {*TAGS, "dont-care"}

# data-access-result and action-result: the Book's word -> simple
RESULTS = {
    "scope-of-access-violated": "AccessViolated",
    "object-class-inconsistent": "InconsistentClass",
    "object-unavailable": "UnavailableObject",
    "object-undefined": "UndefinedObject",
    "type-unmatched": "UnmatchedType",
    "long-get-aborted": "LongGetOrReadAborted",
    "no-long-get-in-progress": "NoLongGetOrReadInProgress",
    "long-set-aborted": "LongSetOrWriteAborted",
    "no-long-set-in-progress": "NoLongSetOrWriteInProgress",
}

CONTEXTS = {1: "LN", 2: "SN", 3: "LN_WITH_CIPHERING", 4: "SN_WITH_CIPHERING"}
MECHANISMS = {
    0: "None", 1: "Low", 2: "High", 3: "HighMd5", 4: "HighSha1", 5: "HighGmac",
    6: "HighSha256", 7: "HighEcdsa",
}  # fmt: skip


def camel(name):
    """ "class-id": ClassId"""
    return "".join(part[:1].upper() + part[1:] for part in name.split("-"))


def of_apdu(name, simple):
    if name in APDUS:
        return APDUS[name][not simple]
    if name[:4] in ("glo-", "ded-"):
        if simple:
            return name[:3] + "_" + camel(name[4:])
        return name[:4] + name[4:].replace("Re", "-re")
    return camel(name) if simple else name


def of_member(name, simple):
    if name in MEMBERS:
        return MEMBERS[name][not simple]
    return camel(name) if simple else name


def of_data(name, simple):
    return DATA.get(name, camel(name)) if simple else name


def of_result(word, simple):
    return RESULTS.get(word, camel(word)) if simple else word
