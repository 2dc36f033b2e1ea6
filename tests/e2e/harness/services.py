# SPDX-License-Identifier: GPL-2.0-or-later
"""What the tests of exporters to services share: flows to export, and what became of them."""

from harness.waiting import wait_for

FLOWS = 12
ADDRESS = "127.0.0.5"
# Connections that are made and closed: a record each.
_TRAFFIC = """
import socket, sys
listener = socket.create_server((sys.argv[1], 0))
for _ in range(int(sys.argv[2])):
    client = socket.create_connection(listener.getsockname())
    server, _ = listener.accept()
    client.close()
    server.recv(1)
    server.close()
"""


def make_flows(namespace, probed, count=FLOWS):
    """Returns when the daemon has told of them in its JSON file."""
    before = len(probed.records())
    namespace.run("/usr/bin/python3", "-c", _TRAFFIC, ADDRESS, count)
    wait_for(lambda: len(probed.records()) >= before + count, f"{count} more records")


def key_of(record):
    return record["FLOW_ID"], record["FLOW_START_MILLISECONDS"], record["FLOW_END_MILLISECONDS"]


def exporters_of(probed):
    return {exporter["name"]: exporter for exporter in probed.ask("exporters")}


def adds_up(exporter):
    dropped = sum(value for name, value in exporter.items() if name.startswith("dropped_"))
    return exporter["accepted_records"] == (exporter["sent_records"] + exporter["waiting_records"] +
                                            dropped)
