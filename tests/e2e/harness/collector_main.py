# SPDX-License-Identifier: GPL-2.0-or-later
"""collector_main.py PORT FILE [LIMIT]: takes connections on 127.0.0.1:PORT, one after the other, and
appends what comes to FILE. LIMIT 0: accepts and reads only when its input ends; N: resets each connection after N bytes,
in the middle of a message."""

import socket
import struct
import sys

port, path, limit = int(sys.argv[1]), sys.argv[2], int(sys.argv[3]) if sys.argv[3:] else None
listener = socket.socket()
listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
if limit == 0:
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
listener.bind(("127.0.0.1", port))
listener.listen(1)
print("listening", flush=True)
with open(path, "ab", buffering=0) as file:
    while True:
        peer, _ = listener.accept()
        left = limit
        if limit == 0:
            sys.stdin.read()
        while True:
            data = peer.recv(left or 65536)
            file.write(data)
            left = left - len(data) if left else left
            if not data or (limit and left == 0):
                break
        if limit and left == 0:
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        peer.close()
