# SPDX-License-Identifier: MIT
"""Where the attributes of a class are in the XML object lists of Gurux: one row a class.

A row has the name of the class behind GXDLMS, and its members in the order in which the library
writes and reads them. A path is an attribute's index, then indexes of fields:

    E(name, path, kind)          an element whose text is the value; kind: see texts.py, where the
                                 type of the attribute does not say it all
    O(name, path)                likewise, with the type in attributes: for values of any type
    G(name, members)             an element around others
    L(name, path, item, members) an array: an element an item; paths of the members begin in it.
                                 Without members the item has the text, of this kind
    N(path, number)              no element: where the group around it is, the value is this
    A(name, ...)                 of Association LN: what the definition says of the association

The names are those that gurux-dlms 1.0.203 writes and expects (its file format; facts, found with
files that it wrote), and in READ_ONLY those of the templates of Gurux.DLMS.Simulator. Classes that
are not here it does not save, or saves such that it cannot read them: they are left out of what is
written, and of what is read.
"""


class Member:
    """One element. name, path (tuple), kind, item (name of the elements of an array), members,
    typed (its attributes say which type it has), of (what of an association)."""

    def __init__(self, name, path=(), kind=None, item=None, members=(), typed=False, of=None):
        self.name = name
        self.path = (path,) if isinstance(path, int) else path
        self.kind = kind
        self.item = item
        self.members = members
        self.typed = typed
        self.of = of


def E(name, path, kind=None):
    return Member(name, path, kind)


def O(name, path):  # noqa: E743  its element is an "element object"
    return Member(name, path, typed=True)


def G(name, *members):
    return Member(name, members=members)


def L(name, path, item, *members, kind=None, typed=False):
    return Member(name, path, kind, item, members, typed)


def A(name, of=None, *members):
    return Member(name, of=of, members=members)


def N(path, number):
    return Member(None, path, number)


def in_order(*names):
    """Attributes from 2 on, each an element with plain text."""
    return [E(name, k) for k, name in enumerate(names, 2)]


def seasons(name, attribute):
    return L(
        name,
        attribute,
        "Item",
        E("Name", 0, "hex"),
        E("Start", 1),
        E("WeekName", 2, "hex"),
    )


def weeks(name, attribute):
    days = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
    members = [E(day, k) for k, day in enumerate(days, 1)]
    return L(name, attribute, "Item", E("Name", 0, "hex"), *members)


def days(name, attribute):
    action = (E("Start", 0), E("LN", 1), E("Selector", 2))
    return L(name, attribute, "Item", E("DayId", 0), L("Actions", 1, "Action", *action))


def windows(name, attribute):
    return L(name, attribute, "Item", E("Start", 0), E("End", 1))


def quality(name, field):
    words = ("Precedence", "Delay", "Reliability", "PeakThroughput", "MeanThroughput")
    return G(name, *(E(word, (4, field, k)) for k, word in enumerate(words)))


def script(name, attribute, field, selector="ScriptSelector"):
    return G(name, E("LN", (attribute, field, 0)), E(selector, (attribute, field, 1)))


def name_of(element, of):
    """The seven parts of an object identifier, as of an application context."""
    head = ("JointIsoCtt", "Country", "CountryName", "IdentifiedOrganization", "DlmsUA")
    last = ("ApplicationContext", "ContextId")
    if element == "AuthenticationMechanismName":
        last = ("AuthenticationMechanismName", "MechanismId")
    return A(element, None, *(A(part, "%s.%d" % (of, k)) for k, part in enumerate(head + last)))


_VALUE = 2  # the attribute that is meant where only an object is named
_OBJECT = (E("ObjectType", 0), E("LN", 1))
_UNIT = (E("Unit", (3, 1)), E("Scaler", (3, 0), "factor"))

