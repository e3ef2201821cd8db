"""The machine as far as bits depend on it, and the versions of the libraries that compute."""

import platform
from importlib.metadata import PackageNotFoundError, version

import numpy as np

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
