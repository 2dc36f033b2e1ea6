# SPDX-License-Identifier: GPL-2.0-or-later
"""Packets made by hand, and their sending."""

import socket
import struct

PROBE_MAC, PEER_MAC = "02:00:00:00:00:0a", "02:00:00:00:00:0b"
# Runs in a namespace: sends frames that it reads as hex, one a line, by the device named.
SEND = """
import socket, sys
raw = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
raw.bind((sys.argv[1], 0))
for line in sys.stdin:
    raw.send(bytes.fromhex(line))
"""


def checksum(data):
    data += b"\0" * (len(data) % 2)
    total = sum(struct.unpack(f">{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def ethernet(payload, protocol, src=PEER_MAC, dst=PROBE_MAC, tags=()):
    frame = bytes.fromhex((dst + src).replace(":", ""))
    for kind, vlan in tags:
        frame += struct.pack(">HH", kind, vlan)
    return frame + struct.pack(">H", protocol) + payload


def ipv4(src, dst, protocol, payload, tos=0, ttl=64, options=b"", fragment=0, number=1):
    words = (20 + len(options)) // 4
    head = struct.pack(">BBHHHBBH4s4s", 0x40 | words, tos, words * 4 + len(payload), number,
                       fragment, ttl, protocol, 0, socket.inet_aton(src), socket.inet_aton(dst))
    head += options
    return head[:10] + struct.pack(">H", checksum(head)) + head[12:] + payload


def ipv6(src, dst, protocol, payload, tos=0, ttl=64):
    return struct.pack(">IHBB", 6 << 28 | tos << 20, len(payload), protocol, ttl) + \
        socket.inet_pton(socket.AF_INET6, src) + socket.inet_pton(socket.AF_INET6, dst) + payload


def with_checksum(src, dst, protocol, payload, at):
    """UDP or TCP; "at": where the checksum stands."""
    family = socket.AF_INET6 if ":" in src else socket.AF_INET
    pseudo = socket.inet_pton(family, src) + socket.inet_pton(family, dst) + \
        struct.pack(">II", len(payload), protocol)
    return payload[:at] + struct.pack(">H", checksum(pseudo + payload)) + payload[at + 2:]


def udp(src, dst, sport, dport, data):
    head = struct.pack(">HHHH", sport, dport, 8 + len(data), 0)
    return with_checksum(src, dst, 17, head + data, 6)


def tcp(src, dst, sport, dport, seq, ack, flags, data=b""):
    head = struct.pack(">HHIIBBHHH", sport, dport, seq, ack, 0x50, flags, 65535, 0, 0)
    return with_checksum(src, dst, 6, head + data, 16)


def send_frames(namespace, device, frames):
    namespace.run("/usr/bin/python3", "-c", SEND, device,
                  input="".join(frame.hex() + "\n" for frame in frames))
