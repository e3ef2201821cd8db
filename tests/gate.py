"""How the tests run: the long files first, each test under its marks, and no process that is not said by a mark."""

import subprocess
from collections import defaultdict
from collections.abc import Iterator
from unittest import mock

import pytest

# Files of more than half a minute, so that two workers begin with them and end together. Those that load the machine
# with servers stand between those that compute: workers take them in turn, so that seldom two of the former meet.
FIRST = (
    *("test_spark", "test_readme", "test_stream_kills", "test_real_data", "test_stream_faults", "test_hostile"),
    *(
        "test_cli",
        "test_monitor_kaggle",
        "test_stream_start",
        "test_adopted",
        "test_stream_receipts",
        "test_few_defaults",
    ),
    *("test_history_kills", "test_batch_receipts", "test_monitor_command", "test_verify", "test_rest_fuzz"),
    *("test_monitor_estimate", "test_stream_broker", "test_tuning", "test_stream_forgotten", "test_benchmarks"),
    *("test_stream_rights", "test_own_data", "test_rest_attacks", "test_strangers_cases", "test_rest_process"),
    *("test_monitoring", "test_stream_forged", "test_every_kind", "test_stream_cli", "test_directions"),
    *("test_rest_change", "test_own_model", "test_stream_link", "test_training", "test_history_topic"),
    *("test_monitor_luck", "test_stream_service", "test_export", "test_stream_far", "test_linear_start"),
    *("test_stream_chaos", "test_against_plain", "test_publish_failover", "test_draft_generated", "test_delta_tables"),
    *("test_why_changed", "test_rest_challengers", "test_policy", "test_rest_log_kills", "test_reason_words"),
    *("test_object_stores", "test_stream_position", "test_rest_log", "test_stream_rewound", "test_history_stores"),
    *("test_log_mixed", "test_prometheus"),
)
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
_DECODER = "storage.parquet_decoder"  # reads a table apart, so that a hostile one ends nothing else; as quick as a call

_SECONDS: dict[str, float] = defaultdict(float)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Order the files; give the marks that fixtures mean."""
    place = {name: number for number, name in enumerate(FIRST)}
    items.sort(key=lambda item: place.get(item.path.stem, len(place)))
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


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Count what each file takes, with what its fixtures take."""
    _SECONDS[report.nodeid.partition("::")[0]] += report.duration


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say which files take long, after a run of many."""
    if len(_SECONDS) > 50:
        terminalreporter.section(f"seconds of the long files, of {sum(_SECONDS.values()):.0f} of all")
        for file, seconds in sorted(_SECONDS.items(), key=lambda item: -item[1])[:40]:
            terminalreporter.write_line(f"{seconds:7.1f} {file}")
