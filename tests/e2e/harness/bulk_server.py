# SPDX-License-Identifier: GPL-2.0-or-later
"""An HTTP server that behaves like Elasticsearch's _bulk: it keeps documents by index and id, and
fails on request in every way that servers fail."""

import base64
import contextlib
import ctypes
import gzip
import http.server
import json
import os
import socket
import ssl
import threading
import time

_CLONE_NEWNET = 0x40000000
RETRY_AFTER_S = 3
_libc = ctypes.CDLL(None, use_errno=True)


def listen_in(namespace, address, port):
    """A listening socket of a namespace; the thread that makes it goes there, and ends."""
    made = []

    def make():
        with open(f"/var/run/netns/{namespace.name}", "rb") as handle:
            if _libc.setns(handle.fileno(), _CLONE_NEWNET) < 0:
                raise OSError(ctypes.get_errno(), "setns")
        made.append(socket.create_server((address, port), backlog=64))

    thread = threading.Thread(target=make)
    thread.start()
    thread.join()
    return made[0]


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, format, *arguments):
        pass

    def _answer(self, status, body, headers=()):
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def _read(self):
        data = self.rfile.read(int(self.headers["Content-Length"]))
        return gzip.decompress(data) if self.headers.get("Content-Encoding") == "gzip" else data

    def _is_known(self):
        user = self.server.owner.user
        if not user:
            return True
        expected = "Basic " + base64.b64encode(":".join(user).encode()).decode()
        return self.headers.get("Authorization") == expected

    def _handle(self):
        owner, body = self.server.owner, self._read()
        if not self._is_known():
            self._answer(401, {"error": {"type": "security_exception", "reason": "who are you?"}})
        elif self.command == "PUT":
            with owner.lock:
                owner.templates[self.path.rpartition("/")[2]] = json.loads(body)
            self._answer(200, {"acknowledged": True})
        elif self.path.partition("?")[0] == "/_bulk":
            owner.bulk(self, body)
        else:
            self._answer(404, {"error": "no such path"})

    do_POST = do_PUT = _handle


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, owner, listener):
        self.owner = owner
        super().__init__(listener.getsockname(), _Handler, bind_and_activate=False)
        self.socket.close()
        self.socket = listener

    def get_request(self):
        connection, address = self.socket.accept()
        self.owner.connections.append(connection.dup())
        if self.owner.context:
            connection.settimeout(10)
            connection = self.owner.context.wrap_socket(connection, server_side=True)
        connection.settimeout(60)
        return connection, address

    def handle_error(self, request, client_address):
        pass  # clients that do not trust us, or that we hang up on


class BulkServer:
    """fail(how): what happens to the next request for the indexes that "fails_for" begins."""

    def __init__(self, namespace, address, port, user=None, context=None, fails_for="procflow-"):
        self.place = namespace, address, port
        self.user, self.context, self.fails_for = user, context, fails_for
        self.lock = threading.Lock()
        self.documents, self.stored = {}, 0  # (index, id): document; how often one was stored
        self.refused = []
        self.templates, self.requests, self.actions = {}, [], set()
        self.failing, self.release = [], threading.Event()
        self.times = []  # (when it came, what was answered, its first index)
        self.connections = []
        self._server = None

    def start(self):
        self._server = _Server(self, listen_in(*self.place))
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()

    def stop(self):
        if self._server:
            self.release.set()
            self._server.shutdown()
            self._server.server_close()
            for connection in self.connections:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
                connection.close()
            self._thread.join()
            self._server = None

    def fail(self, *how):
        with self.lock:
            self.failing = list(how)

    def is_through(self):
        with self.lock:
            return not self.failing

    def find(self, index):
        with self.lock:
            return [document for (name, _), document in self.documents.items()
                    if name.startswith(index)]

    def _store(self, action, document):
        (what, names), = action.items()
        key = names["_index"], names["_id"]
        self.actions.add((what, names["_index"]))
        if what == "create" and key in self.documents:
            return {what: {"status": 409, "error": {"type": "version_conflict_engine_exception"}}}
        self.stored += 1
        self.documents[key] = document
        return {what: {"_index": key[0], "_id": key[1], "status": 201}}

    def bulk(self, handler, body):
        lines = [json.loads(line) for line in body.decode().splitlines()]
        items = list(zip(lines[::2], lines[1::2]))
        with self.lock:
            first = next(iter(items[0][0].values()))["_index"]
            how = "ok"
            if self.failing and first.startswith(self.fails_for):
                how = self.failing.pop(0)
            self.requests.append((how, len(items), handler.headers.get("Content-Encoding")))
            self.times.append((time.monotonic(), how, first))
            getattr(self, "_" + how)(handler, items)

    def _results(self, items):
        return {"errors": False, "items": [self._store(*item) for item in items]}

    def _ok(self, handler, items):
        handler._answer(200, self._results(items))

    def _items(self, handler, items):
        """Refuses the first for ever, the second for now."""
        results = [self._store(*item) for item in items[2:]]
        self.refused.append(items[0][1])
        results[:0] = [
            {"index": {"status": 400, "error": {
                "type": "document_parsing_exception", "reason": "failed\nto parse"}}},
            {"index": {"status": 429, "error": {"type": "es_rejected_execution_exception",
                                                "reason": "queue is full"}}}][:len(items)]
        handler._answer(200, {"errors": True, "items": results})

    def _busy(self, handler, items):
        handler._answer(429, {"error": {"type": "circuit_breaking_exception"}},
                        [("Retry-After", str(RETRY_AFTER_S))])

    def _unavailable(self, handler, items):
        handler._answer(503, b"<html>no healthy upstream</html>")

    def _large(self, handler, items):
        handler._answer(413, b"")

    def _garbage(self, handler, items):
        handler._answer(200, b"<html>hello</html>")

    def _short(self, handler, items):
        """Stores all, and tells of fewer."""
        results = self._results(items)
        results["items"].pop()
        handler._answer(200, results)

    def _half(self, handler, items):
        """Stores all, and hangs up in the middle of the answer."""
        data = json.dumps(self._results(items)).encode()
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(data)))
        handler.end_headers()
        handler.wfile.write(data[:len(data) // 2])
        handler.close_connection = True

    def _hangup(self, handler, items):
        handler.connection.shutdown(socket.SHUT_RDWR)
        handler.close_connection = True

    def _hang(self, handler, items):
        self.lock.release()
        try:
            self.release.wait(30)
        finally:
            self.lock.acquire()
        handler.close_connection = True


def make_certificates(directory, run, address):
    """A CA and a server's certificate for the address: (CA file, SSL context of the server)."""
    os.makedirs(directory, exist_ok=True)
    ca, ca_key, key, csr, crt = (str(directory / name) for name in (
        "ca.pem", "ca.key", "server.key", "server.csr", "server.pem"))
    run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
        "-keyout", ca_key, "-out", ca, "-days", "2", "-subj", "/CN=procflow test CA",
        "-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=critical,keyCertSign")
    run("openssl", "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
        "-keyout", key, "-out", csr, "-subj", "/CN=search")
    extensions = directory / "extensions"
    extensions.write_text(f"subjectAltName=IP:{address}\n")
    run("openssl", "x509", "-req", "-in", csr, "-CA", ca, "-CAkey", ca_key, "-CAcreateserial",
        "-out", crt, "-days", "2", "-extfile", str(extensions))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(crt, key)
    return ca, context
