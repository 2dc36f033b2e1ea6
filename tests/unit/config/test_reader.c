/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/macros.h"
#include "config/reader.h"
#include "runtime/log.h"

/* A mistake as it must come out: the text of the file, and all that is written about it. */
struct bad_case {
	const char *text, *expected;
};

static const struct bad_case value_cases[] = {
	{"flows:\n  active_timeout: 60x\n",
	 "f:2:19: flows.active_timeout: \"60x\" is not a duration (expected e.g. 500ms, 60s, 5m)\n"
	 "      active_timeout: 60x\n"
	 "                      ^\n"},
	{"flows: {active_timeout: 60}",
	 "f:1:25: flows.active_timeout: \"60\" is not a duration (expected e.g. 500ms, 60s, 5m)\n"
	 "    flows: {active_timeout: 60}\n"
	 "                            ^\n"},
	{"flows:\n  idle_timeout: 99ms\n  active_timeout: 25h",
	 "f:2:17: flows.idle_timeout: \"99ms\" is out of range (100ms to 1d)\n"
	 "      idle_timeout: 99ms\n"
	 "                    ^\n"
	 "f:3:19: flows.active_timeout: \"25h\" is out of range (100ms to 1d)\n"
	 "      active_timeout: 25h\n"
	 "                      ^\n"},
	{"flows:\n  max_flows: -1\n",
	 "f:2:14: flows.max_flows: \"-1\" is out of range (1 to 16777216 flows)\n"
	 "      max_flows: -1\n"
	 "                 ^\n"},
	{"flows:\n  max_flows: 99999999999999999999999\n",
	 "f:2:14: flows.max_flows: \"99999999999999999999999\" is out of range (1 to 16777216 "
	 "flows)\n"
	 "      max_flows: 99999999999999999999999\n"
	 "                 ^\n"},
	{"flows:\n  max_flows: many\n",
	 "f:2:14: flows.max_flows: \"many\" is not a whole number (expected e.g. 1000)\n"
	 "      max_flows: many\n"
	 "                 ^\n"},
	{"flows:\n  max_flows:\n",
	 "f:2:13: flows.max_flows: nothing is not a whole number (expected e.g. 1000)\n"
	 "      max_flows:\n"
	 "                ^\n"},
	{"flows:\n  max_flows: ~\n  only_local: null\n",
	 "f:2:14: flows.max_flows: nothing is not a whole number (expected e.g. 1000)\n"
	 "      max_flows: ~\n"
	 "                 ^\n"
	 "f:3:15: flows.only_local: nothing is not a boolean (expected e.g. true, false)\n"
	 "      only_local: null\n"
	 "                  ^\n"},
	{"flows:\n  max_flows: [1]\n  include: 10.0.0.0/8\n",
	 "f:2:14: flows.max_flows: a list is not a whole number (expected e.g. 1000)\n"
	 "      max_flows: [1]\n"
	 "                 ^\n"
	 "f:3:12: flows.include: \"10.0.0.0/8\" is not a list (expected e.g. [10.0.0.0/8, "
	 "2001:db8::/32])\n"
	 "      include: 10.0.0.0/8\n"
	 "               ^\n"},
	{"flows:\n  only_local:\n    yes: 1\n",
	 "f:3:5: flows.only_local: a mapping is not a boolean (expected e.g. true, false)\n"
	 "        yes: 1\n"
	 "        ^\n"},
	{"flows:\n  only_local: perhaps\n",
	 "f:2:15: flows.only_local: \"perhaps\" is not a boolean (expected e.g. true, false)\n"
	 "      only_local: perhaps\n"
	 "                  ^\n"},
	{"flows:\n  report_tcp_end: clsoe\n",
	 "f:2:19: flows.report_tcp_end: \"clsoe\" is not known here, did you mean \"close\"? "
	 "(expected close, destroy)\n"
	 "      report_tcp_end: clsoe\n"
	 "                      ^\n"},
	{"log:\n  level: loud\n",
	 "f:2:10: log.level: \"loud\" is not known here (expected error, warning, notice, info, "
	 "debug)\n"
	 "      level: loud\n"
	 "             ^\n"},
	{"flows:\n  include: [10.0.0.0/8, 10.0.0.1/8, host, 10.0.0.0/33, [a], ]\n",
	 "f:2:25: flows.include: \"10.0.0.1/8\" is not a network, or has bits set behind its "
	 "length "
	 "(expected e.g. [10.0.0.0/8, 2001:db8::/32])\n"
	 "      include: [10.0.0.0/8, 10.0.0.1/8, host, 10.0.0.0/33, [a], ]\n"
	 "                            ^\n"
	 "f:2:37: flows.include: \"host\" is not a network, or has bits set behind its length "
	 "(expected e.g. [10.0.0.0/8, 2001:db8::/32])\n"
	 "      include: [10.0.0.0/8, 10.0.0.1/8, host, 10.0.0.0/33, [a], ]\n"
	 "                                        ^\n"
	 "f:2:43: flows.include: \"10.0.0.0/33\" is not a network, or has bits set behind its "
	 "length "
	 "(expected e.g. [10.0.0.0/8, 2001:db8::/32])\n"
	 "      include: [10.0.0.0/8, 10.0.0.1/8, host, 10.0.0.0/33, [a], ]\n"
	 "                                              ^\n"
	 "f:2:56: flows.include: a list is not a network (expected e.g. [10.0.0.0/8, "
	 "2001:db8::/32])\n"
	 "      include: [10.0.0.0/8, 10.0.0.1/8, host, 10.0.0.0/33, [a], ]\n"
	 "                                                           ^\n"},
	{"attribution:\n  methods: [trace, sockdiag, trace]\n",
	 "f:2:20: attribution.methods: \"sockdiag\" is not known here, did you mean \"sock_diag\"? "
	 "(expected trace, sock_diag, sysdig)\n"
	 "      methods: [trace, sockdiag, trace]\n"
	 "                       ^\n"
	 "f:2:30: attribution.methods: \"trace\" stands here twice (expected trace, sock_diag, "
	 "sysdig)\n"
	 "      methods: [trace, sockdiag, trace]\n"
	 "                                 ^\n"},
	{"attribution:\n  methods: []\n", "f:2:12: attribution.methods: an empty list is not "
					  "enough (expected trace, sock_diag, sysdig)\n"
					  "      methods: []\n"
					  "               ^\n"},
};

