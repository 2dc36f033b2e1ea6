/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "config/keys.h"

#include <string.h>

#include "base/macros.h"
#include "runtime/log.h"

/* Words are kept through a pointer to int. */
_Static_assert(sizeof(enum config_tcp_end) == sizeof(int), "enum of the size of int");
_Static_assert(sizeof(enum config_nflog_rules) == sizeof(int), "enum of the size of int");
_Static_assert(sizeof(enum config_exporter_type) == sizeof(int), "enum of the size of int");
_Static_assert(sizeof(enum config_report) == sizeof(int), "enum of the size of int");

static const struct config_word tcp_ends[] = {
	{"close", CONFIG_TCP_END_CLOSE}, {"destroy", CONFIG_TCP_END_DESTROY}, {NULL, 0}};

static const struct config_word activations[] = {
	{"auto", CONFIG_ACTIVATE_AUTO}, {"never", CONFIG_ACTIVATE_NEVER}, {NULL, 0}};

static const struct config_word methods[] = {{"trace", CONFIG_METHOD_TRACE},
					     {"sock_diag", CONFIG_METHOD_SOCK_DIAG},
					     {"sysdig", CONFIG_METHOD_SYSDIG},
					     {NULL, 0}};

static const struct config_word nflog_rules[] = {
	{"managed", CONFIG_NFLOG_MANAGED}, {"external", CONFIG_NFLOG_EXTERNAL}, {NULL, 0}};

static const struct config_word namespaces[] = {
	{"all", CONFIG_NAMESPACES_ALL}, {"host", CONFIG_NAMESPACES_HOST}, {NULL, 0}};

static const struct config_word exporter_types[] = {
	{"json", CONFIG_EXPORTER_JSON},
	{"netflow9", CONFIG_EXPORTER_NETFLOW9},
	{"ipfix", CONFIG_EXPORTER_IPFIX},
	{"elasticsearch", CONFIG_EXPORTER_ELASTICSEARCH},
	{"kafka", CONFIG_EXPORTER_KAFKA},
	{"zmq", CONFIG_EXPORTER_ZMQ},
	{NULL, 0}};

static const struct config_word templates[] = {
	{"procflow", 0}, {"standard", 0}, {"ntopng", 0}, {NULL, 0}};

static const struct config_word reports[] = {{"networked", CONFIG_REPORT_NETWORKED},
					     {"all", CONFIG_REPORT_ALL},
					     {"none", CONFIG_REPORT_NONE},
					     {NULL, 0}};

static const struct config_word record_kinds[] = {
	{"flow", CONFIG_RECORDS_FLOW}, {"process", CONFIG_RECORDS_PROCESS}, {NULL, 0}};

static const struct config_word schemas[] = {
	{"procflow", CONFIG_SCHEMA_PROCFLOW}, {"ecs", CONFIG_SCHEMA_ECS}, {NULL, 0}};

static const struct config_word biflows[] = {{"rfc5103", CONFIG_BIFLOW_RFC5103},
					     {"ntop", CONFIG_BIFLOW_NTOP},
					     {"split", CONFIG_BIFLOW_SPLIT},
					     {NULL, 0}};

static const struct config_word log_levels[] = {
	{"error", LOG_LEVEL_ERROR}, {"warning", LOG_LEVEL_WARNING}, {"notice", LOG_LEVEL_NOTICE},
	{"info", LOG_LEVEL_INFO},   {"debug", LOG_LEVEL_DEBUG},	    {NULL, 0}};

static const struct config_word log_targets[] = {{"auto", LOG_TARGET_AUTO},
						 {"journal", LOG_TARGET_JOURNAL},
						 {"stderr", LOG_TARGET_STDERR},
						 {NULL, 0}};

#define TO(name)    (1u << CONFIG_TRANSPORT_##name)
#define CONNECTIONS (TO(TCP) | TO(TLS) | TO(UNIX))
/* Where it is known what arrived. */
#define SPOOLED                                                                                    \
	(1u << CONFIG_EXPORTER_JSON | 1u << CONFIG_EXPORTER_IPFIX |                                \
	 1u << CONFIG_EXPORTER_ELASTICSEARCH | 1u << CONFIG_EXPORTER_KAFKA)