# fmt: off
LAYOUTS = {
    1: ("Data", O("Value", 2)),
    3: ("Register", *_UNIT, O("Value", 2)),
    4: ("ExtendedRegister", *_UNIT, O("Value", 2), O("Status", 4), E("CaptureTime", 5)),
    5: ("DemandRegister",
        O("CurrentAverageValue", 2), O("LastAverageValue", 3), E("Scaler", (4, 0), "factor"),
        E("Unit", (4, 1)), O("Status", 5), E("CaptureTime", 6), E("StartTimeCurrent", 7),
        E("Period", 8), E("NumberOfPeriods", 9)),
    6: ("RegisterActivation",
        L("RegisterAssignment", 2, "Item", *_OBJECT), L("MaskList", 3, "Item",
        E("Mask", 0, "hex"), E("Index", 1, "octets;")), E("ActiveMask", 4, "hex")),
    7: ("ProfileGeneric",
        L("Buffer", 2, "Row", kind="rows"), L("CaptureObjects", 3, "Item", *_OBJECT,
        E("Attribute", 2), E("Data", 3)), E("CapturePeriod", 4), E("SortMethod", 5),
        G("SortObject", E("ObjectType", (6, 0)), E("LN", (6, 1)), N((6, 2), _VALUE)),
        E("EntriesInUse", 7), E("ProfileEntries", 8)),
    8: ("Clock",
        *in_order("Time", "TimeZone", "Status", "Begin", "End", "Deviation", "Enabled",
        "ClockBase")),
    9: ("ScriptTable",
        L("Scripts", 2, "Script", E("ID", 0), L("Actions", 1, "Action", E("Type", 0),
        E("ObjectType", 1), E("LN", 2), E("Index", 3), E("ParameterDataType", 4, "type"),
        O("Parameter", 4)))),
    10: ("Schedule",
        L("Entries", 2, "Item", E("Index", 0), E("Enable", 1), E("LogicalName", 2),
        E("ScriptSelector", 3), E("SwitchTime", 4), E("ValidityWindow", 5),
        E("ExecWeekdays", 6, "flags"), E("ExecSpecDays", 7), E("BeginDate", 8), E("EndDate", 9))),
    11: ("SpecialDaysTable",
        L("Entries", 2, "Entry", E("Index", 0), E("Date", 1), E("DayId", 2))),
    12: ("AssociationShortName", A("Secret", "secret"), A("SecuritySetupReference", "security")),
    15: ("AssociationLogicalName",
        A("ClientSAP", "client_sap"), A("ServerSAP", "server_sap"),
        name_of("ApplicationContextName", "context"),
        A("XDLMSContextInfo", None, A("Conformance", "conformance"),
        A("MaxReceivePduSize", "max_receive"), A("MaxSendPduSize", "max_send"),
        A("DlmsVersionNumber", "version"), A("QualityOfService", "quality"),
        A("CypheringInfo", "ciphering")),
        name_of("AuthenticationMechanismName", "mechanism"), A("Secret", "secret"),
        A("AssociationStatus", "status"), A("SecuritySetupReference", "security")),
    17: ("SapAssignment", L("SapAssignmentList", 2, "Item", E("SAP", 0), E("LDN", 1, "text"))),
    18: ("ImageTransfer",
        E("ImageBlockSize", 2), E("ImageTransferredBlocksStatus", 3),
        E("ImageFirstNotTransferredBlockNumber", 4), E("ImageTransferEnabled", 5),
        E("ImageTransferStatus", 6), L("ImageActivateInfo", 7, "Item", E("Size", 0),
        E("Identification", 1, "hex"), E("Signature", 2, "hex"))),
    19: ("IecLocalPortSetup",
        E("DefaultMode", 2), E("DefaultBaudrate", 3), E("ProposedBaudrate", 4),
        E("ResponseTime", 5), E("DeviceAddress", 6, "text"), E("Password1", 7, "text"),
        E("Password2", 8, "text"), E("Password5", 9, "text")),
    20: ("ActivityCalendar",
        E("CalendarNameActive", 2, "text"), seasons("SeasonProfileActive", 3),
        weeks("WeekProfileTableActive", 4), days("DayProfileTableActive", 5),
        E("CalendarNamePassive", 6, "text"), seasons("SeasonProfilePassive", 7),
        weeks("WeekProfileTablePassive", 8), days("DayProfileTablePassive", 9), E("Time", 10)),
    21: ("RegisterMonitor",
        L("Thresholds", 2, "Value", typed=True), G("MonitoredValue", E("ObjectType", (3, 0)),
        E("LN", (3, 1)), E("Index", (3, 2))), L("Actions", 4, "Item", G("Up", E("LN", (0, 0)),
        E("Selector", (0, 1))), G("Down", E("LN", (1, 0)), E("Selector", (1, 1))))),
    22: ("ActionSchedule",
        E("ObjectType", (), "script-table"), E("LN", (2, 0)), E("ExecutedScriptSelector", (2, 1)),
        E("Type", 3), L("ExecutionTime", 4, "Time", kind="moment")),
    23: ("IecHdlcSetup",
        *in_order("Speed", "WindowSizeTx", "WindowSizeRx", "MaximumInfoLengthTx",
        "MaximumInfoLengthRx", "InterCharachterTimeout", "InactivityTimeout", "DeviceAddress")),
    25: ("MBusSlavePortSetup",
        *in_order("DefaultBaud", "AvailableBaud", "AddressState", "BusAddress")),
    26: ("UtilityTables", E("Id", 2), E("Buffer", 4, "hex")),
    27: ("ModemConfiguration",
        E("CommunicationSpeed", 2), L("InitialisationStrings", 3, "Initialisation",
        E("Request", 0, "text"), E("Response", 1, "text"), E("Delay", 2)),
        E("ModemProfile", 4, "texts;")),
    28: ("AutoAnswer",
        E("Mode", 2), windows("ListeningWindow", 3), E("Status", 4), E("NumberOfCalls", 5),
        E("NumberOfRingsInListeningWindow", (6, 0)),
        E("NumberOfRingsOutListeningWindow", (6, 1))),
    29: ("AutoConnect",
        E("Mode", 2), E("Repetitions", 3), E("RepetitionDelay", 4), windows("CallingWindow", 5),
        E("Destinations", 6, "texts;")),
    40: ("PushSetup",
        L("ObjectList", 2, "Item", *_OBJECT, E("AI", 2), E("DI", 3)), E("Service", (3, 0)),
        E("Destination", (3, 1), "text"), E("Message", (3, 2)), windows("CommunicationWindow", 4),
        E("RandomisationStartInterval", 5), E("NumberOfRetries", 6),
        E("RepetitionDelay", 7, "repetition"), E("PortReference", 8), E("PushClientSAP", 9),
        E("PushOperationMethod", 11), E("ConfirmationParametersStartDate", (12, 0)),
        E("ConfirmationParametersInterval", (12, 1)), E("LastConfirmationDateTime", 13)),
    41: ("TcpUdpSetup",
        *in_order("Port", "IPReference", "MaximumSegmentSize", "MaximumSimultaneousConnections",
        "InactivityTimeout")),
    42: ("Ip4Setup",
        E("DataLinkLayerReference", 2), E("IPAddress", 3, "ip"), L("MulticastIPAddress", 4,
        "Value", kind="ip"), L("IPOptions", 5, "IPOption", E("Type", 0), E("Length", 1),
        E("Data", 2, "hex")), E("SubnetMask", 6, "ip"), E("GatewayIPAddress", 7, "ip"),
        E("UseDHCP", 8), E("PrimaryDNSAddress", 9, "ip"), E("SecondaryDNSAddress", 10, "ip")),
    43: ("MacAddressSetup", E("MacAddress", 2, "mac")),
    45: ("GprsSetup",
        E("APN", 2, "text"), E("PINCode", 3), quality("DefaultQualityOfService", 0),
        quality("RequestedQualityOfService", 1)),
    47: ("GSMDiagnostic",
        O("Operator", 2), E("Status", 3), E("CircuitSwitchStatus", 4), E("PacketSwitchStatus", 5),
        G("CellInfo", E("CellId", (6, 0)), E("LocationId", (6, 1)), E("SignalQuality", (6, 2)),
        E("Ber", (6, 3))), L("AdjacentCells", 7, "Item", E("CellId", 0), E("SignalQuality", 1)),
        E("CaptureTime", 8)),
    48: ("Ip6Setup",
        E("DataLinkLayerReference", 2), E("AddressConfigMode", 3), L("UnicastIPAddress", 4,
        "Value", kind="ipv6"), L("MulticastIPAddress", 5, "Value", kind="ipv6"),
        L("GatewayIPAddress", 6, "Value", kind="ipv6"), E("PrimaryDNSAddress", 7, "ipv6"),
        E("SecondaryDNSAddress", 8, "ipv6"), E("TrafficClass", 9), L("NeighborDiscoverySetup", 10,
        "Item", E("MaxRetry", 0), E("RetryWaitTime", 1), E("SendPeriod", 2))),
    64: ("SecuritySetup",
        E("SecurityPolicy", 2), E("SecuritySuite", 3), E("ClientSystemTitle", 4, "hex"),
        E("ServerSystemTitle", 5, "hex"), L("Certificates", 6, "Item", kind="certificates")),
    65: ("ParameterMonitor",
        G("ChangedParameter", E("Type", (2, 0)), E("LN", (2, 1)), E("Index", (2, 2)),
        O("Value", (2, 3))), E("Time", 3), L("Parameters", 4, "Item", E("Type", 0), E("LN", 1),
        E("Index", 2))),
    70: ("DisconnectControl", *in_order("OutputState", "ControlState", "ControlMode")),
    71: ("Limiter",
        G("MonitoredValue", E("ObjectType", (2, 0)), E("LN", (2, 1)), N((2, 2), _VALUE)),
        O("ThresholdActive", 3), O("ThresholdNormal", 4), O("ThresholdEmergency", 5),
        E("MinOverThresholdDuration", 6), E("MinUnderThresholdDuration", 7), G("EmergencyProfile",
        E("ID", (8, 0)), E("Time", (8, 1)), E("Duration", (8, 2))), L("EmergencyProfileGroupIDs",
        9, "Value"), E("Active", 10), script("ActionOverThreshold", 11, 0),
        script("ActionUnderThreshold", 11, 1)),
    72: ("MBusClient",
        E("MBusPortReference", 2), L("CaptureDefinition", 3, "Item", E("Data", 0, "text"),
        E("Value", 1, "text")), *(E(name, k) for k, name in enumerate(("CapturePeriod",
        "PrimaryAddress", "IdentificationNumber", "ManufacturerID", "DataHeaderVersion",
        "DeviceType", "AccessNumber", "Status", "Alarm", "Configuration", "EncryptionKeyStatus"),
        4))),
    74: ("MBusMasterPortSetup", E("CommSpeed", 2)),
    80: ("LlcSscsSetup", *in_order("ServiceNodeAddress", "BaseNodeAddress")),
    81: ("PrimeNbOfdmPlcPhysicalLayerCounters",
        *in_order("CrcIncorrectCount", "CrcFailedCount", "TxDropCount", "RxDropCount")),
    82: ("PrimeNbOfdmPlcMacSetup",
        *in_order("MacMinSwitchSearchTime", "MacMaxPromotionPdu", "MacPromotionPduTxPeriod",
        "MacBeaconsPerFrame", "MacScpMaxTxAttempts", "MacCtlReTxTimer", "MacMaxCtlReTx")),
    84: ("PrimeNbOfdmPlcMacCounters",
        *in_order("TxDataPktCount", "RxDataPktCount", "TxCtrlPktCount", "RxCtrlPktCount",
        "CsmaFailCount", "CsmaChBusyCount")),
    86: ("PrimeNbOfdmPlcApplicationsIdentification",
        E("FirmwareVersion", 2, "text"), E("VendorId", 3), E("ProductId", 4)),
    90: ("G3PlcMacLayerCounters",
        *in_order("TxDataPacketCount", "RxDataPacketCount", "TxCmdPacketCount",
        "RxCmdPacketCount", "CSMAFailCount", "CSMANoAckCount", "BadCrcCount",
        "TxDataBroadcastCount", "RxDataBroadcastCount")),
    100: ("NtpSetup",
        E("Activated", 2), E("ServerAddress", 3, "text"), E("Port", 4), E("Authentication", 5),
        L("Keys", 6, "Item", E("ID", 0), E("Key", 1, "hex")), E("ClientKey", 7, "hex")),
    111: ("Account",
        E("PaymentMode", (2, 0)), E("AccountStatus", (2, 1)), E("CurrentCreditInUse", 3),
        E("CurrentCreditStatus", 4, "flags"), E("AvailableCredit", 5), E("AmountToClear", 6),
        E("ClearanceThreshold", 7), E("AggregatedDebt", 8), L("CreditReferences", 9, "Item",
        E("Name", ())), L("ChargeReferences", 10, "Item", E("Name", ())),
        L("CreditChargeConfigurations", 11, "Item", E("Credit", 0), E("Charge", 1),
        E("Configuration", 2, "flags")), L("TokenGatewayConfigurations", 12, "Item",
        E("Credit", 0), E("Token", 1)), E("AccountActivationTime", 13),
        E("AccountClosureTime", 14), E("CurrencyName", (15, 0)), E("CurrencyScale", (15, 1)),
        E("CurrencyUnit", (15, 2)), E("LowCreditThreshold", 16),
        E("NextCreditAvailableThreshold", 17), E("MaxProvision", 18),
        E("MaxProvisionPeriod", 19)),
    112: ("Credit",
        E("CurrentCreditAmount", 2), E("Type", 3), E("Priority", 4), E("WarningThreshold", 5),
        E("Limit", 6), E("CreditConfiguration", 7, "flags"), E("Status", 8),
        E("PresetCreditAmount", 9), E("CreditAvailableThreshold", 10), E("Period", 11)),
    113: ("Charge",
        E("TotalAmountPaid", 2), E("ChargeType", 3), E("Priority", 4),
        E("UnitChargeActivationTime", 7), E("Period", 8), E("ChargeConfiguration", 9, "flags"),
        E("LastCollectionTime", 10), E("LastCollectionAmount", 11), E("TotalAmountRemaining", 12),
        E("Proportion", 13)),
    115: ("Token",
        E("Token", 2, "hex"), E("Time", 3), L("Descriptions", 4, "Item", E("Name", (), "text")),
        E("DeliveryMethod", 5), E("Status", (6, 0)), E("Data", (6, 1))),
    124: ("CommunicationPortProtection",
        *in_order("ProtectionMode", "AllowedFailedAttempts", "InitialLockoutTime",
        "SteepnessFactor", "MaxLockoutTime", "Port", "ProtectionStatus", "FailedAttempts",
        "CumulativeFailedAttempts")),
}
# What templates of the simulator have behind that, and in front: objects that a client sees with
# his rights, keys. The library of Python stumbles over it: it is read, and not written.
READ_ONLY = {
    15: (
        A("ObjectList", "object_list"),
        L("Users", 10, "User", E("Id", 0), E("Name", 1, "text")),
        A("MultipleAssociationViews", "views"),
    ),
    64: tuple(A(name, name.lower()) for name in ("Guek", "Gbek", "Gak", "Kek")),
}
# fmt: on

CLASSES = {"GXDLMS" + row[0]: class_id for class_id, row in LAYOUTS.items()}
# Names that the library also reads, or has written in other releases.
CLASSES.update({"GXDLMSHdlcSetup": 23, "GXDLMSIecOpticalPortSetup": 19, "GXDLMSTokenGateway": 115})
