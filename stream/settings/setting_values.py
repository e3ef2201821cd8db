"""What is checked of single settings."""

import re

from features.carried_headers import check_names

_LAST_PORT = 65_535
_ADDRESS = re.compile(
    r"(?:(?:SASL_)?(?:PLAINTEXT|SSL)://)?(?:\[[0-9A-Fa-f:.%]+\]|[A-Za-z0-9._-]+)(?::([0-9]{1,5}))?", re.IGNORECASE
)
_OWN_HEADERS = ("source_*", "bundle_id", "redriven_*", "publish_*", "__connect.errors.*", "never_committed")


def header_names(names: list[str]) -> list[str]:
    """Return names of headers that may be carried along; raise ValueError for others."""
    return list(check_names(names, _OWN_HEADERS))


def addresses(brokers: str) -> str:
    """Return addresses of brokers as they were given; raise ValueError where one is none."""
    for address in brokers.split(","):
        found = _ADDRESS.fullmatch(address.strip())
        if found is None or int(found[1] or 0) > _LAST_PORT:
            raise ValueError(
                "expected HOST:PORT, or several with commas between them, such as kafka-1:9092,kafka-2:9092"
            )
    return brokers
