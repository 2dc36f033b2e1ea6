# SPDX-License-Identifier: GPL-2.0-or-later
"""The fields that have a number, as the field catalogue (daemon/flow/fields.def) has them."""

import collections
import pathlib
import re

Field = collections.namedtuple("Field", "name kind v9_id v9_width ipfix_id ipfix_width pen")
NTOP, REVERSE, VARIABLE = 35632, 29305, 0xFFFF
_PATH = pathlib.Path(__file__).resolve().parents[3] / "daemon" / "flow" / "fields.def"
_FLOW = re.compile(r"^FLOW_FIELD\((\w+), (\w+), [\w.]+, [^,\"]+(?:\([^)]*\)[^,\"]*)*, (\d+), (\d+), (\w+), "
                   r"(\d+), (\w+),", re.M)
_END = re.compile(r"^END_FIELD\((\w+), (\w+), \w+, [^,\"]+, (\d+), (\d+), (\d+), (\d+), (\d+), (\w+),", re.M)


def _width(text):
    return VARIABLE if text.endswith("VARIABLE") else int(text)


def read():
    """All of them, in their order."""
    text = re.sub(r"/\*.*?\*/", "", _PATH.read_text(), flags=re.S)
    text = re.sub(r"[ \t]*\n[ \t]+", " ", text)
    fields = [Field(name, kind, int(v9), int(v9_width), int(ipfix), _width(width),
                    NTOP if "NTOP" in pen else 0)
              for name, kind, v9, ipfix, pen, v9_width, width in _FLOW.findall(text)]
    assert len(fields) == len(re.findall(r"^FLOW_FIELD\(", text, re.M))
    ends = _END.findall(text)
    assert len(ends) == len(re.findall(r"^END_FIELD\(", text, re.M))
    for side in (0, 1):
        for name, kind, *ids, v9_width, width in ends:
            fields.append(Field(("SRC_", "DST_")[side] + name, kind, int(ids[2 * side]), int(v9_width),
                                int(ids[2 * side + 1]), _width(width), NTOP))
    return [field for field in fields if field.v9_id or field.ipfix_id]
