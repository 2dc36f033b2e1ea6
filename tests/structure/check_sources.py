#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""check_sources.py DAEMON: every rule that is broken, one line each; status 1 if there is one."""

import collections
import pathlib
import re
import sys

# A folder may include its own files, what stands in a lower layer, and in the layers marked so its
# neighbours as long as they do not go round in a circle. The top folder's own files are "".
LAYERS = [
    ({"base"}, True),
    ({"netlink", "procfs", "runtime", "config", "flow"}, True),
    ({"sources", "attribution", "process", "export"}, False),
    ({"status", "cli"}, False),
    ({""}, True),
]
RANKS = {folder: rank for rank, (folders, _) in enumerate(LAYERS) for folder in folders}
HAS_NEIGHBOURS = [neighbours for _, neighbours in LAYERS]

# Each outside library stays behind the folders named here.
LIBRARIES = {
    "libmnl/": {"netlink", "sources", "attribution", "process"},
    "libnetfilter_conntrack/": {"sources"},
    "libnetfilter_log/": {"sources"},
    "nftables/": {"sources"},
    "yaml.h": {"config"},
    "microhttpd.h": {"runtime"},
    "systemd/": {"runtime"},
    "traceevent/": {"sources"},
    "openssl/": {"export"},
    "libproc2/": {"process"},
    "proc/": {"process"},
    "cap-ng.h": {"runtime"},
    "seccomp.h": {"runtime"},
    "curl/": {"export"},
    "jansson.h": {"export", "runtime", "cli", "sources"},
    "librdkafka/": {"export"},
    "zlib.h": {"export"},
    "zmq.h": {"export"},
}
MAX_LINES = 800
INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*(["<])([^">]+)[">]', re.MULTILINE)


def check_include(folder, name, kind, target, edges):
    if kind == "<":
        for library, folders in LIBRARIES.items():
            if target.startswith(library) and folder not in folders:
                yield f"{name}: <{target}> belongs behind {' or '.join(sorted(folders))}"
        return
    to = target.rpartition("/")[0].partition("/")[0]
    if to not in RANKS:
        yield f'{name}: "{target}" is in no folder that has a layer'
        return
    edges[folder].add(to)
    if to == folder:
        return
    if RANKS[to] > RANKS[folder]:
        yield f'{name}: "{target}" points up'
    elif RANKS[to] == RANKS[folder] and not HAS_NEIGHBOURS[RANKS[to]]:
        yield f'{name}: "{target}": {folder} and {to} never include each other'


def check_circles(edges):
    def visit(folder, path):
        if folder in path:
            yield "folders include each other in a circle: " + " -> ".join(
                path[path.index(folder):] + [folder])
            return
        for to in sorted(edges[folder] - {folder}):
            yield from visit(to, path + [folder])

    for folder in sorted(edges):
        yield from visit(folder, [])


def check_file(path, root, edges):
    name = str(path.relative_to(root.parent))
    folder = path.relative_to(root).parts[0] if path.parent != root else ""
    text = path.read_text(encoding="utf-8")
    if folder not in RANKS:
        yield f"{name}: the folder has no layer in check_sources.py"
        return
    if "SPDX-License-Identifier: GPL-2.0-or-later" not in text.partition("\n")[0]:
        yield f"{name}: the first line names no licence"
    if text.count("\n") > MAX_LINES:
        yield f"{name}: {text.count(chr(10))} lines, {MAX_LINES} is the most"
    for kind, target in INCLUDE.findall(text):
        yield from check_include(folder, name, kind, target, edges)


def check(root):
    edges = collections.defaultdict(set)
    files = sorted(path for path in root.rglob("*") if path.suffix in (".c", ".h"))
    problems = [] if files else [f"{root}: no sources"]
    for path in files:
        problems += check_file(path, root, edges)
    return problems + sorted(set(check_circles(dict(edges) | {f: edges[f] for f in RANKS})))


def main():
    problems = check(pathlib.Path(sys.argv[1]))
    print("\n".join(problems))
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
