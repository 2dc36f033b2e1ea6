# SPDX-License-Identifier: GPL-2.0-or-later
"""Third parties that read what the daemon exports: tshark and nfdump."""

import json
import re
import signal
import struct
import subprocess
import xml.etree.ElementTree

from harness.namespaces import run
from harness.waiting import DEADLINE_S, wait_for

LINKTYPE_RAW = 101
# Fields that ntop has published and tshark (4.0) has no names for: TCP flags of each side, package, command line and
# container of a process, package and user of its father. In NetFlow v9 they have 57472 more.
_NAMELESS = {str(number + base) for base in (0, 57472)
             for number in (78, 79, 540, 541, 556, 557, 558, 559, 561, 563, 564, 565, 567, 568)}


def write_pcap(path, datagrams, port):
    """Datagrams as a capture file, each in an IPv4 and UDP header of its own."""
    with open(path, "wb") as file:
        file.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 262144, LINKTYPE_RAW))
        for number, data in enumerate(datagrams):
            udp = struct.pack(">HHHH", 40000, port, 8 + len(data), 0) + data
            ip = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 20 + len(udp), number, 0, 64, 17, 0,
                             b"\x7f\0\0\1", b"\x7f\0\0\1") + udp
            file.write(struct.pack("<IIII", number, 0, len(ip), len(ip)) + ip)


class Tshark:
    """What tshark makes of a capture file."""

    def __init__(self, path, port):
        arguments = ["tshark", "-n", "-r", str(path), "-d", f"udp.port=={port},cflow"]
        self.text = run(*arguments, "-V").stdout
        self._pdml = run(*arguments, "-T", "pdml").stdout

    def complaints(self):
        return [line for line in re.findall(r".*(?:Malformed|Expert|Unknown).*", self.text)
                if "Unknown" not in line or not _NAMELESS & set(re.findall(r"\d+", line))]

    def flows(self):
        """One dictionary a decoded data record: field name to the value shown. Of the two values
        that the directions of a biflow share a name for, the first: the initiator's."""
        for field in xml.etree.ElementTree.fromstring(self._pdml).iter("field"):
            if re.match(r"Flow \d+", field.get("show", "")):
                flow = {inner.get("name"): inner.get("show") for inner in reversed(
                    list(field.iter("field"))) if inner.get("name", "").startswith("cflow.")}
                if "cflow.protocol" in flow:  # else options data
                    yield flow


class Nfcapd:
    """nfcapd in a namespace, and its files as nfdump prints them."""

    def __init__(self, namespace, directory, port):
        self.namespace, self.directory, self.port = namespace, directory, port
        directory.mkdir()
        self._process = namespace.popen("nfcapd", "-b", "127.0.0.1", "-p", port, "-w", directory,
                                        "-t", "3600", stdout=subprocess.DEVNULL,
                                        stderr=subprocess.DEVNULL)
        wait_for(self._socket, f"nfcapd on port {port}")

    def _socket(self):
        for line in self.namespace.run("ss", "-Hlun").stdout.splitlines():
            if f":{self.port} " in line:
                return line.split()
        return None

    def finish(self):
        """Its records, after all datagrams sent until now were read."""
        wait_for(lambda: self._socket()[1] == "0", "nfcapd to read what was sent")
        self._process.send_signal(signal.SIGTERM)
        self._process.wait(timeout=DEADLINE_S)
        return json.loads(run("nfdump", "-R", str(self.directory), "-o", "json").stdout)
