# SPDX-License-Identifier: GPL-2.0-or-later
"""check_completion.py OPTIONS_C COMPLETION_DIRECTORY PAGE

The commands, options and orders of procflow are the same in the program, in the completion of three shells and
in the manual page."""

import pathlib
import re
import shutil
import subprocess
import sys

# What each says of an option, and of one order of a command.
OPTION = {"procflow.bash": r"(?<![\w-])--([a-z]+)", "_procflow": r"--([a-z]+)[\[}' )]",
          "procflow.fish": r"^complete.* -l ([a-z]+)", "procflow.1": r"Fl \\-([a-z]+)"}


def read_program(text):
    options = re.search(r"long_options\[\] = \{(.*?)\{0\}", text, re.S).group(1)
    commands = re.search(r"commands\[\] = \{(.*?)\n\};", text, re.S).group(1)
    rows = re.findall(r'\{"(\w+)", [^"]*?(?:NULL|"([^"]*)")\}', commands)
    return set(re.findall(r'\{"(\w+)"', options)), {name: sorts.split() for name, sorts in rows}


def main():
    program, directory, page = map(pathlib.Path, sys.argv[1:])
    options, commands = read_program(program.read_text())
    wrong = [] if len(options) > 10 and len(commands) > 5 else ["the program cannot be read"]
    sorts = {word for words in commands.values() for word in words}
    for name, pattern in OPTION.items():
        path = page if name == page.name else directory / name
        text = path.read_text()
        told = set(re.findall(pattern, text, re.M))
        if name == page.name:  # those of procflowd are told as literals, some of ours by a letter only
            told |= {long for long in ("help", "version") if re.search(rf"Fl {long[0]}\b", text, re.I)}
        wrong += [f"{path}: --{option} is missing" for option in sorted(options - told)]
        wrong += [f"{path}: --{option} is none" for option in sorted(told - options)]
        wrong += [f"{path}: {word} is missing" for word in sorted(sorts | commands.keys())
                  if not re.search(rf"\b{word}\b", text)]
    if shutil.which("bash"):
        checked = subprocess.run(["bash", "-n", directory / "procflow.bash"], capture_output=True,
                                 text=True, check=False)
        wrong += checked.stderr.splitlines()
    print("\n".join(wrong))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