#define SPOOLED_TO (TO(FILE) | TO(TCP) | TO(TLS) | TO(UNIX) | TO(HTTP) | TO(HTTPS) | TO(KAFKA))
#define FOR(name)  (1u << CONFIG_EXPORTER_##name)
#define MESSAGES   (FOR(NETFLOW9) | FOR(IPFIX))
#define DOCUMENTS  (FOR(JSON) | FOR(ELASTICSEARCH) | FOR(KAFKA))
#define PROCESSES  (MESSAGES | DOCUMENTS)

#define KEY(section_, member, name_, type_)                                                        \
	.section = #section_, .name = name_, .type = CONFIG_KEY_##type_,                           \
	.offset = offsetof(struct config, section_.member)
#define EXPORTER_KEY(member, name_, type_)                                                         \
	.section = "exporters", .name = name_, .type = CONFIG_KEY_##type_,                         \
	.offset = offsetof(struct config_exporter, member)

const struct config_key config_keys[] = {
	{KEY(flows, active_timeout_ns, "active_timeout", DURATION), .default_text = "60s",
	 .least = "100ms", .most = "1d", .comment = "How often a flow that lasts is reported."},
	{KEY(flows, idle_timeout_ns, "idle_timeout", DURATION), .default_text = "30s",
	 .least = "100ms", .most = "1d",
	 .comment = "A flow without packets for so long is forgotten (conntrack's own timeout ends "
		    "it\n"
		    "earlier or later)."},
	{KEY(flows, report_tcp_end, "report_tcp_end", WORD), .default_text = "close",
	 .words = tcp_ends,
	 .comment =
		 "A TCP flow is reported when the connection closes, or when conntrack forgets it\n"
		 "(two minutes later)."},
	{KEY(flows, max_flows, "max_flows", COUNT), .default_text = "262144", .least = "1",
	 .most = "16777216", .unit = "flows",
	 .comment = "At most so many are kept; at this bound the one idle for longest is reported "
		    "and\n"
		    "makes room."},
	{KEY(flows, include, "include", NETWORKS), .default_text = "[]",
	 .comment = "Only flows with an end in one of these networks; empty is all. For example\n"
		    "[10.0.0.0/8, 2001:db8::/32]."},
	{KEY(flows, exclude, "exclude", NETWORKS), .default_text = "[]",
	 .comment = "No flows with an end in one of these networks."},
	{KEY(flows, only_local, "only_local", BOOL), .default_text = "false",
	 .comment =
		 "Leave out flows that no process of this host (or its containers) takes part in."},

	{KEY(conntrack, activate, "activate", WORD), .default_text = "auto", .words = activations,
	 .comment =
		 "Where no firewall rule makes the kernel track connections, add an nft table of\n"
		 "our own that does. It disappears with the daemon."},
	{KEY(conntrack, accounting, "accounting", BOOL), .default_text = "true",
	 .comment = "Switch on nf_conntrack_acct and nf_conntrack_timestamp; put back at exit. "
		    "Without\n"
		    "them flows have no bytes, packets or times."},
	{KEY(conntrack, receive_buffer_bytes, "receive_buffer", SIZE), .default_text = "16MiB",
	 .least = "64KiB", .most = "1GiB",
	 .comment = "Of the socket that flow events arrive on ..."},
	{KEY(conntrack, receive_buffer_max_bytes, "receive_buffer_max", SIZE),
	 .default_text = "128MiB", .least = "64KiB", .most = "1GiB",
	 .comment = "... and what it may grow to when events were lost."},

	{KEY(attribution, methods, "methods", WORDS), .default_text = "[trace, sock_diag]",
	 .words = methods,
	 .comment = "How the process behind a flow is found. trace: the kernel's tracepoints tell "
		    "who\n"
		    "sends; sock_diag: the socket is looked up; sysdig: the program sysdig tells "
		    "(see its\n"
		    "section). In this order of trust, however they stand here."},
	{KEY(attribution, namespaces, "namespaces", WORD), .default_text = "all",
	 .words = namespaces,
	 .comment =
		 "Whose processes: those of all network namespaces of this host (containers), or "
		 "only\n"
		 "those of the daemon's own."},

	{KEY(processes, report, "report", WORD), .default_text = "networked", .words = reports,
	 .comment =
		 "Which processes have records of their own, every flows.active_timeout and when "
		 "they\n"
		 "end: those that had flows, or all."},
	{KEY(processes, report_start, "report_start", BOOL), .default_text = "false",
	 .comment = "And a record when one is first seen."},
	{KEY(processes, sample_interval_ns, "sample_interval", DURATION), .default_text = "1s",
	 .least = "10ms", .most = "1h",
	 .comment = "How often the resources of a process with flows are read."},
	{KEY(processes, delay_accounting, "delay_accounting", BOOL), .default_text = "true",
	 .comment = "Switch on kernel.task_delayacct; put back at exit. Without it I/O wait is\n"
		    "unknown."},
	{KEY(processes, command_line, "command_line", BOOL), .default_text = "false",
	 .comment = "Tell command lines (PROC_CMDLINE), their first 4096 bytes. They may hold\n"
		    "secrets."},

	{KEY(processes, package_names, "package_names", BOOL), .default_text = "true",
	 .comment = "Tell the distribution package of an executable, out of dpkg's lists and rpm's database."},

	{KEY(nflog, enable, "enable", BOOL), .default_text = "false",
	 .comment =
		 "Read the heads of logged packets (NFLOG): interfaces, MACs, VLAN, TOS, TTL, TCP "
		 "flags,\n"
		 "latencies, and flows that nothing tracks. See docs/nflog.md."},
	{KEY(nflog, group, "group", COUNT), .default_text = "32", .least = "0", .most = "65535",
	 .comment = "The NFLOG group; one program at a time can listen to it."},
	{KEY(nflog, packets, "packets", COUNT), .default_text = "8", .least = "0",
	 .most = "1000000", .unit = "packets",
	 .comment =
		 "The first so many of each flow and direction; 0 is every packet. Those of flows "
		 "that\n"
		 "nothing tracks are all read, for nobody else counts them."},
	{KEY(nflog, rules, "rules", WORD), .default_text = "managed", .words = nflog_rules,
	 .comment =
		 "managed: an nft table of our own, which disappears with the daemon, logs them.\n"
		 "external: rules of yours do."},

	{KEY(sysdig, enable, "enable", BOOL), .default_text = "false",
	 .comment = "Run it, for attribution.methods: [..., sysdig]."},
	{KEY(sysdig, command, "command", ARGUMENTS), .default_text = "[sysdig, --modern-bpf]",
	 .comment = "The program, with what chooses its driver; [sysdig] is its kernel module. No "
		    "shell."},
	{KEY(sysdig, capture, "capture", PATH), .example_text = "/var/lib/procflow/capture.scap",
	 .comment = "Read what \"sysdig -w\" recorded, once, not the live system."},

	{EXPORTER_KEY(name, "name", TEXT),
	 .comment =
		 "Shows in the log and in status. Without it: the type, with -2, -3 where taken."},
	{EXPORTER_KEY(type, "type", WORD), .words = exporter_types,
	 .comment = "The language that the collector speaks."},
	{EXPORTER_KEY(to, "to", ADDRESS),
	 .comment =
		 "Where to: file:///path, stdout:, unix:///path, tcp:// or udp://HOST:PORT for "
		 "json;\n"
		 "udp://HOST:PORT for netflow9 and ipfix (ports 2055 and 4739 where none is "
		 "given);\n"
		 "tcp:// or tls://HOST:PORT for ipfix (ports 4739 and 4740);\n"
		 "http:// or https://HOST:PORT for elasticsearch; kafka://HOST:PORT,HOST:PORT for\n"
		 "kafka; tcp://*:PORT or tcp://HOST:PORT for zmq."},
	{EXPORTER_KEY(records, "records", WORDS), .default_text = "[flow, process]",
	 .words = record_kinds, .only_for = PROCESSES,
	 .comment = "What goes there. In netflow9 and ipfix processes come with the template\n"
		    "procflow only."},
	{EXPORTER_KEY(schema, "schema", WORD), .default_text = "procflow", .words = schemas,
	 .only_for = DOCUMENTS,
	 .comment = "The names of the fields: nProbe's, or those of the Elastic Common Schema."},
	{EXPORTER_KEY(index, "index", TEXT), .default_text = "procflow-%Y.%m.%d",
	 .only_for = FOR(ELASTICSEARCH),
	 .comment = "The index; %Y %m %d %H %j %G %V are those of strftime(3), by the record's "
		    "time in\n"
		    "UTC."},
	{EXPORTER_KEY(data_stream, "data_stream", BOOL), .default_text = "false",
	 .only_for = FOR(ELASTICSEARCH), .comment = "\"index\" is a data stream."},
	{EXPORTER_KEY(install_template, "install_template", BOOL), .default_text = "false",
	 .only_for = FOR(ELASTICSEARCH),
	 .comment = "Tell the server at the start what the fields are: an index template by the "
		    "name of\n"
		    "the index."},
	{EXPORTER_KEY(username, "username", TEXT), .only_for = FOR(ELASTICSEARCH),
	 .example_text = "procflow", .comment = "Who we are ..."},
	{EXPORTER_KEY(password_file, "password_file", PATH), .only_for = FOR(ELASTICSEARCH),
	 .example_text = "/etc/procflow/es.password",
	 .comment = "... and a file with the password, which others cannot read."},
	{EXPORTER_KEY(timeout_ns, "timeout", DURATION), .default_text = "30s", .least = "100ms",
	 .most = "10m", .only_for = FOR(ELASTICSEARCH),
	 .comment = "A request without an answer is given up after this, and sent again."},
	{EXPORTER_KEY(topic, "topic", TEXT), .default_text = "procflow", .only_for = FOR(KAFKA),
	 .comment = "The topic; the key of each message is the flow's id."},
	{EXPORTER_KEY(options, "options", OPTIONS), .only_for = FOR(KAFKA),
	 .example_text = "{compression.codec: zstd}",
	 .comment = "Properties of librdkafka, as its CONFIGURATION.md has them. Secrets\n"
		    "(sasl.password, sasl.oauthbearer.client.secret, ssl.key.password) stand in "
		    "files that\n"
		    "others cannot read: file:///path. The key of TLS is ssl.key.location."},
	{EXPORTER_KEY(connect, "connect", BOOL), .default_text = "false", .only_for = FOR(ZMQ),
	 .comment = "Connect to a collector that binds (ntopng's endpoints that end in c), instead "
		    "of\n"
		    "binding."},
	{EXPORTER_KEY(header_version, "header_version", COUNT), .default_text = "2", .least = "1",
	 .most = "2", .only_for = FOR(ZMQ),
	 .comment = "Of ntopng's messages: 2 since 5.4, 1 for older ones."},
	{EXPORTER_KEY(source_id, "source_id", COUNT), .default_text = "1", .least = "0",
	 .most = "4294967295", .only_for = FOR(ZMQ),
	 .comment = "Tells the probes of one collector apart; up to 255 with header_version 1."},
	{EXPORTER_KEY(server_key, "server_key", TEXT), .only_for = FOR(ZMQ),
	 .example_text = "\"rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7\"",
	 .comment = "The collector's public CURVE key, in Z85 (40 characters) or as ntopng shows "
		    "it (80\n"
		    "hexadecimal digits): what goes there is encrypted."},
	{EXPORTER_KEY(secret_key_file, "secret_key_file", PATH), .only_for = FOR(ZMQ),
	 .example_text = "/etc/procflow/zmq.key",
	 .comment =
		 "A file with our own secret CURVE key (Z85), which others cannot read. Without\n"
		 "server_key, collectors need the public key that belongs to it."},
	{EXPORTER_KEY(template_name, "template", TEMPLATE), .default_text = "procflow",
	 .words = templates, .only_for = MESSAGES,
	 .comment =
		 "procflow: with the fields of the process; standard: only what every collector\n"
		 "knows; ntopng: what ntopng shows; or fields of your own, as nProbe's -T has "
		 "them:\n"
		 "\"%IPV4_SRC_ADDR %IPV6_SRC_ADDR %L4_SRC_PORT %SRC_PROC_NAME\", or as a list.\n"
		 "A width in bytes may follow: \"%SRC_PROC_CMDLINE:100\" (in IPFIX its longest; in\n"
		 "NetFlow v9 each takes all of it, and they must fit max_message),\n"
		 "\"%IN_BYTES:4\" for a collector of 4-byte counters (larger ones: 4294967295)."},
	{EXPORTER_KEY(biflow, "biflow", WORD), .default_text = "rfc5103", .words = biflows,
	 .only_for = MESSAGES,
	 .comment =
		 "How the two directions of a flow stand in one record: as RFC 5103 has it, or as\n"
		 "ntop does (OUT_BYTES, OUT_PKTS); split: a record for each direction that had\n"
		 "packets."},
	{EXPORTER_KEY(observation_domain, "observation_domain", COUNT), .least = "0",
	 .most = "4294967294", .only_for = MESSAGES, .example_text = "0",
	 .comment = "The observation domain (NetFlow v9: source id), by which a collector tells "
		    "exporters of\n"
		    "one host apart. Without it those of one type with one \"to\" get 0, 1, ... in "
		    "their order."},
	{EXPORTER_KEY(template_interval_ns, "template_interval", DURATION), .default_text = "60s",
	 .least = "1s", .most = "1d", .only_for = MESSAGES,
	 .comment = "The template is sent again after this time ..."},
	{EXPORTER_KEY(template_packets, "template_packets", COUNT), .default_text = "1000",
	 .least = "1", .most = "1000000", .unit = "messages", .only_for = MESSAGES,
	 .comment = "... and after so many messages."},
	{EXPORTER_KEY(max_message_bytes, "max_message", COUNT), .default_text = "1400",
	 .least = "512", .most = "65507", .unit = "bytes", .only_for = MESSAGES,
	 .comment = "The longest message. More than the path's MTU less 48 bytes gets fragmented."},
	{EXPORTER_KEY(queue, "queue", COUNT), .default_text = "65536", .least = "1",
	 .most = "16777216", .unit = "records",
	 .comment =
		 "So many wait while the collector is slow; what does not fit is dropped, oldest\n"
		 "first, and counted."},
	{EXPORTER_KEY(rotate_size_bytes, "rotate_size", SIZE), .default_text = "100MiB",
	 .least = "0", .most = "1000000G", .only_for = 1u << CONFIG_EXPORTER_JSON,
	 .comment = "A file that would grow beyond this becomes NAME.1, that one NAME.2 ...; 0: "
		    "never.\n"
		    "SIGUSR1 and SIGHUP open it again by its name, for logrotate."},
	{EXPORTER_KEY(rotate_keep, "rotate_keep", COUNT), .default_text = "5", .least = "0",
	 .most = "1000", .unit = "files", .only_for = 1u << CONFIG_EXPORTER_JSON,
	 .comment = "So many old files stay."},
	{EXPORTER_KEY(reconnect_ns, "reconnect", DURATION), .default_text = "60s", .least = "100ms",
	 .most = "1d", .only_to = CONNECTIONS,
	 .comment = "The longest time between two attempts to connect; for ipfix the only one, as\n"
		    "RFC 7011 10.4.4 asks."},
	{EXPORTER_KEY(ca_file, "ca_file", PATH), .only_to = TO(TLS) | TO(HTTPS),
	 .example_text = "/etc/procflow/ca.pem",
	 .comment = "Who may have signed the collector's certificate (PEM); without it, those the\n"
		    "system trusts."},
	{EXPORTER_KEY(certificate_file, "certificate_file", PATH), .only_to = TO(TLS),
	 .example_text = "/etc/procflow/probe.pem",
	 .comment = "Our own certificate with what belongs to its chain (PEM) ..."},
	{EXPORTER_KEY(key_file, "key_file", PATH), .only_to = TO(TLS),
	 .example_text = "/etc/procflow/probe.key",
	 .comment = "... and its key: its owner may read and write the file, its group may read "
		    "it, others\n"
		    "nothing."},
	{EXPORTER_KEY(server_name, "server_name", TEXT), .only_to = TO(TLS),
	 .example_text = "collector.example.net",
	 .comment = "The name in the collector's certificate, where it is not the host in \"to\"."},
	{EXPORTER_KEY(spool, "spool", PATH), .only_for = SPOOLED, .only_to = SPOOLED_TO,
	 .example_text = "/var/lib/procflow/spool",
	 .comment = "A directory: what is not sent yet stands on disk too, over a crash and a\n"
		    "restart, and what does not fit the queue stands there only. The exporter "
		    "needs a\n"
		    "\"name\"."},
	{EXPORTER_KEY(spool_max_bytes, "spool_max", SIZE), .default_text = "1GiB", .least = "1MiB",
	 .most = "1000000G", .only_for = SPOOLED, .only_to = SPOOLED_TO,
	 .comment = "At most so much of it; then the oldest makes room, and is counted."},

	{KEY(control, socket, "socket", TEXT), .default_text = "/run/procflow/control.sock",
	 .comment = "A unix socket for procflow, the client; or none."},
	{KEY(control, group, "group", TEXT), .default_text = "procflow",
	 .comment = "The members of this group may ask, beside root and the daemon's user."},

	{KEY(metrics, file, "file", PATH),
	 .example_text = "/var/lib/prometheus/node-exporter/procflow.prom",
	 .comment = "All counters as text for Prometheus, for the textfile collector of its node "
		    "exporter."},
	{KEY(metrics, listen, "listen", LISTEN), .example_text = "127.0.0.1:9477",
	 .comment =
		 "The same by HTTP, at /metrics, to whoever can connect; a port alone is one of\n"
		 "127.0.0.1."},
	{KEY(metrics, interval_ns, "interval", DURATION), .default_text = "15s", .least = "1s",
	 .most = "1h", .comment = "How often the file is written."},

	{KEY(log, level, "level", WORD), .default_text = "notice", .words = log_levels,
	 .comment = "The least important lines that are written."},
	{KEY(log, target, "to", WORD), .default_text = "auto", .words = log_targets,
	 .comment = "auto: the journal under systemd, else standard error."},
};