static const struct bad_case structure_cases[] = {
	{"just text\n", "f:1:1: expected sections (\"flows:\"), found \"just text\"\n"
			"    just text\n"
			"    ^\n"},
	{"- a\n- b\n", "f:1:1: expected sections (\"flows:\"), found a list\n"
		       "    - a\n"
		       "    ^\n"},
	{"flows: 3\n", "f:1:8: flows: expected keys and values below it, found \"3\"\n"
		       "    flows: 3\n"
		       "           ^\n"},
	{"flows: [a]\nexporters: {type: json}\n",
	 "f:1:8: flows: expected keys and values below it, found a list\n"
	 "    flows: [a]\n"
	 "           ^\n"
	 "f:2:12: exporters: expected a list of exporters (\"- type: json\"), found a mapping\n"
	 "    exporters: {type: json}\n"
	 "               ^\n"},
	{"flow:\n  max_flows: 1\n", "f:1:1: unknown section \"flow\", did you mean \"flows\"?\n"
				    "    flow:\n"
				    "    ^\n"},
	{"nonsense: 1\n", "f:1:1: unknown section \"nonsense\"\n"
			  "    nonsense: 1\n"
			  "    ^\n"},
	{"max_flows: 1\n",
	 "f:1:1: unknown section \"max_flows\": this key belongs below \"flows:\"\n"
	 "    max_flows: 1\n"
	 "    ^\n"},
	{"flows:\n  active_timeot: 60s\n  zebra: 1\n",
	 "f:2:3: flows: unknown key \"active_timeot\", did you mean \"active_timeout\"?\n"
	 "      active_timeot: 60s\n"
	 "      ^\n"
	 "f:3:3: flows: unknown key \"zebra\"\n"
	 "      zebra: 1\n"
	 "      ^\n"},
	{"flows:\n  max_flows: 1\n  max_flows: 2\n",
	 "f:3:3: flows.max_flows: stands on line 2 already\n"
	 "      max_flows: 2\n"
	 "      ^\n"},
	{"log:\n  level: info\nflows:\nlog:\n  to: stderr\n",
	 "f:4:1: log: this section stands on line 1 already\n"
	 "    log:\n"
	 "    ^\n"},
	{"flows:\n  [a]: 1\n  {b: c}: 1\n  ~: 1\n",
	 "f:2:3: expected the name of a key, found a list\n"
	 "      [a]: 1\n"
	 "      ^\n"
	 "f:3:3: expected the name of a key, found a mapping\n"
	 "      {b: c}: 1\n"
	 "      ^\n"
	 "f:4:3: expected the name of a key, found nothing\n"
	 "      ~: 1\n"
	 "      ^\n"},
	{"log: {level: info}\n---\nlog: {level: debug}\n",
	 "f:2:1: a second document starts here: the configuration is one document\n"
	 "    ---\n"
	 "    ^\n"},
	{"log: &a\n  level: info\nflows: *a\n", "f:1:6: anchors (&name) are not supported here\n"
						"    log: &a\n"
						"         ^\n"
						"f:3:8: aliases (*name) are not supported here\n"
						"    flows: *a\n"
						"           ^\n"},
	{"log:\n  <<: *defaults\n", "f:2:3: log: unknown key \"<<\"\n"
				    "      <<: *defaults\n"
				    "      ^\n"
				    "f:2:7: aliases (*name) are not supported here\n"
				    "      <<: *defaults\n"
				    "          ^\n"},
	{"log:\n  level: !!str info\n", "f:2:10: tags (!name) are not supported here\n"
					"      level: !!str info\n"
					"             ^\n"},
	{"a: [[[[[[[[[[[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]\n",
	 "f:1:1: unknown section \"a\"\n"
	 "    a: [[[[[[[[[[[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]\n"
	 "    ^\n"
	 "f:1:19: nested deeper than 16 levels\n"
	 "    a: [[[[[[[[[[[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]\n"
	 "                      ^\n"},
	{"flows:\n  max_flows: 0\n  include: [10.0.0.0/8\nlog:\n  level: info\n",
	 "f:2:14: flows.max_flows: \"0\" is out of range (1 to 16777216 flows)\n"
	 "      max_flows: 0\n"
	 "                 ^\n"
	 "f:4:4: not YAML: did not find expected ',' or ']' (while parsing a flow sequence, from "
	 "line "
	 "3)\n"
	 "    log:\n"
	 "       ^\n"},
};

