# SPDX-License-Identifier: GPL-2.0-or-later
"""A process that does on the network what it is told, one JSON object a line on its standard input,
and answers each with one line. It runs as python3 -c, so that any user may run it."""

import base64
import ctypes
import json
import mmap
import os
import socket
import struct
import sys
import time

FAMILIES = {4: socket.AF_INET, 6: socket.AF_INET6}
PROTOCOLS = {"tcp": (socket.SOCK_STREAM, 0), "udp": (socket.SOCK_DGRAM, 0),
             "udplite": (socket.SOCK_DGRAM, 136), "mptcp": (socket.SOCK_STREAM, 262),
             "sctp": (socket.SOCK_STREAM, 132)}
TIMEOUT_S = 15
PR_SET_NAME = 15
CHUNK = b"x" * 65536

sockets, held = {}, []


def new_socket(version, protocol):
    made = socket.socket(FAMILIES[version], *PROTOCOLS[protocol])
    made.settimeout(TIMEOUT_S)
    return made


def bind(made, address, port, reuse=True):
    if reuse:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    made.bind((address, port))
    return {"address": made.getsockname()[0], "port": made.getsockname()[1]}


def do_listen(name, version, address, port=0, dual=False, protocol="tcp"):
    made = sockets[name] = new_socket(version, protocol)
    if version == 6:
        made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0 if dual else 1)
    where = bind(made, address, port)
    made.listen(64)
    return where


def do_open(name, version, protocol="udp", address=None, port=0, dual=False):
    made = sockets[name] = new_socket(version, protocol)
    if version == 6 and dual:
        made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    return bind(made, address, port) if address is not None else {}


def do_connect(name, version=4, protocol="tcp", address=None, port=None):
    made = sockets.setdefault(name, None) or new_socket(version, protocol)
    sockets[name] = made
    made.connect((address, port))
    return {"address": made.getsockname()[0], "port": made.getsockname()[1]}


def do_accept(name, listener):
    made, peer = sockets[listener].accept()
    made.settimeout(TIMEOUT_S)
    sockets[name] = made
    return {"address": peer[0], "port": peer[1]}


def do_send(name, count):
    left = count
    while left > 0:
        left -= sockets[name].send(CHUNK[:left])
    return {"count": count}


def do_receive(name, count):
    left = count
    while left > 0:
        got = len(sockets[name].recv(min(left, 65536)))
        if got == 0:
            raise EOFError(f"{left} of {count} bytes did not come")
        left -= got
    return {"count": count}


def do_receive_until(name, text):
    seen = b""
    while text.encode() not in seen:
        got = sockets[name].recv(65536)
        if not got:
            raise EOFError(f"no {text!r} in {seen!r}")
        seen += got
    return {"count": len(seen)}


def do_send_text(name, text):
    sockets[name].sendall(text.encode())
    return {"count": len(text)}


def do_send_to(name, count, address, port):
    sockets[name].sendto(CHUNK[:count], (address, port))
    return {"count": count}


def do_receive_from(name):
    data, peer = sockets[name].recvfrom(65536)
    return {"count": len(data), "address": peer[0], "port": peer[1]}


def do_receive_end(name):
    """Waits until the other end closed."""
    while sockets[name].recv(65536):
        pass
    return {}


def do_collect(name):
    """All datagrams that are there by now."""
    datagrams = []
    sockets[name].setblocking(False)
    try:
        while True:
            datagrams.append(base64.b64encode(sockets[name].recv(65536)).decode())
    except BlockingIOError:
        sockets[name].settimeout(TIMEOUT_S)
    return {"datagrams": datagrams}


def do_close(name):
    sockets.pop(name).close()
    return {}


def do_reset(name):
    """Closes so that the other end is told with RST, and the kernel forgets the connection."""
    made = sockets.pop(name)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    made.close()
    return {}


def do_enter(path):
    """Goes into another network namespace; sockets stay where they were opened."""
    with open(path) as namespace:
        if ctypes.CDLL(None, use_errno=True).setns(namespace.fileno(), 0) != 0:
            raise OSError(ctypes.get_errno(), "setns")
    return {}


def do_send_by_children(count, protocol, address, port):
    """Processes that live for one sending each: their pids and local ports."""
    sent = []
    for _ in range(count):
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            made = new_socket(4, protocol)
            made.connect((address, port))
            made.send(b"x")
            os.write(writer, str(made.getsockname()[1]).encode())
            os._exit(0)
        os.close(writer)
        sent.append({"pid": child, "port": int(os.read(reader, 16))})
        os.close(reader)
        os.waitpid(child, 0)
    return {"sent": sent}


def do_share(name):
    """A child holds the socket, too, as long as this process lives."""
    assert name in sockets
    reader, writer = os.pipe()
    if os.fork() == 0:
        os.close(writer)
        os.read(reader, 1)
        os._exit(0)
    os.close(reader)
    held.append(writer)
    return {}


def do_burn(cpu_ms):
    begin = time.process_time()
    while time.process_time() - begin < cpu_ms / 1000:
        pass
    return {"cpu_ms": (time.process_time() - begin) * 1000}


def do_touch(pages):
    """New memory, one fault for each page."""
    region = mmap.mmap(-1, pages * mmap.PAGESIZE)
    if hasattr(region, "madvise") and hasattr(mmap, "MADV_NOHUGEPAGE"):
        region.madvise(mmap.MADV_NOHUGEPAGE)
    for page in range(pages):
        region[page * mmap.PAGESIZE] = 1
    held.append(region)
    return {"bytes": pages * mmap.PAGESIZE}


def main():
    if len(sys.argv) > 1:
        ctypes.CDLL(None).prctl(PR_SET_NAME, sys.argv[1].encode(), 0, 0, 0)
    print(json.dumps({"pid": os.getpid(), "uid": os.getuid()}), flush=True)
    for line in sys.stdin:
        command = json.loads(line)
        try:
            answer = globals()["do_" + command.pop("do")](**command)
        except (OSError, EOFError) as error:
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), flush=True)


main()