const struct config_section config_sections[] = {
	{"flows", "Which flows are reported, and when.", false},
	{"conntrack", "The kernel's connection tracking, which tells of the flows.", false},
	{"attribution", "Which process is behind a flow.", false},
	{"processes", "What the processes used while their flows lasted.", false},
	{"nflog", "Packets, where they tell more than connection tracking does.", false},
	{"sysdig", "The program sysdig(8), where it is wanted (docs/sysdig.md).", false},
	{"exporters", "Where the records go: a list, one entry an exporter.", true},
	{"control", "What the daemon tells of itself while it runs.", false},
	{"metrics", "Its counters, for Prometheus.", false},
	{"log", "The daemon's own messages.", false},
};

const size_t config_key_count = array_length(config_keys);
const size_t config_section_count = array_length(config_sections);
_Static_assert(array_length(config_keys) <= CONFIG_KEYS_MAX, "room for every key");

static const struct config_exporter_kind exporter_kinds[] = {
	{.name = "json",
	 .type = CONFIG_EXPORTER_JSON,
	 .default_to = "file:///var/log/procflow/flows.json",
	 .example_to = "file:///var/log/procflow/flows.json",
	 .expected_to = "stdout:, file:///path, unix:///path, tcp:// or udp://HOST:PORT",
	 .transports = TO(STDOUT) | TO(FILE) | TO(UNIX) | TO(TCP) | TO(UDP)},
	{.name = "netflow9",
	 .type = CONFIG_EXPORTER_NETFLOW9,
	 .example_to = "udp://192.0.2.1:2055",
	 .expected_to = "udp://HOST:PORT",
	 .transports = TO(UDP),
	 .default_port = 2055},
	{.name = "ipfix",
	 .type = CONFIG_EXPORTER_IPFIX,
	 .example_to = "udp://192.0.2.1:4739",
	 .expected_to = "udp://, tcp:// or tls://HOST:PORT",
	 .transports = TO(UDP) | TO(TCP) | TO(TLS),
	 .default_port = 4739,
	 .default_tls_port = 4740},
	{.name = "elasticsearch",
	 .type = CONFIG_EXPORTER_ELASTICSEARCH,
	 .service = "elasticsearch",
	 .example_to = "https://es.example.net:9200",
	 .expected_to = "http:// or https://HOST:PORT",
	 .transports = TO(HTTP) | TO(HTTPS)},
	{.name = "kafka",
	 .type = CONFIG_EXPORTER_KAFKA,
	 .service = "kafka",
	 .example_to = "kafka://broker1:9092,broker2:9092",
	 .expected_to = "kafka://HOST:PORT,HOST:PORT",
	 .transports = TO(KAFKA)},
	{.name = "zmq",
	 .type = CONFIG_EXPORTER_ZMQ,
	 .service = "zmq",
	 .example_to = "tcp://*:5556",
	 .expected_to = "tcp://*:PORT or tcp://HOST:PORT",
	 .transports = TO(TCP),
	 .default_port = 5556},
};

