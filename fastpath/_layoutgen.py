"""Generate ``_flow_layout.h`` and ``_flow_layout.pxd`` from ``fields.MEMBERS``.

Run by setup.py through ``runpy.run_path`` (so that ``fastpath/io`` never shadows the standard
``io``) and by ``make layout``.  The generated files are checked in; a test says when they are stale.
"""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
C_TYPES = {("be", 1): "uint8_t", ("be", 2): "be16", ("be", 4): "be32", ("be", 8): "be64",
           ("host", 1): "uint8_t", ("host", 2): "uint16_t", ("host", 4): "uint32_t",
           ("host", 8): "uint64_t"}
BANNER = "generated from fields.MEMBERS by _layoutgen.py (make layout); do not edit"


def load_fields() -> dict[str, Any]:
    """The names of fields.py, read without importing the package."""
    return runpy.run_path(str(HERE / "fields.py"), run_name="fastpath_fields")


def declaration(m: Any) -> str:
    """C declaration of member *m*; what has no integer type is an array of bytes."""
    c_type = C_TYPES.get((m.order, m.size))
    return f"{c_type} {m.name}" if c_type else f"uint8_t {m.name}[{m.size}]"


def check(fields: dict[str, Any]) -> list[int]:
    """Return the stage of every word; raise ValueError where a member breaks the layout's rules."""
    stages: list[int] = []
    at = 0
    for m in fields["MEMBERS"]:
        align = m.size if (m.order, m.size) in C_TYPES else 1
        if at % align:
            raise ValueError(f"member {m.name}: offset {at} is not a multiple of {align}")
        for word in range(at // 8, (at + m.size - 1) // 8 + 1):
            if word == len(stages):
                stages.append(int(m.stage))
            elif stages[word] != int(m.stage):
                raise ValueError(f"member {m.name}: stage {int(m.stage)} in word {word}, "
                                 f"which is of stage {stages[word]}")
        at += m.size
    if at % 8:
        raise ValueError(f"flow key is {at} bytes, not a multiple of 8")
    for name in (fields["FIRST_TNL_MEMBER"], fields["FIRST_XLATE_MEMBER"]):
        if fields["OFFSETS"][name] % 8:
            raise ValueError(f"member {name}: a part of the key must begin at a word")
    return stages


def header(fields: dict[str, Any]) -> str:
    """Text of ``_flow_layout.h``."""
    stages = check(fields)
    lines = [f"/* {BANNER} */", "#ifndef FASTPATH_FLOW_LAYOUT_H", "#define FASTPATH_FLOW_LAYOUT_H", "",
             "#include <assert.h>", "#include <stddef.h>", "#include <stdint.h>", "",
             "typedef uint16_t be16;", "typedef uint32_t be32;", "typedef uint64_t be64;", "",
             f"#define FLOW_WORDS {fields['FLOW_WORDS']}",
             f"#define FLOW_TNL_WORD {fields['TNL_WORD']}",
             f"#define FLOW_DP_WORDS {fields['DP_WORDS']}", "",
             "typedef union flow {", "    struct {"]
    lines += [f"        {declaration(m)};" for m in fields["MEMBERS"]]
    lines += ["    };", "    uint64_t w[FLOW_WORDS];", "} flow_t;", "",
              'static_assert(sizeof(flow_t) == 8 * FLOW_WORDS, "flow_t has padding");']
    lines += [f'static_assert(offsetof(flow_t, {m.name}) == {fields["OFFSETS"][m.name]}, "{m.name}");'
              for m in fields["MEMBERS"]]
    rows = [", ".join(map(str, stages[i:i + 24])) for i in range(0, len(stages), 24)]
    lines += ["", "/* Stage of staged lookup that each word belongs to (fields.Stage). */",
              "static const uint8_t flow_word_stage[FLOW_WORDS] = {",
              *(f"    {row}," for row in rows), "};", "", "#endif", ""]
    return "\n".join(lines)


def pxd(fields: dict[str, Any]) -> str:
    """Text of ``_flow_layout.pxd``."""
    lines = [f"# {BANNER}", "from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t", "",
             'cdef extern from "_flow_layout.h" nogil:',
             "    ctypedef uint16_t be16", "    ctypedef uint32_t be32", "    ctypedef uint64_t be64",
             "    enum:", "        FLOW_WORDS", "        FLOW_TNL_WORD", "        FLOW_DP_WORDS",
             "    const uint8_t flow_word_stage[FLOW_WORDS]", "    ctypedef struct flow_t:"]
    lines += [f"        {declaration(m)}" for m in fields["MEMBERS"]]
    lines += ["        uint64_t w[FLOW_WORDS]", ""]
    return "\n".join(lines)


def generated() -> dict[Path, str]:
    """What the generated files should hold, by path."""
    fields = load_fields()
    return {HERE / "_flow_layout.h": header(fields), HERE / "_flow_layout.pxd": pxd(fields)}


def write() -> None:
    """Write the generated files that are missing or stale."""
    for path, text in generated().items():
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    write()
