# SPDX-License-Identifier: GPL-2.0-or-later
"""Debian's stock kernels: fetched by apt with lists, state and cache of its own, so that the host's
sources stay as they are, and unpacked as far as the tests need them."""

import dataclasses
import os
import pathlib
import shutil
import subprocess

SUITES = {"bullseye": "5.10", "bookworm": "6.1", "trixie": "6.12"}
FETCH_S = 300
# The folders of modules that the tests may ask for.
FOLDERS = ("arch/x86/crypto", "crypto", "drivers/net/*.ko*", "lib", "net")
MODULES = (
    "nf_conntrack", "nf_conntrack_netlink", "nf_tables", "nft_ct", "nft_log", "nfnetlink_log",
    "xt_NFLOG",
    "nf_nat", "nft_nat", "nft_masq", "nft_chain_nat", "nf_flow_table", "nf_flow_table_inet",
    "nft_flow_offload", "inet_diag", "tcp_diag", "udp_diag", "raw_diag", "unix_diag", "af_packet",
    "veth", "dummy", "tun", "vxlan")
APT_CONFIGURATION = """
Dir::State "{directory}/state";
Dir::State::status "/dev/null";
Dir::Cache "{directory}/cache";
Dir::Etc::sourcelist "{directory}/sources.list";
Dir::Etc::sourceparts "/dev/null";
Dir::Etc::preferencesparts "/dev/null";
APT::Architecture "amd64";
APT::Architectures {{ "amd64"; }};
APT::Sandbox::User "root";
Acquire::Languages "none";
Acquire::Retries "2";
"""
SOURCES = """\
deb [signed-by={keyring}] http://deb.debian.org/debian {suite} main
deb [signed-by={keyring}] http://deb.debian.org/debian-security {suite}-security main
"""
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"


class Unreachable(Exception):
    """A suite or its kernel cannot be had; says why."""


@dataclasses.dataclass
class Kernel:
    suite: str
    series: str
    package: str
    release: str
    image: pathlib.Path
    modules: pathlib.Path  # what becomes /lib/modules/RELEASE


def run(command, environment, directory):
    try:
        done = subprocess.run(command, env=os.environ | environment, cwd=directory, text=True,
                              stdin=subprocess.DEVNULL, capture_output=True, timeout=FETCH_S)
    except subprocess.TimeoutExpired as error:
        raise Unreachable(f"{command[0]} took more than {FETCH_S} s") from error
    if done.returncode != 0:
        lines = (done.stderr.strip() or done.stdout.strip()).splitlines()
        raise Unreachable(f"{' '.join(command)}: {lines[-1] if lines else done.returncode}")
    return done.stdout


def fetch_package(suite, directory):
    """The newest kernel package of the suite."""
    for folder in ("state/lists/partial", "cache/archives/partial", "packages"):
        (directory / folder).mkdir(parents=True, exist_ok=True)
    (directory / "sources.list").write_text(SOURCES.format(suite=suite, keyring=KEYRING))
    (directory / "apt.conf").write_text(APT_CONFIGURATION.format(directory=directory))
    environment = {"APT_CONFIG": str(directory / "apt.conf"), "LC_ALL": "C"}
    run(["apt-get", "-qq", "-o", "APT::Update::Error-Mode=any", "update"], environment, directory)
    depends = run(["apt-cache", "depends", "linux-image-amd64"], environment, directory)
    names = [line.split()[1] for line in depends.splitlines() if "Depends: linux-image-" in line]
    if not names:
        raise Unreachable("linux-image-amd64 depends on no kernel")
    uris = run(["apt-get", "--print-uris", "download", names[0]], environment, directory)
    path = directory / "packages" / uris.split()[1].replace("%2b", "+")
    if not path.exists():
        for old in path.parent.iterdir():
            old.unlink()
        run(["apt-get", "-qq", "download", names[0]], environment, path.parent)
    found = list(path.parent.glob("linux-image-*.deb"))
    if not found:
        raise Unreachable(f"apt-get download left no package of {names[0]}")
    return found[0]


def find_newest(directory):
    """A package that an earlier run left, for when the suite cannot be reached."""
    return next((directory / "packages").glob("linux-image-*.deb"), None)


def unpack(package, directory):
    tree = directory / "tree"
    mark = directory / "unpacked"
    if not mark.exists() or mark.read_text() != package.name:
        mark.unlink(missing_ok=True)
        shutil.rmtree(tree, ignore_errors=True)
        tree.mkdir()
        wanted = ["./boot/vmlinuz-*", "*/lib/modules/*/modules.*"]
        wanted += [f"*/lib/modules/*/kernel/{folder}" for folder in FOLDERS]
        archive = subprocess.Popen(["dpkg-deb", "--fsys-tarfile", package], stdout=subprocess.PIPE)
        # A pattern that one kernel has nothing for ("arch/x86/crypto") is not an error.
        subprocess.run(["tar", "-x", "-C", tree, "--wildcards", *wanted], stdin=archive.stdout,
                       stderr=subprocess.DEVNULL, check=False)
        archive.stdout.close()
        if archive.wait() != 0:
            raise Unreachable(f"{package.name} cannot be unpacked")
        if not (tree / "lib").exists():
            (tree / "lib").symlink_to("usr/lib")
        for modules in (tree / "lib/modules").iterdir():
            subprocess.run(["depmod", "-b", tree, modules.name], check=True)
        mark.write_text(package.name)
    return tree


def get(suite, cache):
    """The suite's kernel, with what could not be refreshed as a text (empty: nothing)."""
    directory = cache / suite
    directory.mkdir(parents=True, exist_ok=True)
    stale = ""
    try:
        package = fetch_package(suite, directory)
    except Unreachable as error:
        package = find_newest(directory)
        if not package:
            raise
        stale = str(error)
    tree = unpack(package, directory)
    image = next((tree / "boot").glob("vmlinuz-*"))
    release = image.name.partition("-")[2]
    return Kernel(suite, SUITES[suite], package.name, release, image,
                  tree / "lib/modules" / release), stale