const struct config_section *config_section_find(const char *name)
{
	for (size_t i = 0; i < array_length(config_sections); i++)
		if (strcmp(config_sections[i].name, name) == 0)
			return &config_sections[i];
	return NULL;
}

const struct config_key *config_key_find(const char *section, const char *name)
{
	for (size_t i = 0; i < array_length(config_keys); i++)
		if (strcmp(config_keys[i].section, section) == 0 &&
		    strcmp(config_keys[i].name, name) == 0)
			return &config_keys[i];
	return NULL;
}

const struct config_exporter_kind *config_exporter_kind_find(enum config_exporter_type type)
{
	for (size_t i = 0; i < array_length(exporter_kinds); i++)
		if (exporter_kinds[i].type == type)
			return &exporter_kinds[i];
	return NULL;
}

const char *config_transport_get_name(enum config_transport transport)
{
	static const char *const names[] = {
		[CONFIG_TRANSPORT_STDOUT] = "stdout", [CONFIG_TRANSPORT_FILE] = "file",
		[CONFIG_TRANSPORT_UDP] = "udp",	      [CONFIG_TRANSPORT_TCP] = "tcp",
		[CONFIG_TRANSPORT_TLS] = "tls",	      [CONFIG_TRANSPORT_UNIX] = "unix",
		[CONFIG_TRANSPORT_HTTP] = "http",     [CONFIG_TRANSPORT_HTTPS] = "https",
		[CONFIG_TRANSPORT_KAFKA] = "kafka",
	};

	return names[transport];
}

const char *config_exporter_type_get_name(enum config_exporter_type type)
{
	const struct config_exporter_kind *kind = config_exporter_kind_find(type);

	return kind ? kind->name : "text";
}

bool config_key_is_of_exporter(const struct config_key *key)
{
	return config_section_find(key->section)->is_exporters;
}

size_t config_section_list_names(const char *names[CONFIG_KEYS_MAX])
{
	for (size_t i = 0; i < array_length(config_sections); i++)
		names[i] = config_sections[i].name;
	return array_length(config_sections);
}

size_t config_key_list_names(const char *section, const char *names[CONFIG_KEYS_MAX])
{
	size_t count = 0;

	for (size_t i = 0; i < array_length(config_keys); i++)
		if (strcmp(config_keys[i].section, section) == 0)
			names[count++] = config_keys[i].name;
	return count;
}

size_t config_key_list_words(const struct config_key *key, const char *names[CONFIG_KEYS_MAX])
{
	size_t count = 0;

	for (const struct config_word *word = key->words; word && word->name; word++)
		names[count++] = word->name;
	return count;
}