static const struct bad_case text_cases[] = {
	{"flows:\n\tmax_flows: 0\n  \tidle_timeout: 1\nlog:\n  level: loud\n",
	 "f:2:1: tab in the indentation: YAML wants spaces there\n"
	 "     max_flows: 0\n"
	 "    ^\n"
	 "f:3:3: tab in the indentation: YAML wants spaces there\n"
	 "       idle_timeout: 1\n"
	 "      ^\n"
	 "f:5:10: log.level: \"loud\" is not known here (expected error, warning, notice, info, "
	 "debug)\n"
	 "      level: loud\n"
	 "             ^\n"},
	{"log:\n  level: \xff\xfeinfo\xff\n", "f:2:10: byte 0xFF is not UTF-8 text\n"
					      "      level: ??info?\n"
					      "             ^\n"},
	{"log: # caf\xc3\xa9 \xed\xa0\x80\n  level: loud\n",
	 "f:1:13: byte 0xED is not UTF-8 text\n"
	 "    log: # caf\xc3\xa9 ???\n"
	 "                ^\n"
	 "f:2:10: log.level: \"loud\" is not known here (expected error, warning, notice, info, "
	 "debug)\n"
	 "      level: loud\n"
	 "             ^\n"},
	{"log: # \x1b[31m\n  level: info\n", "f:1:8: control character U+001B is not allowed\n"
					     "    log: # ?[31m\n"
					     "           ^\n"},
	{"log: # \xc2\x9b"
	 "31m \xe2\x80\xa8\n",
	 "f:1:8: control character U+009B is not allowed\n"
	 "    log: # ?31m ?\n"
	 "           ^\n"},
	{"log: # \xe2\x80\xae abc\n",
	 "f:1:8: character that changes the direction of writing, U+202E is not allowed\n"
	 "    log: # ? abc\n"
	 "           ^\n"},
	{"log:\n  level: \"in\\x1bfo\"\n  to: 'a\n\n    b'\n",
	 "f:2:10: the value holds a line break or a control character\n"
	 "      level: \"in\\x1bfo\"\n"
	 "             ^\n"
	 "f:3:7: the value holds a line break or a control character\n"
	 "      to: 'a\n"
	 "          ^\n"},
	{"log:\n  l\xc3\xa9vel: info\n", "f:2:3: log: unknown key \"l\xc3\xa9vel\", did you mean "
					 "\"level\"?\n"
					 "      l\xc3\xa9vel: info\n"
					 "      ^\n"},
	{"log:\r\n  level: loud\r\n  to: here\r\n",
	 "f:2:10: log.level: \"loud\" is not known here (expected error, warning, notice, info, "
	 "debug)\n"
	 "      level: loud\n"
	 "             ^\n"
	 "f:3:7: log.to: \"here\" is not known here (expected auto, journal, stderr)\n"
	 "      to: here\n"
	 "          ^\n"},
};

