# SPDX-License-Identifier: GPL-2.0-or-later
"""A TCP server of one of several kinds, as the test names it:

    servers_main.py KIND VERSION ADDRESS PORT WORKERS

It answers each connection with one line, the pid of the process that serves it, and closes when the
client has (or at once, where the client asks for that by "q"). "ready" on standard output says that
it listens, and after it stands the pid of the one whose children serve; it ends with its standard input."""

import array
import os
import select
import signal
import socket
import sys
import threading


def listen(version, address, port, reuse_port=False):
    made = socket.socket(socket.AF_INET if version == 4 else socket.AF_INET6)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if reuse_port:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    made.bind((address, port))
    made.listen(1024)
    return made


def serve(connection):
    """Tells who serves; the client says when it is enough."""
    with connection:
        try:
            connection.sendall(b"%d\n" % os.getpid())
            while b"q" not in (got := connection.recv(64)) and got:
                pass
        except ConnectionError:
            pass


def serve_forever(listener):
    while True:
        serve(listener.accept()[0])


def fork_worker(work, *arguments):
    pid = os.fork()
    if pid == 0:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        work(*arguments)
        os._exit(0)
    return pid


def run_fork(listener):
    """One child for each connection (sshd, inetd)."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    while True:
        connection, _ = listener.accept()
        fork_worker(serve_as_child, listener, connection)
        connection.close()


def serve_as_child(listener, connection):
    listener.close()
    serve(connection)


def run_prefork(listener, workers):
    """Workers that inherit one listener (Apache prefork)."""
    for _ in range(workers):
        fork_worker(serve_forever, listener)


def run_reuseport(version, address, port, workers):
    for _ in range(workers):
        ready, told = os.pipe()
        fork_worker(reuseport_worker, version, address, port, told)
        os.close(told)
        os.read(ready, 1)
        os.close(ready)


def reuseport_worker(version, address, port, told):
    listener = listen(version, address, port, True)
    os.write(told, b"x")
    serve_forever(listener)


def run_threads(listener):
    while True:
        connection, _ = listener.accept()
        threading.Thread(target=serve, args=(connection,), daemon=True).start()


def run_pass(listener, workers):
    """One process accepts and hands the connection to a worker, by SCM_RIGHTS."""
    channels = []
    for _ in range(workers):
        mine, its = socket.socketpair()
        fork_worker(passed_worker, its, [listener, mine, *channels])
        its.close()
        channels.append(mine)
    fork_worker(accept_and_pass, listener, channels)


def passed_worker(channel, not_ours):
    for other in not_ours:
        other.close()
    while True:
        _, ancillary, _, _ = channel.recvmsg(1, socket.CMSG_SPACE(4))
        if not ancillary:
            return
        passed = socket.socket(fileno=array.array("i", ancillary[0][2])[0])
        threading.Thread(target=serve, args=(passed,), daemon=True).start()


def accept_and_pass(listener, channels):
    turn = 0
    while True:
        connection, _ = listener.accept()
        channels[turn].sendmsg([b"c"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS,
                                         array.array("i", [connection.fileno()]))])
        connection.close()
        turn = (turn + 1) % len(channels)


def run_activation(listener):
    """systemd's Accept=yes: the manager accepts, and starts a program for each connection."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    while True:
        connection, _ = listener.accept()
        pid = os.fork()
        if pid == 0:
            os.dup2(connection.fileno(), 0)
            os.execv("/bin/sh", ["sh", "-c", 'echo $$ >&0; read -r line'])
        connection.close()


def main():
    kind, version, address = sys.argv[1], int(sys.argv[2]), sys.argv[3]
    port, workers = int(sys.argv[4]), int(sys.argv[5])
    os.setpgid(0, 0)
    if kind == "reuseport":
        run_reuseport(version, address, port, workers)
        listener = None
    else:
        listener = listen(version, address, port)
    acceptor = 0
    if kind == "prefork":
        run_prefork(listener, workers)
    elif kind == "pass":
        run_pass(listener, workers)
    elif kind in ("fork", "threads", "activation"):
        run = {"fork": run_fork, "threads": run_threads, "activation": run_activation}[kind]
        if kind == "threads":
            threading.Thread(target=run, args=(listener,), daemon=True).start()
        else:
            acceptor = fork_worker(run, listener)
    print("ready", acceptor, flush=True)
    sys.stdin.read()
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    os.killpg(0, signal.SIGTERM)


if __name__ == "__main__":
    main()
