"""Build fastpath: every ``fastpath/**/_*.pyx`` is one extension module.

FASTPATH_ONLY=_extract,_flow   build these modules alone (quick turns while working on one), "none" for none
FASTPATH_CFLAGS, FASTPATH_LDFLAGS   added to the compiler and linker lines (sanitizers, -march=native)
FASTPATH_BUILD_DIR             where generated C goes, default build/cython
FASTPATH_JOBS=2                translate so many modules to C at a time
"""

from __future__ import annotations

import os
import runpy
from pathlib import Path

from Cython.Build import cythonize
from setuptools import Extension, setup

HERE = Path(__file__).parent
WARNINGS = ["-Wall", "-Wextra", "-Werror", "-Wno-unused-parameter", "-Wno-unused-function",
            "-Wno-missing-field-initializers", "-Wno-sign-compare", "-Wno-unreachable-code"]
DIRECTIVES = {"language_level": 3, "boundscheck": False, "wraparound": False, "initializedcheck": False,
              "cdivision": True, "embedsignature": True}


def extensions() -> list[Extension]:
    """One Extension for each .pyx, or for those FASTPATH_ONLY names."""
    only = {name for name in os.environ.get("FASTPATH_ONLY", "").split(",") if name}
    cflags = os.environ.get("FASTPATH_CFLAGS", "").split()
    ldflags = os.environ.get("FASTPATH_LDFLAGS", "").split()
    out = []
    for path in sorted((HERE / "fastpath").rglob("_*.pyx")):
        if only and path.stem not in only:
            continue
        module = ".".join(path.relative_to(HERE).with_suffix("").parts)
        out.append(Extension(module, [str(path.relative_to(HERE))], include_dirs=["fastpath"],
                             define_macros=[("CYTHON_PEP489_MULTI_PHASE_INIT", "1")],
                             depends=[str(p) for p in (HERE / "fastpath").glob("*.h")],
                             extra_compile_args=["-O3", "-g", "-pthread", *WARNINGS, *cflags],
                             extra_link_args=["-pthread", *ldflags]))
    return out


# Guarded: with FASTPATH_JOBS, cythonize starts processes that may import this file again.
if __name__ == "__main__":
    runpy.run_path(str(HERE / "fastpath" / "_layoutgen.py"))["write"]()
    setup(ext_modules=cythonize(extensions(), compiler_directives=DIRECTIVES,
                                build_dir=os.environ.get("FASTPATH_BUILD_DIR", "build/cython"),
                                nthreads=int(os.environ.get("FASTPATH_JOBS", "0"))))