static const struct bad_case exporter_cases[] = {
	{"exporters:\n  - name: a\n", "f:2:5: exporters: this one has no type (one of json, "
				      "netflow9, ipfix, elasticsearch, kafka, zmq)\n"
				      "      - name: a\n"
				      "        ^\n"},
	{"exporters:\n  - type: text\n",
	 "f:2:11: exporters.type: \"text\" is not known here "
	 "(expected json, netflow9, ipfix, elasticsearch, kafka, zmq)\n"
	 "      - type: text\n"
	 "              ^\n"},
	{"exporters:\n  - type: ipfix\n", "f:2:5: exporters: type ipfix needs \"to: "
					  "udp://, tcp:// or tls://HOST:PORT\"\n"
					  "      - type: ipfix\n"
					  "        ^\n"},
	{"exporters:\n  - json\n  -\n",
	 "f:2:5: exporters: expected the keys of an exporter (\"- type: json\"), found \"json\"\n"
	 "      - json\n"
	 "        ^\n"
	 "f:3:4: exporters: expected the keys of an exporter (\"- type: json\"), found nothing\n"
	 "      -\n"
	 "       ^\n"},
	{"exporters:\n  - {type: json, to: 'tls://a'}\n  - {type: ipfix, to: 'stdout:'}\n",
	 "f:2:22: exporters.to: type json cannot go there (expected stdout:, file:///path, "
	 "unix:///path, tcp:// or udp://HOST:PORT)\n"
	 "      - {type: json, to: 'tls://a'}\n"
	 "                         ^\n"
	 "f:2:22: exporters.to: type json has no usual port: tls://a:PORT\n"
	 "      - {type: json, to: 'tls://a'}\n"
	 "                         ^\n"
	 "f:3:23: exporters.to: type ipfix cannot go there (expected udp://, tcp:// or "
	 "tls://HOST:PORT)\n"
	 "      - {type: ipfix, to: 'stdout:'}\n"
	 "                          ^\n"},
	{"exporters:\n  - {type: json, to: 'tcp://a:5', spool: /s}\n",
	 "f:2:42: exporters.spool: it needs a name of the exporter (\"name: ...\"), what waits "
	 "there is "
	 "kept under it\n"
	 "      - {type: json, to: 'tcp://a:5', spool: /s}\n"
	 "                                             ^\n"},
	{"exporters:\n  - {type: json, to: 'tcp://a'}\n",
	 "f:2:22: exporters.to: type json has no usual port: tcp://a:PORT\n"
	 "      - {type: json, to: 'tcp://a'}\n"
	 "                         ^\n"},
	{"exporters:\n  - type: json\n    to: udp://a:5\n    spool: /s\n    name: b\n",
	 "f:4:5: exporters.spool: means nothing for udp: (only for file://, tcp://, tls://, "
	 "unix://, "
	 "http://, "
	 "https://, kafka://)\n"
	 "        spool: /s\n"
	 "        ^\n"},
	{"exporters:\n  - type: netflow9\n    to: udp://a\n    spool: /s\n    ca_file: ca\n    "
	 "name: "
	 "b\n",
	 "f:4:5: exporters.spool: means nothing for type netflow9 (only for json, ipfix, "
	 "elasticsearch, kafka)\n"
	 "        spool: /s\n"
	 "        ^\n"
	 "f:5:5: exporters.ca_file: means nothing for udp: (only for tls://, https://)\n"
	 "        ca_file: ca\n"
	 "        ^\n"
	 "f:5:14: exporters.ca_file: \"ca\" is not an absolute path (expected e.g. "
	 "/etc/procflow/ca.pem)\n"
	 "        ca_file: ca\n"
	 "                 ^\n"},
	{"exporters:\n  - type: json\n    to: file://flows.json\n",
	 "f:3:9: exporters.to: \"file://flows.json\" is not an address: the path is not absolute "
	 "(file:///path, three slashes)\n"
	 "        to: file://flows.json\n"
	 "            ^\n"},
	{"exporters:\n  - type: json\n    template: standard\n    biflow: ntop\n    max_message: "
	 "1\n"
	 "    template_interval: 5s\n    template_packets: 5\n",
	 "f:3:5: exporters.template: means nothing for type json (only for netflow9, ipfix)\n"
	 "        template: standard\n"
	 "        ^\n"
	 "f:4:5: exporters.biflow: means nothing for type json (only for netflow9, ipfix)\n"
	 "        biflow: ntop\n"
	 "        ^\n"
	 "f:5:5: exporters.max_message: means nothing for type json (only for netflow9, ipfix)\n"
	 "        max_message: 1\n"
	 "        ^\n"
	 "f:5:18: exporters.max_message: \"1\" is out of range (512 to 65507 bytes)\n"
	 "        max_message: 1\n"
	 "                     ^\n"
	 "f:6:5: exporters.template_interval: means nothing for type json (only for netflow9, "
	 "ipfix)\n"
	 "        template_interval: 5s\n"
	 "        ^\n"
	 "f:7:5: exporters.template_packets: means nothing for type json (only for netflow9, "
	 "ipfix)\n"
	 "        template_packets: 5\n"
	 "        ^\n"},
	{"exporters:\n  - {type: json, name: a}\n  - {type: json, name: a, to: 'stdout:'}\n",
	 "f:3:5: exporters.name: \"a\" is the name of the exporter on line 2 already\n"
	 "      - {type: json, name: a, to: 'stdout:'}\n"
	 "        ^\n"},
	{"exporters:\n  - {type: json}\n  - {type: json}\n",
	 "f:3:5: exporters.to: the exporter on line 2 writes to this file already\n"
	 "      - {type: json}\n"
	 "        ^\n"},
	{"exporters:\n  - {type: json, to: 'stdout:'}\n  - {type: json, to: 'stdout:'}\n",
	 "f:3:5: exporters.to: the exporter on line 2 writes to standard output already\n"
	 "      - {type: json, to: 'stdout:'}\n"
	 "        ^\n"},
	{"exporters:\n  - {type: json, name: ''}\n", "f:2:24: exporters.name: \"\" is empty\n"
						     "      - {type: json, name: ''}\n"
						     "                           ^\n"},
	{"exporters:\n  - {type: ipfix, to: udp://a, template: ntopng, records: [process]}\n",
	 "f:2:59: exporters.records: records of processes come with the template procflow only\n"
	 "      - {type: ipfix, to: udp://a, template: ntopng, records: [process]}\n"
	 "                                                              ^\n"},
	{"exporters:\n  - {type: ipfix, to: 'udp://a', template: ntopg1}\n",
	 "f:2:44: exporters.template: \"ntopg1\" is not known here, did you mean \"ntopng\"? "
	 "(expected procflow, standard, ntopng)\n"
	 "      - {type: ipfix, to: 'udp://a', template: ntopg1}\n"
	 "                                               ^\n"},
	{"exporters:\n  - {type: ipfix, to: 'udp://a', template: '%PROTOCOL %SRC_PROC_NAM'}\n",
	 "f:2:56: exporters.template: there is no field \"SRC_PROC_NAM\", did you mean "
	 "\"SRC_PROC_NAME\"?\n"
	 "      - {type: ipfix, to: 'udp://a', template: '%PROTOCOL %SRC_PROC_NAM'}\n"
	 "                                                           ^\n"},
	{"exporters:\n  - type: netflow9\n    to: udp://a\n    template: [PROTOCOL, PROTOCOL,\n"
	 "      '%IN_PKT']\n",
	 "f:4:26: exporters.template: \"PROTOCOL\" stands here twice\n"
	 "        template: [PROTOCOL, PROTOCOL,\n"
	 "                             ^\n"
	 "f:5:9: exporters.template: there is no field \"IN_PKT\", did you mean \"IN_PKTS\"?\n"
	 "          '%IN_PKT']\n"
	 "            ^\n"},
	{"exporters:\n  - {type: ipfix, to: 'udp://a', template: '%PROTOCOL %IN_BYTES:3'}\n",
	 "f:2:56: exporters.template: \"IN_BYTES:3\" is a width that this field cannot have (a text "
	 "can have 1 to 1024, IN_BYTES and its like 4 or 8)\n"
	 "      - {type: ipfix, to: 'udp://a', template: '%PROTOCOL %IN_BYTES:3'}\n"
	 "                                                           ^\n"},
	{"exporters:\n  - {to: 'udp://a', template: '%SRC_PROC_EXE', type: ipfix}\n",
	 "f:2:31: exporters.template: SRC_PROC_EXE has no number in ipfix (it is in json)\n"
	 "      - {to: 'udp://a', template: '%SRC_PROC_EXE', type: ipfix}\n"
	 "                                  ^\n"
	 "f:2:31: exporters.template: it needs a field that every flow has, such as PROTOCOL\n"
	 "      - {to: 'udp://a', template: '%SRC_PROC_EXE', type: ipfix}\n"
	 "                                  ^\n"},
	{"exporters:\n  - {type: netflow9, to: 'udp://a', max_message: 512, template: "
	 "'%PROTOCOL %IPV4_SRC_ADDR %IPV6_SRC_ADDR %SRC_PROC_NAME:472'}\n",
	 "f:2:65: exporters.template: a record needs a message of 516 bytes, and max_message is "
	 "512\n"
	 "    ...type: netflow9, to: 'udp://a', max_message: 512, template: '%PROTOCOL "
	 "%IPV4_SRC_ADDR %IPV6_SRC_ADDR %SRC_PROC_NAME:472'}\n"
	 "                                                                  ^\n"},
	/* With a byte less it fits. */
	{"exporters:\n  - {type: netflow9, to: 'udp://a', max_message: 512, template: "
	 "'%PROTOCOL %IPV4_SRC_ADDR %IPV6_SRC_ADDR %SRC_PROC_NAME:471', x: 1}\n",
	 "f:2:127: exporters: unknown key \"x\"\n"
	 "    ...ROTOCOL %IPV4_SRC_ADDR %IPV6_SRC_ADDR %SRC_PROC_NAME:471', x: 1}\n"
	 "                                                                  ^\n"},
	{"conntrack:\n  receive_buffer: 256MiB\n",
	 "f:2:19: conntrack.receive_buffer_max: 134217728 bytes are less than receive_buffer, "
	 "268435456 bytes\n"
	 "      receive_buffer: 256MiB\n"
	 "                      ^\n"},
	{"conntrack:\n  receive_buffer_max: 1M\n  receive_buffer: 2M\n",
	 "f:2:23: conntrack.receive_buffer_max: 1000000 bytes are less than receive_buffer, "
	 "2000000 "
	 "bytes\n"
	 "      receive_buffer_max: 1M\n"
	 "                          ^\n"},
};

