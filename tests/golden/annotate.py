#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Raw NetFlow v9 or IPFIX messages on standard input, the same as annotated hex on standard output.

    build/tests/golden/golden_wire ipfix | tests/golden/annotate.py > tests/golden/ipfix.golden

A reader of its own: it knows the RFCs, and from fields.def no more than the names of the numbers."""

import pathlib
import re
import sys

FIELDS = pathlib.Path(__file__).resolve().parents[2] / "daemon" / "flow" / "fields.def"


def read_names():
    rows = re.sub(r"/\*.*?\*/", "", FIELDS.read_text(), flags=re.S)
    names = {9: {}, 10: {(29305, 1): "OUT_BYTES (reverse)", (29305, 2): "OUT_PKTS (reverse)",
                         (0, 139): "ICMP_TYPE (IPv6)"}}
    for kind, row in re.findall(r"(FLOW|END)_FIELD\((.*?)\n?\s*\"", rows, flags=re.S):
        row = re.sub(r"\bNTOP\b", "35632", row)
        row = re.sub(r"RECORD_END\([^)]*\)", "parts", row.replace("\n", " "))
        words = [word.strip() for word in row.split(",")]
        if kind == "FLOW":
            names[9][(0, int(words[4]))] = names[10][(int(words[6]), int(words[5]))] = words[0]
            continue
        for side, at in (("SRC_", 4), ("DST_", 6)):
            names[9][(0, int(words[at]))] = side + words[0]
            names[10][(35632, int(words[at + 1]))] = side + words[0]
    return names


class Reader:
    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, length, what, show=int):
        part = self.data[self.at:self.at + length]
        assert len(part) == length, f"short at {self.at}: {what}"
        self.at += length
        value = int.from_bytes(part, "big")
        shown = value if show is int else repr(part.rstrip(b"\0").decode()) if show else ""
        print(f"{part.hex():<32} # {what} {shown}".rstrip())
        return value


def read_template(reader, version, templates, names):
    number = reader.take(2, "  template")
    fields = []
    for _ in range(reader.take(2, "  fields")):
        field = int.from_bytes(reader.data[reader.at:reader.at + 2], "big")
        is_enterprise = version == 10 and field >= 0x8000
        length = 8 if is_enterprise else 4
        part = reader.data[reader.at:reader.at + length]
        reader.at += length
        width = int.from_bytes(part[2:4], "big")
        pen = int.from_bytes(part[4:8], "big")
        key = (pen, field & 0x7fff if is_enterprise else field)
        name = names[version][key]
        fields.append((name, width))
        print(f"{part.hex():<32} #     {name} {'' if not pen else str(pen) + '.'}{key[1]}, "
              f"{'variable' if width == 65535 else width}")
    templates[number] = fields


def is_text(name):
    return re.search(r"_NAME|CMDLINE|CONTAINER", name)


def read_record(reader, fields):
    print(f"{'':<32} #   record")
    for name, width in fields:
        if width == 65535:
            width = reader.take(1, f"    length of {name}")
            if width == 255:
                width = reader.take(2, f"    length of {name}")
        reader.take(width, f"    {name}", str if is_text(name) else None if width == 16 else int)


def read_message(reader, templates, names):
    start = reader.at
    version = reader.take(2, "version")
    if version == 9:
        left = reader.take(2, "count")
        for what in ("sysUptime", "unix seconds", "sequence", "source id"):
            reader.take(4, what)
    else:
        end = start + reader.take(2, "length")
        for what in ("export time", "sequence", "observation domain"):
            reader.take(4, what)
    while left > 0 if version == 9 else reader.at < end:
        set_start = reader.at
        number = reader.take(2, "set")
        set_end = set_start + reader.take(2, "set length")
        while set_end - reader.at > 3:
            if number < 256:
                read_template(reader, version, templates, names)
            else:
                read_record(reader, templates[number])
            if version == 9:
                left -= 1
        if reader.at < set_end:
            assert reader.take(set_end - reader.at, "padding") == 0
    print()


def main():
    reader, templates, names = Reader(sys.stdin.buffer.read()), {}, read_names()
    while reader.at < len(reader.data):
        read_message(reader, templates, names)


main()
