#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Adds up what meson (NAME.json) and pytest (NAME.xml) left in a directory: what failed, what was
skipped and why, and the totals on the last line. summary.py BROKEN-BUILDS DIRECTORY"""

import json
import pathlib
import re
import sys
import xml.etree.ElementTree

PASSED, FAILED, SKIPPED = "passed", "failed", "skipped"
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


def read_pytest(path):
    for case in xml.etree.ElementTree.parse(path).iter("testcase"):
        name = f"{path.stem} {case.get('classname')}::{case.get('name')}"
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


def main():
    broken, directory = int(sys.argv[1]), pathlib.Path(sys.argv[2])
    found = [(FAILED, "build", "did not build")] * broken
    for path in sorted(directory.iterdir()):
        found += {".json": read_meson, ".xml": read_pytest}.get(path.suffix, lambda _: [])(path)
    for wanted in (SKIPPED, FAILED):
        chosen = [(name, why) for result, name, why in found if result == wanted]
        if chosen:
            print(f"\n{wanted}:")
        for name, why in chosen:
            print(f"  {name}: {why}")
    counts = {wanted: sum(result == wanted for result, _, _ in found)
              for wanted in (PASSED, FAILED, SKIPPED)}
    print(f"\n{counts[PASSED]} passed, {counts[FAILED]} failed, {counts[SKIPPED]} skipped")
    return 0 if counts[PASSED] > 0 and counts[FAILED] == 0 else 1


if __name__ == "__main__":
    sys.exit(main())
