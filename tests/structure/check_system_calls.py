# SPDX-License-Identifier: GPL-2.0-or-later
"""check_system_calls.py UNIT SYSTEM_CALLS_C

What the daemon's own filter allows, the unit's allows too, or it stands here with its reason."""

import pathlib
import re
import subprocess
import sys

# The unit refuses these, in the daemon's list they have a reason.
OF_ROOT_ONLY = {
    "chown": "the socket's group is the daemon's own under the unit",
    "fchown": "as chown", "fchownat": "as chown",
    "sched_setaffinity": "no library needs it to succeed",
    "sched_setparam": "as sched_setaffinity",
    "setrlimit": "the unit sets the limits, before",
}


def expand(name, known={}):
    """The calls of a set, with those of the sets in it."""
    if not name.startswith("@"):
        return {name}
    if name not in known:
        said = subprocess.run(["systemd-analyze", "syscall-filter", "--no-pager", name],
                              capture_output=True, text=True, check=True).stdout
        words = [line.strip() for line in said.splitlines()[1:]]
        known[name] = set().union(*(expand(word) for word in words if word and word[0] != "#"))
    return known[name]


def read_unit(path):
    """Calls that succeed or at least seem to: "~call:0"."""
    allowed = set()
    for value in re.findall(r"^SystemCallFilter=(.*)$", path.read_text(), re.M):
        for word in value.lstrip("~").split():
            name, _, answer = word.partition(":")
            if value.startswith("~") and answer != "0":
                allowed -= expand(name)
            else:
                allowed |= expand(name)
    return allowed


def read_list(path):
    table = re.search(r"allowed\[\] = \{(.*?)\};", path.read_text(), re.S).group(1)
    return set(re.findall(r'"(\w+)"', table))


def main():
    unit, own = read_unit(pathlib.Path(sys.argv[1])), read_list(pathlib.Path(sys.argv[2]))
    missing = (own & expand("@known")) - unit
    wrong = [f"{name}: the unit refuses what the daemon's list has"
             for name in sorted(missing - OF_ROOT_ONLY.keys())]
    wrong += [f"{name}: stands in OF_ROOT_ONLY for nothing"
              for name in sorted(OF_ROOT_ONLY.keys() - missing)]
    print("\n".join(wrong))
    return 1 if wrong or len(own) < 100 else 0


if __name__ == "__main__":
    sys.exit(main())
