"""Schemathesis against both frameworks: no server error, and every response is one that the OpenAPI document describes.

CREDIT_FUZZ_CASES=20000 (`make fuzz`) searches further. The phases of examples and of coverage are whole at any size.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.rest_door import FRAMEWORKS, running

pytestmark = pytest.mark.process

CASES = int(os.environ.get("CREDIT_FUZZ_CASES", "200"))
# A pattern cannot say which days exist, and a batch answers 200 with a problem for each bad application in it.
SEMANTIC = "positive_data_acceptance,negative_data_rejection"


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_no_server_error_and_nothing_undocumented(framework: str, bundle: Path, tmp_path: Path) -> None:
    with running(bundle, tmp_path, framework, "--rate-limit", 0, deadline_seconds=60) as door:
        command = [
            *(str(Path(sys.executable).with_name("schemathesis")), "run"),
            f"http://127.0.0.1:{door.port}/openapi.json",
            *("--header", f"X-API-Key: {door.key}"),
            *("--max-examples", str(CASES // 5)),  # for each address; most have few different requests
            *("--phases", "examples,coverage,fuzzing"),
            *("--exclude-checks", SEMANTIC),
            *("--seed", "1", "--workers", "2", "--no-color"),
        ]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-2000:]
    (generated,) = re.findall(r"([0-9]+) generated", done.stdout)
    assert int(generated) >= CASES // 2
    statuses = [line["status"] for line in door.lines() if line["event"] == "request"]
    assert len(statuses) >= CASES // 2
    assert max(statuses) < 500