static bool is_text(const struct buffer *buffer, const char *expected)
{
	size_t length = strlen(expected);

	return buffer->length == length &&
	       (length == 0 || memcmp(buffer->bytes, expected, length) == 0);
}

static void check_bad(const char *text, size_t length, const char *expected)
{
	struct config *config = NULL;
	struct buffer mistakes;
	int r;

	buffer_init(&mistakes);
	r = config_read_text("f", text, length, &config, &mistakes);
	if (r != -EINVAL || !is_text(&mistakes, expected))
		fail_msg("%d for\n%s\ngot:\n%.*s\nexpected:\n%s", r, text, (int)mistakes.length,
			 (const char *)mistakes.bytes, expected);
	assert_null(config);
	buffer_fini(&mistakes);
}

static void check_all(const struct bad_case *cases, size_t count)
{
	for (size_t i = 0; i < count; i++)
		check_bad(cases[i].text, strlen(cases[i].text), cases[i].expected);
}

static void test_wrong_values(unused void **state)
{
	check_all(value_cases, array_length(value_cases));
}

static void test_wrong_structure(unused void **state)
{
	check_all(structure_cases, array_length(structure_cases));
}

static void test_wrong_characters(unused void **state)
{
	static const char with_nul[] = "log:\n  level: in\0fo\n";

	check_all(text_cases, array_length(text_cases));
	check_bad(with_nul, sizeof(with_nul) - 1,
		  "f:2:12: control character U+0000 is not allowed\n"
		  "      level: in?fo\n"
		  "               ^\n");
}

static void test_wrong_exporters(unused void **state)
{
	check_all(exporter_cases, array_length(exporter_cases));
}

/* The caller's. */
static struct config *read_good(const char *text)
{
	struct config *config = NULL;
	struct buffer mistakes;
	int r;

