# SPDX-License-Identifier: GPL-2.0-or-later
import contextlib
import fcntl
import itertools
import os
import shutil
import tempfile

import pytest

from harness.agent import Agent
from harness.daemon import Daemon, executable
from harness.namespaces import Namespace, Pair, Routed, remove_stale


@pytest.fixture(scope="session", autouse=True)
def host():
    assert os.geteuid() == 0, "the end-to-end tests make network namespaces: they need root"
    assert executable().exists(), f"{executable()} is not there: set PROCFLOW_BUILD"
    remove_stale()


@pytest.fixture
def need():
    """Skips, by name, where a program is not installed."""
    def need(*programs):
        for program in programs:
            if not shutil.which(program):
                pytest.skip(f"{program} is not installed")
    return need


@pytest.fixture
def cleanup(request):
    """What ends with the test, last first. What stands in it can tell evidence()."""
    with contextlib.ExitStack() as stack:
        request.node.procflow_witnesses = witnesses = []
        stack.witnesses = witnesses
        yield stack


@pytest.fixture
def pair(cleanup):
    return _watch(cleanup, Pair())


@pytest.fixture
def routed(cleanup):
    return _watch(cleanup, Routed())


@pytest.fixture
def make_namespace(cleanup):
    def make(role):
        namespace = Namespace(role)
        cleanup.callback(namespace.remove)
        return namespace
    return make


def _watch(cleanup, topology):
    for namespace in topology.namespaces():
        cleanup.callback(namespace.remove)
        cleanup.witnesses.append((_look_at_namespace, namespace))
    return topology


def _look_at_namespace(namespace):
    yield f"{namespace.role}: conntrack", "\n".join(namespace.conntrack())
    yield f"{namespace.role}: nft", namespace.ruleset()


@pytest.fixture
def agent(cleanup):
    """agent(namespace, name, user=None): a process that makes traffic."""
    return Agent


@pytest.fixture
def daemon(cleanup, tmp_path):
    """daemon(namespace, config=None, ...): procflowd, started and ready unless start=False."""
    numbers = itertools.count(1)

    def make(namespace, config=None, start=True, **options):
        made = Daemon(namespace, tmp_path / f"d{next(numbers)}", config, **options)
        cleanup.callback(made.close)
        cleanup.witnesses.append((Daemon.evidence, made))
        return made.start() if start else made
    return make


@pytest.fixture
def machine_settings():
    """Settings of the whole machine (kernel.task_delayacct) belong to one test at a time."""
    with open(os.path.join(tempfile.gettempdir(), "procflow-e2e.lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@pytest.fixture
def delays_off(pair, machine_settings):
    """kernel.task_delayacct is 0 when the test begins, whatever the machine had."""
    name = "kernel.task_delayacct"
    before = pair.probe.sysctl(name)
    pair.probe.sysctl(name, 0)
    yield
    pair.probe.sysctl(name, before)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    report = outcome.get_result()
    if not report.failed:
        return
    for look, witness in getattr(item, "procflow_witnesses", []):
        try:
            report.sections += [(title, text) for title, text in look(witness) if text]
        except Exception as error:  # the report of the failure itself must not get lost
            report.sections.append((str(witness), f"cannot be looked at: {error}"))
