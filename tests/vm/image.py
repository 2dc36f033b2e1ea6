# SPDX-License-Identifier: GPL-2.0-or-later
"""The guest's root: a cpio archive ("newc", Documentation/driver-api/early-userspace/buffer-format)
of busybox, the programs to try with the libraries that they need here, and the kernel's modules."""

import os
import pathlib
import re
import shutil
import stat
import subprocess

from kernels import MODULES

FOLDERS = ("bin", "dev", "etc", "lib64", "programs", "proc", "root", "run", "sbin", "sys", "tmp",
           "usr", "usr/bin", "usr/lib", "usr/sbin", "var", "var/lib", "var/log")
# Where a test or the guest's init calls a real program rather than busybox's. busybox's own shell
# would take its own ip for every ip.
HOST_PROGRAMS = {"bash": "bin/bash", "conntrack": "usr/sbin/conntrack", "ip": "sbin/ip",
                 "modprobe": "sbin/modprobe", "nft": "usr/sbin/nft", "sh": "bin/sh",
                 "sleep": "bin/sleep"}
PASSWD = "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n"
GROUP = "root:x:0:\nnogroup:x:65534:\n"


class Archive:
    def __init__(self, path):
        self.file = open(path, "wb")
        self.names = set()

    def add(self, name, mode, content=b""):
        """False where the name is there already: what was added first stays."""
        if name in self.names:
            return False
        self.names.add(name)
        encoded = name.encode() + b"\0"
        fields = (len(self.names), mode, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(encoded), 0)
        header = b"070701" + b"".join(b"%08X" % field for field in fields)
        for part in (header + encoded, content):
            self.file.write(part + b"\0" * (-len(part) % 4))
        return True

    def add_folder(self, name):
        if name and name != "." and name not in self.names:
            self.add_folder(os.path.dirname(name))
            self.add(name, stat.S_IFDIR | 0o755)

    def add_text(self, name, text, mode=0o644):
        self.add(name, stat.S_IFREG | mode, text.encode())

    def add_file(self, name, source):
        self.add_folder(os.path.dirname(name))
        source = pathlib.Path(source)
        self.add(name, stat.S_IFREG | stat.S_IMODE(source.stat().st_mode), source.read_bytes())

    def add_program(self, name, source):
        self.add_file(name, source)
        listed = subprocess.run(["ldd", source], text=True, capture_output=True).stdout
        for library in re.findall(r"(?:=> |^\s*)(/\S+)", listed, re.MULTILINE):
            self.add_file(library.lstrip("/"), library)

    def close(self):
        self.add("TRAILER!!!", 0)
        self.file.write(b"\0" * (-self.file.tell() % 512))
        self.file.close()


def add_busybox(archive):
    busybox = shutil.which("busybox")
    archive.add_file("bin/busybox", busybox)
    listed = subprocess.run([busybox, "--list"], text=True, capture_output=True, check=True)
    for name in listed.stdout.split():
        if name not in HOST_PROGRAMS:
            archive.add(f"bin/{name}", stat.S_IFLNK | 0o777, b"busybox")


def find_cancel_library():
    """glibc opens it when a thread ends by pthread_exit(3), so ldd does not list it."""
    listed = subprocess.run(["ldconfig", "-p"], text=True, capture_output=True, check=True).stdout
    return re.findall(r"libgcc_s\.so\.1 .*x86-64.*=> (/\S+)", listed)[:1]


def add_modules(archive, kernel):
    for path in sorted(kernel.modules.rglob("*")):
        if path.is_file() and not path.is_symlink():
            name = path.relative_to(kernel.modules)
            archive.add_file(f"lib/modules/{kernel.release}/{name}", path)


def build(path, kernel, programs, parts):
    """programs: names in the guest and files here; parts: what init runs, in that order. The cpio at
    "path" is replaced."""
    archive = Archive(path)
    for folder in FOLDERS:
        archive.add_folder(folder)
    archive.add_text("init", (pathlib.Path(__file__).parent / "init").read_text(), 0o755)
    archive.add_text("etc/passwd", PASSWD)
    archive.add_text("etc/group", GROUP)
    archive.add_text("parts", "\n".join(parts) + "\n")
    archive.add_text("modules", "\n".join(MODULES) + "\n")
    add_busybox(archive)
    for name, target in HOST_PROGRAMS.items():
        archive.add_program(target, shutil.which(name))
    for library in find_cancel_library():
        archive.add_file(library.lstrip("/"), library)
    for target, source in programs.items():
        archive.add_program(target, source)
    add_modules(archive, kernel)
    archive.close()