	buffer_init(&mistakes);
	r = config_read_text("f", text, strlen(text), &config, &mistakes);
	if (r != 0)
		fail_msg("%d for\n%s\n%.*s", r, text, (int)mistakes.length,
			 (const char *)mistakes.bytes);
	assert_int_equal(mistakes.length, 0);
	buffer_fini(&mistakes);
	return config;
}

static void test_every_value_arrives(unused void **state)
{
	struct config *config = read_good("%YAML 1.1\n---\n"
					  "flows:\n"
					  "  active_timeout: 2m\n"
					  "  idle_timeout: 500ms\n"
					  "  report_tcp_end: destroy\n"
					  "  max_flows: 77\n"
					  "  include: [10.0.0.0/8, '2001:db8::/32']\n"
					  "  exclude:\n"
					  "    - 10.1.0.0/16\n"
					  "  only_local: On\n"
					  "conntrack:\n"
					  "  activate: never\n"
					  "  accounting: no\n"
					  "  receive_buffer: 64KiB\n"
					  "  receive_buffer_max: 1M\n"
					  "attribution:\n"
					  "  methods: [sock_diag]\n"
					  "processes: {sample_interval: 100ms, delay_accounting: "
					  "off, command_line: on, package_names: off}\n"
					  "log: {level: \"debug\", to: stderr}\n");
	const struct ip_address *first = &config->flows.include.items[0].address;

	assert_int_equal(config->flows.active_timeout_ns, 120 * NS_PER_SEC);
	assert_int_equal(config->flows.idle_timeout_ns, 500 * NS_PER_MS);
	assert_int_equal(config->flows.report_tcp_end, CONFIG_TCP_END_DESTROY);
	assert_int_equal(config->flows.max_flows, 77);
	assert_int_equal(config->flows.include.count, 2);
	assert_int_equal(first->bytes[0], 10);
	assert_int_equal(config->flows.include.items[1].bits, 32);
	assert_int_equal(config->flows.exclude.count, 1);
	assert_int_equal(config->flows.exclude.items[0].bits, 16);
	assert_true(config->flows.only_local);
	assert_int_equal(config->conntrack.activate, CONFIG_ACTIVATE_NEVER);
	assert_false(config->conntrack.accounting);
	assert_int_equal(config->conntrack.receive_buffer_bytes, 65536);
	assert_int_equal(config->conntrack.receive_buffer_max_bytes, 1000000);
	assert_int_equal(config->attribution.methods, CONFIG_METHOD_SOCK_DIAG);
	assert_int_equal(config->processes.sample_interval_ns, 100 * NS_PER_MS);
	assert_false(config->processes.delay_accounting);
	assert_true(config->processes.command_line);
	assert_false(config->processes.package_names);
	assert_int_equal(config->log.level, LOG_LEVEL_DEBUG);
	assert_int_equal(config->log.target, LOG_TARGET_STDERR);
	config_free(config);
}

static void test_exporters_arrive_with_their_defaults(unused void **state)
{
	struct config *config = read_good("exporters:\n"
					  "  - type: netflow9\n"
					  "    to: udp://192.0.2.1\n"
					  "    biflow: ntop\n"
					  "    template: standard\n"
					  "    template_interval: 5s\n"
					  "    template_packets: 6\n"
					  "    max_message: 512\n"
					  "    queue: 7\n"
					  "  - {type: ipfix, to: 'udp://[::1]'}\n"
					  "  - {type: ipfix, to: 'udp://a:9995'}\n"
					  "  - {type: ipfix, to: 'udp://b', name: ipfix-2,\n"
					  "     template: [PROTOCOL, '%SRC_PROC_NAME:32']}\n"
					  "  - {type: json, to: 'stdout:'}\n");
	const struct config_exporter *exporters = config->exporters;
	static const char *const names[] = {"netflow9", "ipfix", "ipfix-3", "ipfix-2", "json"};
	static const uint16_t ports[] = {2055, 4739, 9995, 4739, 0};

	assert_int_equal(config->exporter_count, array_length(names));
	for (size_t i = 0; i < array_length(names); i++) {
		assert_string_equal(exporters[i].name, names[i]);
		assert_int_equal(exporters[i].to.port, ports[i]);
	}
	assert_string_equal(exporters[0].to.host, "192.0.2.1");
	assert_int_equal(exporters[0].biflow, CONFIG_BIFLOW_NTOP);
	assert_string_equal(exporters[0].template_name, "standard");
	assert_string_equal(exporters[3].template_name, "%PROTOCOL %SRC_PROC_NAME:32");
	assert_int_equal(exporters[0].template_interval_ns, 5 * NS_PER_SEC);
	assert_int_equal(exporters[0].template_packets, 6);
	assert_int_equal(exporters[0].max_message_bytes, 512);
	assert_int_equal(exporters[0].queue, 7);
	assert_int_equal(exporters[0].line, 2);
	assert_int_equal(exporters[0].column, 5);
	assert_string_equal(exporters[1].to.host, "::1");
	assert_int_equal(exporters[1].queue, 65536);
	assert_int_equal(exporters[4].to.transport, CONFIG_TRANSPORT_STDOUT);
	config_free(config);
}

