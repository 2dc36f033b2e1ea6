/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* The configuration as plain values: one struct a section, one member a key, named as in the file.
 * Which keys there are, their defaults and their limits stands in config/keys.c, once. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/address.h"

enum config_tcp_end { CONFIG_TCP_END_CLOSE, CONFIG_TCP_END_DESTROY };
enum config_activate { CONFIG_ACTIVATE_AUTO, CONFIG_ACTIVATE_NEVER };
enum config_exporter_type {
	CONFIG_EXPORTER_JSON,
	CONFIG_EXPORTER_TEXT, /* -o text only: no configuration names it */
	CONFIG_EXPORTER_NETFLOW9,
	CONFIG_EXPORTER_IPFIX,
	CONFIG_EXPORTER_ELASTICSEARCH,
	CONFIG_EXPORTER_KAFKA,
	CONFIG_EXPORTER_ZMQ,
};
enum config_transport {
	CONFIG_TRANSPORT_STDOUT,
	CONFIG_TRANSPORT_FILE,
	CONFIG_TRANSPORT_UDP,
	CONFIG_TRANSPORT_TCP,
	CONFIG_TRANSPORT_TLS,
	CONFIG_TRANSPORT_UNIX,
	CONFIG_TRANSPORT_HTTP,
	CONFIG_TRANSPORT_HTTPS,
	CONFIG_TRANSPORT_KAFKA,
};
enum config_schema { CONFIG_SCHEMA_PROCFLOW, CONFIG_SCHEMA_ECS };
enum config_biflow { CONFIG_BIFLOW_RFC5103, CONFIG_BIFLOW_NTOP, CONFIG_BIFLOW_SPLIT };

enum config_nflog_rules { CONFIG_NFLOG_MANAGED, CONFIG_NFLOG_EXTERNAL };

enum config_namespaces { CONFIG_NAMESPACES_ALL, CONFIG_NAMESPACES_HOST };

/* Bits of attribution.methods. */
enum {
	CONFIG_METHOD_SOCK_DIAG = 1 << 0,
	CONFIG_METHOD_TRACE = 1 << 1,
	CONFIG_METHOD_SYSDIG = 1 << 2,
};

struct config_prefixes {
	struct ip_prefix *items;
	size_t count;
};

/* A program and its arguments; ends with NULL. */
struct config_arguments {
	char **items;
	size_t count;
};

struct config_flows {
	uint64_t active_timeout_ns, idle_timeout_ns;
	enum config_tcp_end report_tcp_end;
	uint32_t max_flows;
	struct config_prefixes include, exclude;
	bool only_local;
};

struct config_conntrack {
	enum config_activate activate;
	bool accounting;
	uint64_t receive_buffer_bytes, receive_buffer_max_bytes;
};

struct config_attribution {
	unsigned methods; /* CONFIG_METHOD_ */
	enum config_namespaces namespaces;
};

/* Of which processes there are records. */
enum config_report { CONFIG_REPORT_NETWORKED, CONFIG_REPORT_ALL, CONFIG_REPORT_NONE };

/* Bits of an exporter's "records". */
enum { CONFIG_RECORDS_FLOW = 1 << 0, CONFIG_RECORDS_PROCESS = 1 << 1 };

struct config_processes {
	enum config_report report;
	bool report_start;
	uint64_t sample_interval_ns;
	bool delay_accounting;
	bool command_line;
	bool package_names;
};

struct config_nflog {
	bool enable;
	uint32_t group;
	uint32_t packets; /* of each flow and direction; 0: every one */
	enum config_nflog_rules rules;
};

struct config_sysdig {
	bool enable;
	struct config_arguments command;
	char *capture; /* a file, or NULL */
};

/* "to:", taken apart: "udp://host:port", "tcp://host:port", "tls://host:port", "file:///path",
 * "unix:///path", "stdout:"; what a service's library takes apart by itself is a URL: "https://host:9200". */
struct config_address {
	enum config_transport transport;
	char *text; /* all of it, as written; NULL where nobody wrote it */
	char *host; /* as written, without brackets */
	uint16_t port;
	char *path;
	char *url;
};

/* What goes to a library as it is written, and where it stands. */
struct config_option {
	char *name, *value;
	unsigned line, column;
};

struct config_options {
	struct config_option *items;
	size_t count;
};

/* Of the key observation_domain, until config_complete_names(). */
#define CONFIG_DOMAIN_OPEN UINT32_MAX

struct config_exporter {
	char *name;
	enum config_exporter_type type;
	struct config_address to;
	unsigned records;    /* CONFIG_RECORDS_; see config_exporter_takes_processes() */
	char *template_name; /* procflow | standard | ntopng | "%NAME %NAME" */
	enum config_biflow biflow;
	uint64_t template_interval_ns;
	uint32_t template_packets;
	uint32_t observation_domain; /* of ipfix and netflow9 */
	uint32_t max_message_bytes;
	uint32_t queue;		    /* records */
	uint64_t rotate_size_bytes; /* 0: never */
	uint32_t rotate_keep;	    /* files */
	uint64_t reconnect_ns;
	enum config_schema schema;
	/* elasticsearch */
	char *index; /* with conversions of strftime(3) */
	bool data_stream, install_template;
	uint64_t timeout_ns;
	/* kafka */
	char *topic;
	struct config_options options;
	/* zmq */
	bool connect; /* instead of binding */
	uint32_t header_version, source_id;
	char *server_key, *secret_key_file; /* CURVE; NULL where not given */
	/* NULL where not given. */
	char *ca_file, *certificate_file, *key_file, *server_name;
	char *username, *password_file;
	char *spool; /* a directory */
	uint64_t spool_max_bytes;
	/* Those of the section flows, for messages that tell them; 0: not known. */
	uint64_t active_timeout_ns, idle_timeout_ns;
	unsigned line, column; /* where it stands in the file, 0 where it does not */
};

/* Where to listen: "9477" is 127.0.0.1:9477. */
struct config_listen {
	struct ip_address address;
	uint8_t family; /* enum ip_family; NONE: nowhere */
	uint16_t port;
};

struct config_metrics {
	char *file; /* NULL: none */
	struct config_listen listen;
	uint64_t interval_ns; /* of writing the file */
};

struct config_control {
	char *socket; /* "none": none */
	char *group;
};

struct config_log {
	int level;  /* enum log_level */
	int target; /* enum log_target */
};

struct config {
	struct config_flows flows;
	struct config_conntrack conntrack;
	struct config_attribution attribution;
	struct config_processes processes;
	struct config_nflog nflog;
	struct config_sysdig sysdig;
	struct config_exporter *exporters;
	size_t exporter_count;
	struct config_control control;
	struct config_metrics metrics;
	struct config_log log;
};

/* The defaults, with the one default exporter. 0, or -ENOMEM. */
int config_new(struct config **ret);
void config_free(struct config *config);

/* Replaces all exporters by one of "type" that writes to standard output (-o). 0, or -ENOMEM. */
int config_set_standard_output(struct config *config, enum config_exporter_type type);

/* Whether records of processes go there: it is asked for them, and its language has a form for them
 * (of NetFlow v9 and IPFIX the template procflow). */
bool config_exporter_takes_processes(const struct config_exporter *exporter);

/* The name of a type as the file has it: "ipfix". */
const char *config_exporter_type_get_name(enum config_exporter_type type);
