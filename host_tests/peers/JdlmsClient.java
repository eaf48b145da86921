// SPDX-License-Identifier: MIT
/*
 * Asks a meter with the client jDLMS: a program of its own, started from its source.
 *
 *     java -cp "JARS/*" JdlmsClient.java --link wrapper --port 4059 --client 1 --title CLI00000001 ...
 *
 * Some of the commands and answers of gurux_client.py, see PROTOCOL.md: open, get, get_all, set,
 * action, close. Answers have `raw` alone, encoded here from what jDLMS has decoded. With --short
 * yes commands have `name`, a short one, in place of `class_id` and what follows.
 *
 * jDLMS is GPLv3. It is used here and nowhere else, and nothing uses this file but its test.
 */

import java.io.BufferedReader;
import java.io.ByteArrayOutputStream;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.math.BigInteger;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.openmuc.jdlms.AccessResultCode;
import org.openmuc.jdlms.AttributeAddress;
import org.openmuc.jdlms.AuthenticationMechanism;
import org.openmuc.jdlms.DlmsConnection;
import org.openmuc.jdlms.DlmsSnConnection;
import org.openmuc.jdlms.GetResult;
import org.openmuc.jdlms.JDlmsException;
import org.openmuc.jdlms.MethodParameter;
import org.openmuc.jdlms.MethodResult;
import org.openmuc.jdlms.ObisCode;
import org.openmuc.jdlms.ReadResult;
import org.openmuc.jdlms.SecuritySuite;
import org.openmuc.jdlms.SecuritySuite.EncryptionMechanism;
import org.openmuc.jdlms.SetParameter;
import org.openmuc.jdlms.SnAddressSpec;
import org.openmuc.jdlms.SnWriteParameter;
import org.openmuc.jdlms.TcpConnectionBuilder;
import org.openmuc.jdlms.datatypes.BitString;
import org.openmuc.jdlms.datatypes.CosemDateTime;
import org.openmuc.jdlms.datatypes.DataObject;
import org.openmuc.jdlms.settings.client.ReferencingMethod;

public class JdlmsClient {
    private final Map<String, String> options;
    private DlmsConnection connection;
    private DlmsSnConnection shortNames;

    JdlmsClient(Map<String, String> options) {
        this.options = options;
    }

    /** The answer is an error; its message is the JSON of what to report. */
    static class Refused extends Exception {
        Refused(String kind, long code) {
            super("{\"kind\": \"" + kind + "\", \"code\": " + code + "}");
        }
    }

    // --- Commands

    private String open() throws Exception {
        TcpConnectionBuilder b = new TcpConnectionBuilder(options.get("host"));
        b.setPort(Integer.parseInt(options.get("port")));
        b.setClientId(Integer.parseInt(options.get("client")));
        b.setLogicalDeviceId(Integer.parseInt(options.get("server")));
        b.setResponseTimeout(10000);
        if (options.get("link").equals("hdlc")) {
            b.useHdlc();
        } else {
            b.useWrapper();
        }
        SecuritySuite.SecuritySuiteBuilder suite = SecuritySuite.builder();
        if (options.containsKey("title")) {
            byte[] title = octets(options.get("title"));
            b.setSystemTitle(
                new String(title, 0, 3, StandardCharsets.US_ASCII),
                new BigInteger(1, title).longValue() & 0xFFFFFFFFFFL);
            b.setFrameCounter(Long.parseLong(options.get("counter")));
            b.setChallengeLength(Integer.parseInt(options.getOrDefault("challenge", "64")));
            suite.setAuthenticationMechanism(AuthenticationMechanism.HLS5_GMAC);
            suite.setEncryptionMechanism(EncryptionMechanism.AES_GCM_128);
            suite.setGlobalUnicastEncryptionKey(octets(options.get("guek")));
            suite.setAuthenticationKey(octets(options.get("gak")));
        } else if (!options.get("secret").isEmpty()) {
            suite.setAuthenticationMechanism(AuthenticationMechanism.LOW);
            suite.setPassword(octets(options.get("secret")));
        }
        b.setSecuritySuite(suite.build());
        if (options.containsKey("short")) {
            b.setReferencingMethod(ReferencingMethod.SHORT);
            shortNames = b.buildSnConnection();
        } else {
            connection = b.build();
        }
        return "{}";
    }

    private String get(Map<String, Object> c) throws Exception {
        if (shortNames != null) {
            return read(SnAddressSpec.newAttributeAddress(number(c, "name")));
        }
        GetResult result = connection.get(address(c));
        return answer(result.getResultCode(), result.getResultData());
    }