static void test_nothing_gives_the_defaults(unused void **state)
{
	static const char *const nothings[] = {"",
					       "\n\n",
					       "# a comment\n",
					       "---\n",
					       "~\n",
					       "\xef\xbb\xbf",
					       "{}",
					       "flows:\nexporters:\nlog:\n",
					       "flows: {}\n"};

	for (size_t i = 0; i < array_length(nothings); i++) {
		struct config *config = read_good(nothings[i]);

		assert_int_equal(config->flows.max_flows, 262144);
		assert_int_equal(config->exporter_count, 1);
		assert_string_equal(config->exporters[0].to.path, "/var/log/procflow/flows.json");
		config_free(config);
	}
}

static void test_an_empty_list_means_no_exporters(unused void **state)
{
	struct config *config = read_good("exporters: []\n");

	assert_int_equal(config->exporter_count, 0);
	config_free(config);
}

static void test_byte_order_mark_moves_no_column(unused void **state)
{
	check_all(&(struct bad_case){"\xef\xbb\xbf"
				     "log: 1\n",
				     "f:1:6: log: expected keys and values below it, found \"1\"\n"
				     "    log: 1\n"
				     "         ^\n"},
		  1);
}

/* The line so many times behind the head; the caller's. */
static char *repeat(const char *head, const char *line, size_t count)
{
	size_t length = strlen(line), at = strlen(head);
	char *text = malloc(at + count * length + 1);

	assert_non_null(text);
	strcpy(text, head);
	for (size_t i = 0; i < count; i++, at += length)
		strcpy(text + at, line);
	return text;
}

static size_t count_lines_with(const struct buffer *mistakes, const char *word)
{
	const char *at = (const char *)mistakes->bytes, *end = at + mistakes->length;
	size_t count = 0;

	while ((at = memmem(at, (size_t)(end - at), word, strlen(word)))) {
		count++;
		at++;
	}
	return count;
}

static void test_many_mistakes_are_counted(unused void **state)
{
	char *text = repeat("log:\n", "  levl: info\n", 5000);
	struct config *config = NULL;
	struct buffer mistakes;

	buffer_init(&mistakes);
	assert_int_equal(config_read_text("f", text, strlen(text), &config, &mistakes), -EINVAL);
	assert_int_equal(count_lines_with(&mistakes, "did you mean"), 100);
	assert_int_equal(count_lines_with(&mistakes, "f: 4900 more mistakes\n"), 1);
	buffer_fini(&mistakes);
	free(text);
}

static void test_too_many_values_are_refused(unused void **state)
{
	char *text = repeat("flows:\n  include:\n", "  - 10.0.0.0/8\n", 65536);
	struct config *config = NULL;
	struct buffer mistakes;

	buffer_init(&mistakes);
	assert_int_equal(config_read_text("f", text, strlen(text), &config, &mistakes), -EINVAL);
	assert_int_equal(count_lines_with(&mistakes, "more than 65536 values"), 1);
	buffer_fini(&mistakes);
	free(text);
}

static void test_too_many_exporters_are_refused(unused void **state)
{
	char *text = repeat("exporters:\n", "  - {type: ipfix, to: 'udp://a'}\n", 65);
	struct config *config = NULL;
	struct buffer mistakes;

	buffer_init(&mistakes);
	assert_int_equal(config_read_text("f", text, strlen(text), &config, &mistakes), -EINVAL);
	assert_int_equal(count_lines_with(&mistakes, "f:66:5: exporters: more than 64\n"), 1);
	buffer_fini(&mistakes);
	free(text);
}

/* A long line is shown around the caret, and the caret still points at the value. */
static void test_long_lines_are_cut(unused void **state)
{
	char text[1024], expected[512];
	struct config *config = NULL;
	struct buffer mistakes;
	char *line, *caret;

	snprintf(text, sizeof(text), "log: {%*s level: loud, %*s}", 300, "", 300, "");
	snprintf(expected, sizeof(expected), "f:1:315: log.level: \"loud\" is not known here ");
	buffer_init(&mistakes);
	assert_int_equal(config_read_text("f", text, strlen(text), &config, &mistakes), -EINVAL);
	buffer_add_byte(&mistakes, '\0');
	assert_memory_equal(mistakes.bytes, expected, strlen(expected));
	line = strchr((char *)mistakes.bytes, '\n') + 1;
	caret = strchr(line, '\n') + 1;
	assert_in_range(caret - line, 100, 140);
	assert_memory_equal(line, "    ...", 7);
	assert_memory_equal(caret - 4, "...\n", 4);
	assert_memory_equal(line + strcspn(caret, "^"), "loud", 4);
	buffer_fini(&mistakes);
}

static void check_file(const char *path, bool must_exist, int expected_r, const char *expected)
{
	struct config *config = NULL;
	struct buffer mistakes;
	int r;

	buffer_init(&mistakes);
	r = config_read_file(path, must_exist, &config, &mistakes);
	if (r != expected_r || !is_text(&mistakes, expected))
		fail_msg("%s: %d\n%.*s", path, r, (int)mistakes.length,
			 (const char *)mistakes.bytes);
	assert_true(!config == (r != 0));
	config_free(config);
	buffer_fini(&mistakes);
}

