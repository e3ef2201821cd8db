"""How the tests run: the long files first, each test under its marks, and no process that is not said by a mark."""

import subprocess
from collections.abc import Iterator
from unittest import mock

import pytest

# Seconds of the long files on one core, so that two workers begin with them and end together. Rough is enough.
SECONDS = {
    "test_stream_kills": 250,
}
# What a fixture brings up, its test needs.
NEEDS = {
    "java": "kafka",
    "kafka": "kafka",
    "believing": "kafka",
    "stage": "kafka",
    "cluster": "kafka",
    "page": "browser",
    "demo": "process",
    "credit_process": "process",
}
ANYWHERE = {"process", "kafka", "browser"}
_DECODER = "batch.parquet_decoder"  # reads a table apart, so that a hostile one ends nothing else; as quick as a call


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Long files first; marks from fixtures."""
    items.sort(key=lambda item: -SECONDS.get(item.path.stem, 0))
    for item in items:
        for fixture in getattr(item, "fixturenames", ()):
            if fixture in NEEDS:
                item.add_marker(NEEDS[fixture])


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """A test that has no such mark belongs to the quick loop, and starts no process."""
    if any(item.get_closest_marker(name) for name in ANYWHERE):
        return (yield)
    start = subprocess.Popen.__init__

    def said(self: object, command: object, *rest: object, **options: object) -> None:
        assert _DECODER in str(command), f"mark this test with process, kafka or browser: it starts {command}"
        start(self, command, *rest, **options)  # type: ignore[call-overload]

    with mock.patch.object(subprocess.Popen, "__init__", said):
        return (yield)
