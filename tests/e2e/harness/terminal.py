# SPDX-License-Identifier: GPL-2.0-or-later
"""A terminal, and the program that runs in it."""

import fcntl
import os
import pty
import signal
import struct
import subprocess
import termios

from harness.namespaces import die_with_parent
from harness.waiting import DEADLINE_S, wait_for


class Terminal:
    """controls: closing it hangs up what runs in it, and Ctrl-C reaches it."""

    def __init__(self, namespace, *argv, columns=80, controls=True, **options):
        self.text = ""
        self.master, slave = pty.openpty()
        os.set_blocking(self.master, False)
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))

        def begin():
            die_with_parent()
            os.setsid()
            signal.signal(signal.SIGHUP, signal.SIG_DFL)  # whatever the tests were started with
            if controls:
                fcntl.ioctl(0, termios.TIOCSCTTY, 0)

        self.process = subprocess.Popen(namespace.argv(*argv), stdin=slave, stdout=slave,
                                        stderr=slave, preexec_fn=begin, **options)
        os.close(slave)

    def read(self):
        """All that was written so far."""
        try:
            while self.master >= 0 and (piece := os.read(self.master, 65536)):
                self.text += piece.decode(errors="replace")
        except (BlockingIOError, OSError):  # nothing more now; or nobody holds the other end
            pass
        return self.text

    def lines(self):
        return self.read().replace("\r\n", "\n").split("\n")[:-1]

    def wait_line(self, has, what, deadline_s=DEADLINE_S):
        def find():
            found = [line for line in self.lines() if has(line)]
            assert found or self.process.poll() is None, f"ended: {self.text}"
            return found

        return wait_for(find, lambda: f"{what}: {self.text}", deadline_s)[0]

    def type(self, text):
        os.write(self.master, text.encode())

    def hang_up(self):
        self.read()
        os.close(self.master)
        self.master = -1

    def wait_exit(self):
        wait_for(lambda: self.read() is not None and self.process.poll() is not None,
                 lambda: f"the end of the program: {self.text}")
        return self.process.returncode

    def close(self):
        """At the end of a test; what it changed on the machine is put back if it can be."""
        try:
            if self.process.poll() is None:
                self.process.terminate()
                self.wait_exit()
        finally:
            if self.process.poll() is None:
                self.process.kill()
            self.process.wait()
        if self.master >= 0:
            os.close(self.master)
