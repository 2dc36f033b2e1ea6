# SPDX-License-Identifier: GPL-2.0-or-later
"""The fields that have a number, as the catalogues (daemon/flow/fields.def, process_fields.def) have
them."""

import collections
import pathlib
import re

Field = collections.namedtuple("Field", "name kind v9_id v9_width ipfix_id ipfix_width pen")
NTOP, REVERSE, VARIABLE = 35632, 29305, 0xFFFF
_FLOW_FOLDER = pathlib.Path(__file__).resolve().parents[3] / "daemon" / "flow"
_FLOW = re.compile(r"^FLOW_FIELD\((\w+), (\w+), [\w.]+, [^,\"]+(?:\([^)]*\)[^,\"]*)*, (\d+), (\d+), (\w+), "
                   r"(\d+), (\w+),", re.M)
_PROCESS = re.compile(r"^PROCESS_FIELD\((\w+), (\w+), [\w.]+, \w+(?:\(\w+\))?, (\d+), (\d+), (\w+), (\d+), "
                      r"(\w+),", re.M)
_END = re.compile(r"^END_FIELD\((\w+), (\w+), \w+, [^,\"]+, (\d+), (\d+), (\d+), (\d+), (\d+), (\w+),", re.M)


def _width(text):
    return VARIABLE if text.endswith("VARIABLE") else int(text)


def _read_text(name):
    text = re.sub(r"/\*.*?\*/", "", (_FLOW_FOLDER / name).read_text(), flags=re.S)
    return re.sub(r"[ \t]*\n[ \t]+", " ", text)


def _read_rows(text, kind, row):
    fields = [Field(name, kind, int(v9), int(v9_width), int(ipfix), _width(width),
                    NTOP if "NTOP" in pen else 0)
              for name, kind, v9, ipfix, pen, v9_width, width in row.findall(text)]
    assert len(fields) == len(re.findall(rf"^{kind}\(", text, re.M))
    return fields


def read_processes():
    """Those of records of processes, in their order, by their names in JSON."""
    rows = _read_rows(_read_text("process_fields.def"), "PROCESS_FIELD", _PROCESS)
    return [field for field in rows if field.v9_id or field.ipfix_id]


def read():
    """All those of flows, in their order."""
    text = _read_text("fields.def")
    fields = _read_rows(text, "FLOW_FIELD", _FLOW)
    ends = _END.findall(text)
    assert len(ends) == len(re.findall(r"^END_FIELD\(", text, re.M))
    for side in (0, 1):
        for name, kind, *ids, v9_width, width in ends:
            fields.append(Field(("SRC_", "DST_")[side] + name, kind, int(ids[2 * side]), int(v9_width),
                                int(ids[2 * side + 1]), _width(width), NTOP))
    return [field for field in fields if field.v9_id or field.ipfix_id]
