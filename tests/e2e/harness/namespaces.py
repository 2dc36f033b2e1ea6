# SPDX-License-Identifier: GPL-2.0-or-later
"""Network namespaces that a test makes and removes, and the wires between them."""

import ctypes
import itertools
import os
import re
import signal
import subprocess

_numbers = itertools.count(1)
_libc = ctypes.CDLL(None)
_PR_SET_PDEATHSIG = 1


def die_with_parent():
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def remove_stale():
    """Namespaces of test runs that were killed."""
    for line in run("ip", "netns", "list").stdout.splitlines():
        found = re.match(r"pf(\d+)-\d+-\w+", line)
        if found and not os.path.exists(f"/proc/{found.group(1)}"):
            run("ip", "netns", "delete", found.group(0), check=False)


def run(*argv, check=True, timeout=30, **options):
    """Runs to the end; a failure shows what was said."""
    result = subprocess.run([str(a) for a in argv], capture_output=True, text=True,
                            timeout=timeout, **options)
    if check and result.returncode != 0:
        raise AssertionError(f"{' '.join(map(str, argv))}: exit {result.returncode}\n"
                             f"{result.stdout}{result.stderr}")
    return result


class Namespace:
    def __init__(self, role):
        self.role = role
        self.name = f"pf{os.getpid()}-{next(_numbers)}-{role}"
        self.processes = []
        run("ip", "netns", "add", self.name)
        self.ip("link", "set", "lo", "up")

    def ip(self, *arguments):
        run("ip", "-n", self.name, *arguments)

    def argv(self, *argv, user=None):
        """What runs argv in here; ip and setpriv exec, so the pid stays that of the child."""
        prefix = ["ip", "netns", "exec", self.name]
        if user is not None:
            prefix += ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups"]
        return prefix + [str(a) for a in argv]

    def run(self, *argv, user=None, **options):
        return run(*self.argv(*argv, user=user), **options)

    def popen(self, *argv, user=None, **options):
        """Ends with the tests, however these end."""
        process = subprocess.Popen(self.argv(*argv, user=user), preexec_fn=die_with_parent,
                                   **options)
        self.processes.append(process)
        return process

    def sysctl(self, name, value=None):
        """Sets a setting of this namespace, or reads it."""
        if value is None:
            return self.run("cat", "/proc/sys/" + name.replace(".", "/")).stdout.strip()
        self.run("sh", "-c", 'echo "$1" >"/proc/sys/$2"', "sh", value, name.replace(".", "/"))
        return str(value)

    def nft(self, script):
        return self.run("nft", "-f", "-", input=script).stdout

    def ruleset(self):
        return self.run("nft", "list", "ruleset").stdout

    def conntrack(self, *arguments):
        """Lines of "conntrack -L", the summary left out."""
        listed = self.run("conntrack", "-L", "-o", "extended,id", *arguments, check=False)
        return [line for line in listed.stdout.splitlines() if line]

    def remove(self):
        for process in self.processes:
            if process.poll() is None:
                process.kill()
            process.wait()
            for stream in (process.stdin, process.stdout, process.stderr):
                if stream:
                    stream.close()
        run("ip", "netns", "delete", self.name, check=False)


_MACS = ("02:00:00:00:00:0a", "02:00:00:00:00:0b")


def connect(a, a_device, a_addresses, b, b_device, b_addresses):
    """A wire between two namespaces. Segments are as long as packets are (no offload), so that both
    ends count the same packets; addresses are usable at once (no duplicate address detection), and
    each end knows the other's MAC, so that no packet waits for an answer from there."""
    run("ip", "link", "add", a_device, "netns", a.name, "address", _MACS[0], "gso_max_segs", "1",
        "type", "veth", "peer", "name", b_device, "netns", b.name, "address", _MACS[1],
        "gso_max_segs", "1")
    ends = ((a, a_device, a_addresses, b_addresses, _MACS[1]),
            (b, b_device, b_addresses, a_addresses, _MACS[0]))
    for namespace, device, own, others, mac in ends:
        for address in own:
            nodad = ["nodad"] if ":" in address else []
            namespace.ip("address", "add", address, "dev", device, *nodad)
        namespace.ip("link", "set", device, "up")
        for address in others:
            namespace.ip("neighbour", "replace", address.partition("/")[0], "lladdr", mac, "dev",
                         device, "nud", "permanent")


class Pair:
    """A probe host, where the daemon runs, and a peer."""

    PROBE4, PEER4 = "10.77.0.1", "10.77.0.2"
    PROBE6, PEER6 = "fd77::1", "fd77::2"

    def __init__(self):
        self.probe, self.peer = Namespace("probe"), Namespace("peer")
        connect(self.probe, "e0", [self.PROBE4 + "/24", self.PROBE6 + "/64"],
                self.peer, "e0", [self.PEER4 + "/24", self.PEER6 + "/64"])

    def addresses(self, version):
        """(probe, peer)"""
        return (self.PROBE4, self.PEER4) if version == 4 else (self.PROBE6, self.PEER6)

    def namespaces(self):
        return [self.probe, self.peer]


class Routed:
    """A client and a server with a router between them."""

    CLIENT4, ROUTER_INSIDE4 = "10.78.1.2", "10.78.1.1"
    SERVER4, ROUTER_OUTSIDE4 = "10.78.2.2", "10.78.2.1"
    CLIENT6, ROUTER_INSIDE6 = "fd78:1::2", "fd78:1::1"
    SERVER6, ROUTER_OUTSIDE6 = "fd78:2::2", "fd78:2::1"

    def __init__(self):
        self.client, self.router = Namespace("client"), Namespace("router")
        self.server = Namespace("server")
        connect(self.client, "e0", [self.CLIENT4 + "/24", self.CLIENT6 + "/64"],
                self.router, "inside", [self.ROUTER_INSIDE4 + "/24", self.ROUTER_INSIDE6 + "/64"])
        connect(self.server, "e0", [self.SERVER4 + "/24", self.SERVER6 + "/64"],
                self.router, "outside",
                [self.ROUTER_OUTSIDE4 + "/24", self.ROUTER_OUTSIDE6 + "/64"])
        self.client.ip("route", "add", "default", "via", self.ROUTER_INSIDE4)
        self.client.ip("-6", "route", "add", "default", "via", self.ROUTER_INSIDE6)
        self.router.sysctl("net.ipv4.ip_forward", 1)
        self.router.sysctl("net.ipv6.conf.all.forwarding", 1)

    def route_back(self):
        """Lets the server answer the client's own address (no NAT)."""
        self.server.ip("route", "add", "default", "via", self.ROUTER_OUTSIDE4)
        self.server.ip("-6", "route", "add", "default", "via", self.ROUTER_OUTSIDE6)

    def namespaces(self):
        return [self.client, self.router, self.server]
