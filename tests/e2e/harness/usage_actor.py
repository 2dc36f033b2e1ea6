# SPDX-License-Identifier: GPL-2.0-or-later
"""The test's side of a process that knows what it used (tests/support/usage_actor.c)."""

import json
import select
import subprocess

from harness.daemon import build_directory

_ANSWER_S = 90


class UsageActor:
    """actor.burn(300) and so on: the commands of usage_actor.c. Each returns what the process had
    used when it was done."""

    def __init__(self, namespace, name):
        self.name = name
        self._process = namespace.popen(build_directory() / "tests" / "support" / "usage_actor",
                                        name, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        text=True)
        self.pid = self._process.pid
        self._read("its start")

    def _read(self, what):
        ready, _, _ = select.select([self._process.stdout], [], [], _ANSWER_S)
        assert ready, f"{self.name}: no answer to {what}"
        line = self._process.stdout.readline()
        assert line, f"{self.name}: ended at {what}"
        answer = json.loads(line)
        assert "error" not in answer, f"{self.name}: {what}: {answer['error']}"
        return answer

    def end(self):
        """Its exit status."""
        self._process.stdin.close()
        return self._process.wait(timeout=_ANSWER_S)

    def __getattr__(self, verb):
        if verb.startswith("_"):
            raise AttributeError(verb)

        def tell(*words):
            self._process.stdin.write(" ".join(map(str, (verb, *words))) + "\n")
            self._process.stdin.flush()
            return self._read((verb, *words))
        return tell
