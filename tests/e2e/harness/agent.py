# SPDX-License-Identifier: GPL-2.0-or-later
"""The test's side of a process that makes traffic (agent_main.py)."""

import json
import os
import pathlib
import pwd
import select
import subprocess

_SOURCE = (pathlib.Path(__file__).parent / "agent_main.py").read_text()
_ANSWER_S = 20


class Agent:
    """agent.connect(...) and so on: the do_ functions of agent_main.py, by name. A failure there
    is an AssertionError here."""

    def __init__(self, namespace, name, user=None):
        self.name = name
        self._process = namespace.popen("/usr/bin/python3", "-c", _SOURCE, name, user=user,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        hello = self._read("its start")
        self.pid, self.uid = hello["pid"], hello["uid"]
        assert self.pid == self._process.pid
        self.user = pwd.getpwuid(self.uid).pw_name

    def _read(self, what):
        ready, _, _ = select.select([self._process.stdout], [], [], _ANSWER_S)
        assert ready, f"{self.name}: no answer to {what}"
        line = self._process.stdout.readline()
        assert line, f"{self.name}: ended at {what}"
        return json.loads(line)

    def begin(self, verb, **arguments):
        """Says what to do; finish() waits until it is done."""
        self._process.stdin.write(json.dumps({"do": verb, **arguments}) + "\n")
        self._process.stdin.flush()
        return verb, arguments

    def finish(self, begun):
        answer = self._read(begun)
        assert "error" not in answer, f"{self.name}: {begun}: {answer['error']}"
        return answer

    def __getattr__(self, verb):
        if verb.startswith("_"):
            raise AttributeError(verb)
        return lambda **arguments: self.finish(self.begin(verb, **arguments))

    def end(self):
        """The process ends; its sockets close."""
        self._process.stdin.close()
        return self._process.wait(timeout=_ANSWER_S)

    def as_end(self, side):
        """What a record must say of this process, as its SRC_ or DST_ end."""
        return {f"{side}_PROC_PID": self.pid, f"{side}_PROC_NAME": self.name,
                f"{side}_PROC_UID": self.uid, f"{side}_PROC_USER_NAME": self.user,
                f"{side}_FATHER_PROC_PID": os.getpid(),
                f"{side}_FATHER_PROC_NAME": own_name()}


def own_name():
    """The name of the process that runs the tests: the father of all that they start."""
    return pathlib.Path("/proc/self/comm").read_text().rstrip("\n")
