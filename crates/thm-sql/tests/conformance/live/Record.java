// Asks a real Flink what it answers, and writes it down in the form of the recordings.
//
//   statements (one JSON object a line, on standard input) ─▶ MiniCluster of this process ─▶ the same objects with
//   `schema` and `rows`, or `error` (in FOLDER/topic.jsonl)
//
// An object has `topic`: the file that the answers to all behind it go to; or `sql`; or `exprs` and `from`: expressions
// over one table, of which as many as possible are asked in one job, and each comes back as an object of its own. Of a
// job that cannot be planned each expression is planned alone, and those that can be are asked again; a job that fails
// when it runs is halved until the expression that failed is alone.
//
// A case with Kafka's topics (`input`, `output`; see Topics.java) comes back with rows that have their kinds, or with the
// records it wrote. As such jobs mostly wait, several run at once; answers keep the order of the questions.
//
// A topic's file has the name `topic.jsonl.part` until it is whole.
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.math.BigDecimal;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.time.Duration;
import java.time.Instant;
import java.time.LocalDateTime;
import java.time.LocalTime;
import java.time.ZoneOffset;
import java.time.format.DateTimeFormatter;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.function.Function;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.configuration.RestOptions;
import org.apache.flink.runtime.minicluster.MiniCluster;
import org.apache.flink.runtime.minicluster.MiniClusterConfiguration;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.databind.JsonNode;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.databind.ObjectMapper;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.databind.node.ArrayNode;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.databind.node.ObjectNode;
import org.apache.flink.table.api.EnvironmentSettings;
import org.apache.flink.table.api.TableEnvironment;
import org.apache.flink.table.api.TableResult;
import org.apache.flink.table.types.logical.*;
import org.apache.flink.types.Row;
import org.apache.flink.util.CloseableIterator;

public final class Record {
    private static final ObjectMapper JSON = new ObjectMapper();
    private static MiniCluster cluster;
    private static PrintStream out;
    /** Sessions of statements that change nothing in them, by their options. */
    private static final Map<String, TableEnvironment> SESSIONS = new HashMap<>();
    /** Expressions of a job: more make the generated code too long for one method. */
    private static final int GROUP = 80;
    /** Cases with topics that run at once. */
    private static final int AT_ONCE = 6;
    private static final ExecutorService RUNNERS = Executors.newFixedThreadPool(AT_ONCE);
    /** Answers to come, in the order of the questions. */
    private static final List<Future<String>> COMING = new ArrayList<>();

