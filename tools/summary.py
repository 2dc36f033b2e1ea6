#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Adds up what meson (NAME.json) and pytest (NAME.xml) left in a directory: what failed, what was
skipped and why, and the totals on the last line. summary.py BROKEN-BUILDS DIRECTORY

NAME.again.xml is a second run of the few that failed in NAME.xml: what passes in it was disturbed by
others on the machine. It is listed by name all the same. summary.py --failed NAME.xml lists those few,
as pytest calls them, and nothing where they are many."""

import json
import pathlib
import re
import sys
import xml.etree.ElementTree

PASSED, FAILED, SKIPPED = "passed", "failed", "skipped"
AGAIN = "passed when it ran by itself"
FEW = 10
MESON_RESULTS = {"OK": PASSED, "EXPECTEDFAIL": PASSED, "SKIP": SKIPPED}
CMOCKA_SKIPPED = re.compile(r"^\[  SKIPPED \] (?!\d+ test)(.*)", re.MULTILINE)


def read_meson(path):
    for line in path.read_text().splitlines():
        test = json.loads(line)
        output = test.get("stdout") or ""
        result = MESON_RESULTS.get(test["result"], FAILED)
        lines = [text for text in (output + (test.get("stderr") or "")).splitlines() if text.strip()]
        yield result, f"{path.stem} {test['name']}", lines[-1] if lines else test["result"]
        if result == PASSED:
            for case in sorted(set(CMOCKA_SKIPPED.findall(output))):
                reason = next((text for text in lines if text.startswith(f"{case}: ")), case)
                yield SKIPPED, f"{path.stem} {test['name']} {case}", reason


def read_cases(path):
    for case in xml.etree.ElementTree.parse(path).iter("testcase"):
        name = f"{case.get('classname')}::{case.get('name')}"
        problem = case.find("failure")
        if problem is None:
            problem = case.find("error")
        skipped = case.find("skipped")
        if problem is not None:
            yield FAILED, name, (problem.get("message") or "").split("\n")[0]
        elif skipped is not None:
            yield SKIPPED, name, skipped.get("message") or ""
        else:
            yield PASSED, name, ""


def read_pytest(path):
    again = path.with_suffix(".again.xml")
    second = {name: result for result, name, _ in read_cases(again)} if again.exists() else {}
    for result, name, why in read_cases(path):
        if result == FAILED and second.get(name) == PASSED:
            result = AGAIN
        yield result, f"{path.stem} {name}", why


def list_failed(path):
    """"tests.e2e.test_x::test_y[z]" to "tests/e2e/test_x.py::test_y[z]"."""
    failed = [name for result, name, _ in read_cases(path) if result == FAILED]
    for name in failed if len(failed) <= FEW else []:
        module, _, test = name.partition("::")
        print(f"{module.replace('.', '/')}.py::{test}")


def main():
    if sys.argv[1] == "--failed":
        list_failed(pathlib.Path(sys.argv[2]))
        return 0
    broken, directory = int(sys.argv[1]), pathlib.Path(sys.argv[2])
    found = [(FAILED, "build", "did not build")] * broken
    for path in sorted(directory.iterdir()):
        if path.name.endswith(".again.xml"):
            continue
        found += {".json": read_meson, ".xml": read_pytest}.get(path.suffix, lambda _: [])(path)
    for wanted in (SKIPPED, AGAIN, FAILED):
        chosen = [(name, why) for result, name, why in found if result == wanted]
        if chosen:
            print(f"\n{wanted}:")
        for name, why in chosen:
            print(f"  {name}: {why}")
    counts = {wanted: sum(result == wanted for result, _, _ in found)
              for wanted in (PASSED, FAILED, SKIPPED)}
    counts[PASSED] += sum(result == AGAIN for result, _, _ in found)
    print(f"\n{counts[PASSED]} passed, {counts[FAILED]} failed, {counts[SKIPPED]} skipped")
    return 0 if counts[PASSED] > 0 and counts[FAILED] == 0 else 1


if __name__ == "__main__":
    sys.exit(main())
