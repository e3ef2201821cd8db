"""The machine as far as bits depend on it, and the versions of the libraries that compute."""

import platform
from importlib.metadata import PackageNotFoundError, version

# numpy knows no public name for it; this is what `numpy.show_config()` prints from.
from numpy._core._multiarray_umath import __cpu_features__ as _CPU_FEATURES

_LEVELS = ("AVX512_SKX", "AVX512F", "AVX2", "SSE42", "ASIMD")


def cpu_family() -> str:
    """Name the instruction set that decides the last bits of exp and log. >>> 'x86_64-avx512_skx'"""
    level = next((name for name in _LEVELS if _CPU_FEATURES.get(name)), "generic")
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
