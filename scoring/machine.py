"""The machine as far as bits depend on it, versions of the libraries that compute, and what serving asks of Python."""

import gc
import platform
from importlib.metadata import PackageNotFoundError, version

import numpy as np

__all__ = ["cpu_family", "library_versions", "spare_the_collector"]

_GARBAGE = 10_000  # objects between two collections
_LEVELS = ("X86_V4", "X86_V3", "X86_V2", "SVE", "ASIMD")


def cpu_family() -> str:
    """Name the instruction set that decides the last bits of exp and log, such as `x86_64-x86_v3`."""
    simd = np.show_config(mode="dicts")["SIMD Extensions"]
    level = next((name for name in _LEVELS if name in (*simd["baseline"], *simd["found"])), "generic")
    return f"{platform.machine()}-{level.lower()}"


def library_versions(*packages: str) -> dict[str, str]:
    """Return the installed version of each package; packages that are absent are left out."""
    found = {}
    for package in sorted(packages):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def spare_the_collector() -> None:
    """Leave out of garbage collections what was loaded, and collect less often: serving makes next to no cycles."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(_GARBAGE)
