# SPDX-License-Identifier: GPL-2.0-or-later
"""A collector for ZeroMQ, as ntopng is one:

    zmq_main.py connect|bind ENDPOINT [SECRET PUBLIC [SERVER]]

Prints each message's two parts in hexadecimal; with keys of its own it is a CURVE server, with the
public one of a server too its client. "ready" first; ends
when it is told to."""

import sys

import zmq

context = zmq.Context()
collector = context.socket(zmq.SUB)
if len(sys.argv) > 3:
    if len(sys.argv) > 5:
        collector.curve_serverkey = sys.argv[5].encode()
    else:
        collector.curve_server = True
    collector.curve_secretkey, collector.curve_publickey = (k.encode() for k in sys.argv[3:5])
collector.setsockopt(zmq.RCVHWM, 100000)
for topic in (b"flow", b"event", b"template", b"listening-ports"):
    collector.setsockopt(zmq.SUBSCRIBE, topic)
getattr(collector, sys.argv[1])(sys.argv[2])
print("ready", flush=True)
while True:
    parts = collector.recv_multipart()
    print(*(part.hex() for part in parts), flush=True)