    public static void main(String[] arguments) throws Exception {
        Thread.setDefaultUncaughtExceptionHandler((thread, error) -> {
            error.printStackTrace();
            Runtime.getRuntime().halt(1);
        });
        Path folder = Path.of(arguments[0]);
        Path file = null;
        Configuration configuration = new Configuration();
        configuration.set(RestOptions.BIND_PORT, "0");
        cluster = new MiniCluster(new MiniClusterConfiguration.Builder()
                .setConfiguration(configuration).setNumTaskManagers(1).setNumSlotsPerTaskManager(4 * AT_ONCE).build());
        cluster.start();
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line = in.readLine(); line != null; line = in.readLine()) {
            ObjectNode asked = (ObjectNode) JSON.readTree(line);
            if (asked.has("topic")) {
                finish(file);
                file = folder.resolve(asked.get("topic").asText() + ".jsonl");
                out = new PrintStream(Files.newOutputStream(Path.of(file + ".part")), true, StandardCharsets.UTF_8);
            } else if (Topics.has(asked)) {
                COMING.add(RUNNERS.submit(() -> JSON.writeValueAsString(answer(asked, asked.get("sql").asText()))));
            } else if (asked.has("exprs")) {
                ask(asked);
            } else {
                out.println(JSON.writeValueAsString(answer(asked, asked.get("sql").asText())));
            }
        }
        finish(file);
        cluster.close();
        System.exit(0);
    }

    private static void finish(Path file) throws Exception {
        if (file != null) {
            for (Future<String> answer : COMING) {
                out.println(answer.get());
            }
            COMING.clear();
            out.close();
            Files.move(Path.of(file + ".part"), file, StandardCopyOption.REPLACE_EXISTING);
        }
    }

    /** Asks expressions in large groups. */
    private static void ask(ObjectNode asked) throws Exception {
        List<String> exprs = new ArrayList<>();
        asked.get("exprs").forEach(expr -> exprs.add(expr.asText()));
        for (int at = 0; at < exprs.size(); at += GROUP) {
            together(asked, exprs.subList(at, Math.min(exprs.size(), at + GROUP)), false);
        }
    }

    /** Asks expressions of one table in one job; if that fails, those that can be planned, and then in halves. */
    private static void together(ObjectNode asked, List<String> exprs, boolean planned) throws Exception {
        String from = asked.has("from") ? " FROM " + asked.get("from").asText() : "";
        List<String> columns = new ArrayList<>();
        for (int at = 0; at < exprs.size(); at++) {
            columns.add(exprs.get(at) + " AS c" + at);
        }
        ObjectNode found = answer(asked, "SELECT " + (exprs.size() == 1 ? exprs.get(0) : String.join(", ", columns)) + from);
        if (exprs.size() == 1) {
            out.println(JSON.writeValueAsString(found));
            return;
        }
        if (found.has("error") && !planned && !found.path("error").path("phase").asText().equals("run")) {
            List<String> good = plannable(asked, exprs, from);
            if (!good.isEmpty()) {
                together(asked, good, true);
            }
            return;
        }
        if (found.has("error")) {
            together(asked, exprs.subList(0, exprs.size() / 2), true);
            together(asked, exprs.subList(exprs.size() / 2, exprs.size()), true);
            return;
        }
        for (int at = 0; at < exprs.size(); at++) {
            ObjectNode one = head(asked, "SELECT " + exprs.get(at) + from);
            one.putArray("schema").addArray().add("EXPR$0").add(found.get("schema").get(at).get(1).asText());
            ArrayNode rows = one.putArray("rows");
            for (JsonNode row : found.get("rows")) {
                rows.addArray().add(row.get(at));
            }
            out.println(JSON.writeValueAsString(one));
        }
    }

    /**
     * The expressions that can be planned; the errors of the others are written down. Most fail when they are validated,
     * which takes a tenth of the time of planning: only if the rest cannot be planned together is each planned alone.
     */
    private static List<String> plannable(ObjectNode asked, List<String> exprs, String from) throws Exception {
        TableEnvironment session = session(asked);
        List<String> valid = passing(asked, exprs, from, session::sqlQuery);
        if (valid.size() < exprs.size()) {
            try {
                session.explainSql("SELECT " + String.join(", ", valid) + from);
                return valid;
            } catch (Throwable error) {
                // Which of them it is shows below.
            }
        }
        return passing(asked, valid, from, session::explainSql);
    }

    /** The expressions that pass a check of their query; the errors of the others are written down. */
    private static List<String> passing(ObjectNode asked, List<String> exprs, String from, Function<String, ?> check) throws Exception {
        List<String> good = new ArrayList<>();
        for (String expr : exprs) {
            try {
                check.apply("SELECT " + expr + from);
                good.add(expr);
            } catch (Throwable error) {
                ObjectNode one = head(asked, "SELECT " + expr + from);
                told(one, "plan", error);
                out.println(JSON.writeValueAsString(one));
            }
        }
        return good;
    }

    private static ObjectNode head(ObjectNode asked, String sql) {
        ObjectNode one = asked.deepCopy();
        one.remove(List.of("exprs", "from", "schema", "rows", "output", "error", "unordered"));
        one.put("sql", sql);
        return one;
    }

    /** A session: one for all statements that have the same options and change nothing in it. */
    private static synchronized TableEnvironment session(ObjectNode asked) throws Exception {
        String options = asked.has("setup") ? null : asked.path("mode").asText("batch") + asked.path("config");
        if (SESSIONS.containsKey(options)) {
            return SESSIONS.get(options);
        }
        boolean streaming = asked.path("mode").asText("batch").equals("streaming");
        Configuration configuration = new Configuration();
        configuration.setString("execution.target", "remote");
        configuration.setString("rest.address", "127.0.0.1");
        configuration.setString("rest.port", String.valueOf(cluster.getRestAddress().get().getPort()));
        configuration.setString("parallelism.default", "1");
        configuration.setString("table.local-time-zone", "UTC");
        configuration.setString("restart-strategy.type", "none");
        asked.path("config").fields().forEachRemaining(set -> configuration.setString(set.getKey(), set.getValue().asText()));
        EnvironmentSettings.Builder settings = EnvironmentSettings.newInstance().withConfiguration(configuration);
        TableEnvironment session = TableEnvironment.create((streaming ? settings.inStreamingMode() : settings.inBatchMode()).build());
        if (options != null) {
            SESSIONS.put(options, session);
        }
        return session;
    }

    /** One statement. */
    private static ObjectNode answer(ObjectNode asked, String sql) throws Exception {
        ObjectNode one = head(asked, sql);
        Topics topics = Topics.has(asked) ? new Topics(asked) : null;
        TableEnvironment session = session(asked);
        String phase = "setup";
        try {
            for (JsonNode statement : asked.path("setup")) {
                session.executeSql(topics == null ? statement.asText() : topics.meant(statement.asText()));
            }
            phase = "plan";
            TableResult result = session.executeSql(sql);
            phase = "run";
            if (topics != null && writes(sql)) {
                result.await();
            } else {
                rows(one, result, topics != null || asked.path("rowkind").asBoolean());
            }
        } catch (Throwable error) {
            told(one, phase, error);
        }
        if (topics != null && writes(sql)) {
            one.set("output", topics.output());
        }
        return topics == null ? one : (ObjectNode) JSON.readTree(topics.shown(JSON.writeValueAsString(one)));
    }

    private static boolean writes(String sql) {
        return sql.startsWith("INSERT") || sql.startsWith("EXECUTE");
    }

    /** All rows of a result and what they are made of. */
    private static void rows(ObjectNode one, TableResult result, boolean kinds) throws Exception {
        List<LogicalType> types = new ArrayList<>();
        ArrayNode schema = JSON.createArrayNode();
        result.getResolvedSchema().getColumns().forEach(column -> {
            types.add(column.getDataType().getLogicalType());
            schema.addArray().add(column.getName()).add(column.getDataType().getLogicalType().asSummaryString());
        });
        ArrayNode rows = JSON.createArrayNode();
        try (CloseableIterator<Row> all = result.collect()) {
            while (all.hasNext()) {
                Row row = all.next();
                ArrayNode shown = rows.addArray();
                if (kinds) {
                    shown.add(row.getKind().shortString());
                }
                for (int at = 0; at < row.getArity(); at++) {
                    shown.add(shown(row.getField(at), types.get(at)));
                }
            }
        }
        one.set("schema", schema);
        one.set("rows", rows);
    }

    private static void told(ObjectNode one, String phase, Throwable error) {
        Throwable root = error;
        while (root.getCause() != null) {
            root = root.getCause();
        }
        String text = String.valueOf(root);
        one.putObject("error").put("phase", phase).put("root", text.length() > 400 ? text.substring(0, 400) : text);
    }

    /** A value as the recordings show it. */
    private static JsonNode shown(Object value, LogicalType type) {
        if (value == null) {
            return JSON.nullNode();
        }
        switch (type.getTypeRoot()) {
            case TIME_WITHOUT_TIME_ZONE:
                return JSON.valueToTree(((LocalTime) value).format(DateTimeFormatter.ofPattern(pattern("HH:mm:ss", ((TimeType) type).getPrecision()))));
            case TIMESTAMP_WITHOUT_TIME_ZONE:
                return JSON.valueToTree(((LocalDateTime) value).format(DateTimeFormatter.ofPattern(pattern("yyyy-MM-dd HH:mm:ss", ((TimestampType) type).getPrecision()))));
            case TIMESTAMP_WITH_LOCAL_TIME_ZONE:
                return JSON.valueToTree(((Instant) value).atOffset(ZoneOffset.UTC).format(
                        DateTimeFormatter.ofPattern(pattern("yyyy-MM-dd HH:mm:ss", ((LocalZonedTimestampType) type).getPrecision()))) + "Z");
            case ARRAY: {
                ArrayNode items = JSON.createArrayNode();
                for (int at = 0; at < java.lang.reflect.Array.getLength(value); at++) {
                    items.add(shown(java.lang.reflect.Array.get(value, at), ((ArrayType) type).getElementType()));
                }
                return items;
            }
            case ROW: {
                ArrayNode items = JSON.createArrayNode();
                for (int at = 0; at < ((Row) value).getArity(); at++) {
                    items.add(shown(((Row) value).getField(at), type.getChildren().get(at)));
                }
                return items;
            }
            case MAP:
            case MULTISET: {
                ObjectNode entries = JSON.createObjectNode();
                LogicalType of = type instanceof MapType ? ((MapType) type).getValueType() : new IntType();
                for (Map.Entry<?, ?> entry : ((Map<?, ?>) value).entrySet()) {
                    JsonNode key = shown(entry.getKey(), type.getChildren().get(0));
                    entries.set(key.isTextual() ? key.asText() : key.toString(), shown(entry.getValue(), of));
                }
                return entries;
            }
            default:
                return plain(value);
        }
    }

    private static JsonNode plain(Object value) {
        if (value instanceof byte[]) {
            return JSON.valueToTree("0x" + HexFormat.of().formatHex((byte[]) value));
        }
        if (value instanceof BigDecimal) {
            return JSON.valueToTree(((BigDecimal) value).toPlainString());
        }
        boolean special = value instanceof Double && !Double.isFinite((Double) value) || value instanceof Float && !Float.isFinite((Float) value);
        if (!special && (value instanceof Number || value instanceof Boolean)) {
            return JSON.valueToTree(value);
        }
        return JSON.valueToTree(String.valueOf(value));
    }

    private static String pattern(String base, int precision) {
        return precision == 0 ? base : base + "." + "S".repeat(precision);
    }
}