static void test_files_that_cannot_be_read(unused void **state)
{
	check_file("/nonexistent/procflow.yaml", false, 0, "");
	check_file("/nonexistent/procflow.yaml", true, -EINVAL,
		   "/nonexistent/procflow.yaml: no such file\n");
	check_file("/", false, -EINVAL, "/: is a directory, not a file\n");
	check_file("/dev/null", true, 0, "");
	check_file("/dev/null/x", false, -EINVAL, "/dev/null/x: cannot be read: Not a directory\n");
	check_file("/dev/zero", true, -EINVAL,
		   "/dev/zero: is larger than 1 MiB: this is no configuration of procflow\n");
	check_file("/proc/self/mem", true, -EINVAL,
		   "/proc/self/mem: cannot be read: Input/output error\n");
	check_file("/nonexistent/\x1b[31m\xc2\x9b\xff", true, -EINVAL,
		   "/nonexistent/?[31m??: no such file\n");
}

/* Makes a file of "length" bytes of '#' with one mistake in front; its path stays in "path". */
static void write_file(char *path, size_t length)
{
	int fd = mkstemp(path);
	FILE *file = fdopen(fd, "w");

	assert_non_null(file);
	fputs("log: 1\n", file);
	for (size_t i = 7; i < length; i++)
		fputc('#', file);
	assert_int_equal(fclose(file), 0);
}

static void test_size_of_files_is_bounded(unused void **state)
{
	char path[] = "/tmp/procflow-test-XXXXXX";
	char large[sizeof(path)] = "/tmp/procflow-test-XXXXXX";
	char expected[256];

	write_file(path, 1 << 20);
	write_file(large, (1 << 20) + 1);
	snprintf(expected, sizeof(expected),
		 "%s:1:6: log: expected keys and values below it, found \"1\"\n"
		 "    log: 1\n"
		 "         ^\n",
		 path);
	check_file(path, true, -EINVAL, expected);
	snprintf(expected, sizeof(expected),
		 "%s: is larger than 1 MiB: this is no configuration of procflow\n", large);
	check_file(large, true, -EINVAL, expected);
	assert_int_equal(truncate(large, 10000000), 0);
	check_file(large, true, -EINVAL, expected);
	unlink(path);
	unlink(large);
}

static void check_rights(mode_t directory_mode, mode_t file_mode, gid_t group, const char *wrong)
{
	char directory[] = "/tmp/procflow-test-XXXXXX", path[64], expected[256] = "";

	assert_non_null(mkdtemp(directory));
	snprintf(path, sizeof(path), "%s/procflow.yaml", directory);
	close(open(path, O_WRONLY | O_CREAT | O_EXCL, 0600));
	assert_int_equal(chown(path, (uid_t)-1, group), 0);
	assert_int_equal(chown(directory, (uid_t)-1, group), 0);
	assert_int_equal(chmod(path, file_mode), 0);
	assert_int_equal(chmod(directory, directory_mode), 0);
	if (wrong)
		snprintf(expected, sizeof(expected),
			 "%s: others than its owner may write %s, and so say what the daemon does "
			 "(chmod go-w mends it)\n",
			 path, wrong);
	check_file(path, true, wrong ? -EINVAL : 0, expected);
	unlink(path);
	rmdir(directory);
}

static void test_who_else_may_write(unused void **state)
{
	check_rights(0700, 0600, getegid(), NULL);
	check_rights(0755, 0644, getegid(), NULL);
	check_rights(0755, 0646, getegid(), "it");
	check_rights(0757, 0644, getegid(), "to its directory");
	check_rights(0777, 0644, getegid(), "to its directory");
	check_rights(01777, 0644, getegid(), NULL);
	if (geteuid() != 0)
		skip();
	check_rights(0775, 0664, 0, NULL);
	check_rights(0755, 0664, 64990, "it");
	check_rights(0775, 0644, 64990, "to its directory");
}

static void test_unreadable_file(unused void **state)
{
	char path[] = "/tmp/procflow-test-XXXXXX";
	char expected[128];
	uid_t user = geteuid();

	write_file(path, 10);
	assert_int_equal(chmod(path, 0), 0);
	snprintf(expected, sizeof(expected), "%s: cannot be read: Permission denied\n", path);
	if (user == 0)
		assert_int_equal(seteuid(65534), 0);
	check_file(path, false, -EINVAL, expected);
	assert_int_equal(seteuid(user), 0);
	unlink(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_wrong_values),
		cmocka_unit_test(test_wrong_structure),
		cmocka_unit_test(test_wrong_characters),
		cmocka_unit_test(test_wrong_exporters),
		cmocka_unit_test(test_every_value_arrives),
		cmocka_unit_test(test_exporters_arrive_with_their_defaults),
		cmocka_unit_test(test_nothing_gives_the_defaults),
		cmocka_unit_test(test_an_empty_list_means_no_exporters),
		cmocka_unit_test(test_byte_order_mark_moves_no_column),
		cmocka_unit_test(test_many_mistakes_are_counted),
		cmocka_unit_test(test_too_many_values_are_refused),
		cmocka_unit_test(test_too_many_exporters_are_refused),
		cmocka_unit_test(test_long_lines_are_cut),
		cmocka_unit_test(test_files_that_cannot_be_read),
		cmocka_unit_test(test_size_of_files_is_bounded),
		cmocka_unit_test(test_who_else_may_write),
		cmocka_unit_test(test_unreadable_file),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