    private String read(SnAddressSpec what) throws Exception {
        ReadResult result = shortNames.read(what);
        return answer(result.getResultCode(), result.getResultData());
    }

    private String getAll(Map<String, Object> c) throws Exception {
        List<String> answers = new ArrayList<>();
        for (Object one : (List<?>) c.get("attributes")) {
            try {
                answers.add(get(object(one)));
            } catch (Refused e) {
                answers.add("{\"error\": " + e.getMessage() + "}");
            }
        }
        return "{\"answers\": [" + String.join(", ", answers) + "]}";
    }

    private String set(Map<String, Object> c) throws Exception {
        AccessResultCode code =
            shortNames != null
                ? shortNames.write(
                    SnWriteParameter.newAttributeWriteParameter(number(c, "name"), value(c)))
                : connection.set(new SetParameter(address(c), value(c)));
        if (code != AccessResultCode.SUCCESS) {
            throw new Refused("data_access_result", code.getCode());
        }
        return "{}";
    }

    private String action(Map<String, Object> c) throws Exception {
        if (shortNames != null) {
            return read(SnAddressSpec.newMethodAddress(number(c, "name"), value(c)));
        }
        MethodResult result =
            connection.action(
                new MethodParameter(
                    number(c, "class_id"), new ObisCode((String) c.get("obis")),
                    number(c, "method"), value(c)));
        if (result.getResultCode().getCode() != 0) {
            throw new Refused("action_result", result.getResultCode().getCode());
        }
        return "{}";
    }

    private String close() throws Exception {
        if (connection != null) {
            connection.disconnect();
            connection = null;
        }
        if (shortNames != null) {
            shortNames.disconnect();
            shortNames = null;
        }
        return "{}";
    }

    private static String answer(AccessResultCode code, DataObject data) throws Refused {
        if (code != AccessResultCode.SUCCESS) {
            throw new Refused("data_access_result", code.getCode());
        }
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        encode(data, out);
        return "{\"raw\": \"" + hex(out.toByteArray()) + "\"}";
    }

    private static AttributeAddress address(Map<String, Object> c) {
        return new AttributeAddress(
            number(c, "class_id"), new ObisCode((String) c.get("obis")), number(c, "attribute"));
    }

    private static int number(Map<String, Object> c, String name) {
        return ((Long) c.get(name)).intValue();
    }

    private static DataObject value(Map<String, Object> c) {
        String type = (String) c.getOrDefault("type", "integer");
        Object value = c.getOrDefault("value", 0L);
        switch (type) {
            case "octet-string":
                return DataObject.newOctetStringData(octets((String) value));
            case "integer":
                return DataObject.newInteger8Data(((Long) value).byteValue());
            case "unsigned":
                return DataObject.newUInteger8Data(((Long) value).shortValue());
            case "long-unsigned":
                return DataObject.newUInteger16Data(((Long) value).intValue());
            case "enum":
                return DataObject.newEnumerateData(((Long) value).intValue());
            default:
                throw new IllegalArgumentException(type);
        }
    }

    // --- A-XDR

    private static void encode(DataObject data, ByteArrayOutputStream out) {
        switch (data.getType()) {
            case NULL_DATA:
                out.write(0);
                return;
            case ARRAY:
            case STRUCTURE:
                List<DataObject> parts = data.getValue();
                out.write(data.getType() == DataObject.Type.ARRAY ? 1 : 2);
                length(parts.size(), out);
                for (DataObject part : parts) {
                    encode(part, out);
                }
                return;
            case BOOLEAN:
                out.write(3);
                out.write(data.<Boolean>getValue() ? 1 : 0);
                return;
            case BIT_STRING:
                BitString bits = data.getValue();
                out.write(4);
                length(bits.getNumBits(), out);
                out.writeBytes(bits.getBitString());
                return;
            case OCTET_STRING:
                text(9, data, out);
                return;
            case VISIBLE_STRING:
                text(10, data, out);
                return;
            case DOUBLE_LONG:
                integer(5, 4, data, out);
                return;
            case DOUBLE_LONG_UNSIGNED:
                integer(6, 4, data, out);
                return;
            case INTEGER:
                integer(15, 1, data, out);
                return;
            case LONG_INTEGER:
                integer(16, 2, data, out);
                return;
            case UNSIGNED:
                integer(17, 1, data, out);
                return;
            case LONG_UNSIGNED:
                integer(18, 2, data, out);
                return;
            case LONG64:
                integer(20, 8, data, out);
                return;
            case LONG64_UNSIGNED:
                integer(21, 8, data, out);
                return;
            case ENUMERATE:
                integer(22, 1, data, out);
                return;
            case DATE_TIME:
                out.write(25);
                out.writeBytes(data.<CosemDateTime>getValue().encode());
                return;
            default:
                throw new IllegalArgumentException(data.getType().toString());
        }
    }

    private static void text(int tag, DataObject data, ByteArrayOutputStream out) {
        byte[] octets = data.getValue();
        out.write(tag);
        length(octets.length, out);
        out.writeBytes(octets);
    }

    private static void integer(int tag, int n, DataObject data, ByteArrayOutputStream out) {
        out.write(tag);
        long number = data.<Number>getValue().longValue();
        while (--n >= 0) {
            out.write((int) (number >> 8 * n));
        }
    }

    private static void length(int n, ByteArrayOutputStream out) {
        if (n > 127) {
            out.write(n > 255 ? 0x82 : 0x81);
        }
        if (n > 255) {
            out.write(n >> 8);
        }
        out.write(n);
    }

    private static byte[] octets(String hex) {
        byte[] octets = new byte[hex.length() / 2];
        for (int i = 0; i < octets.length; i++) {
            octets[i] = (byte) Integer.parseInt(hex.substring(2 * i, 2 * i + 2), 16);
        }
        return octets;
    }

    private static String hex(byte[] octets) {
        StringBuilder s = new StringBuilder();
        for (byte octet : octets) {
            s.append(String.format("%02x", octet));
        }
        return s.toString();
    }

    // --- JSON, as much of it as commands have: objects, lists, texts without escapes, numbers

    private static int at;

    private static Object parse(String s) {
        while (" ,:".indexOf(s.charAt(at)) >= 0) {
            at++;
        }
        char first = s.charAt(at);
        if (first == '{') {
            Map<String, Object> map = new HashMap<>();
            at++;
            while (s.charAt(at) != '}') {
                String name = (String) parse(s);
                map.put(name, parse(s));
            }
            at++;
            return map;
        }
        if (first == '[') {
            List<Object> list = new ArrayList<>();
            at++;
            while (s.charAt(at) != ']') {
                list.add(parse(s));
            }
            at++;
            return list;
        }
        int start = at;
        if (first == '"') {
            at = s.indexOf('"', at + 1) + 1;
            return s.substring(start + 1, at - 1);
        }
        while (",]}".indexOf(s.charAt(at)) < 0) {
            at++;
        }
        return Long.parseLong(s.substring(start, at).trim());
    }

    @SuppressWarnings("unchecked")
    private static Map<String, Object> object(Object of) {
        return (Map<String, Object>) of;
    }

    private String serve(Map<String, Object> c) throws Exception {
        switch ((String) c.get("do")) {
            case "open":
                return open();
            case "get":
                return get(c);
            case "get_all":
                return getAll(c);
            case "set":
                return set(c);
            case "action":
                return action(c);
            case "close":
                return close();
            default:
                throw new IllegalArgumentException((String) c.get("do"));
        }
    }

    private static String quoted(String text) {
        return "\"" + text.replace("\\", "/").replace("\"", "'").replace("\n", " ") + "\"";
    }

    public static void main(String[] args) throws Exception {
        // Nothing but answers on stdout.
        PrintStream out = System.out;
        System.setOut(System.err);
        Map<String, String> options = new HashMap<>();
        for (int i = 0; i + 1 < args.length; i += 2) {
            options.put(args[i].substring(2), args[i + 1]);
        }
        JdlmsClient client = new JdlmsClient(options);
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in));
        for (String line = in.readLine(); line != null; line = in.readLine()) {
            String answer;
            try {
                at = 0;
                answer = client.serve(object(parse(line)));
            } catch (Refused e) {
                answer = "{\"error\": " + e.getMessage() + "}";
            } catch (JDlmsException e) {
                answer =
                    "{\"error\": {\"kind\": \"peer\", \"id\": \"" + e.getExceptionId()
                        + "\", \"text\": " + quoted(String.valueOf(e.getMessage())) + "}}";
            } catch (Exception e) {
                e.printStackTrace();
                answer = "{\"error\": {\"kind\": \"peer\", \"text\": " + quoted("" + e) + "}}";
            }
            out.println(answer);
            out.flush();
        }
        System.exit(0);
    }
}
