"""`--trust`: bundles that no trusted key signed do not serve."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from registry import open_trusted
from scoring.scorer import Scorer

TrustOption = Annotated[
    Path | None,
    typer.Option(
        "--trust",
        envvar="CREDIT_TRUST",
        help="Keys, .toml or a folder of them: refuse a bundle that none of them signed.",
        show_default=False,
    ),
]


def open_scorer(bundle: Path, trust: Path | None, threads: int = 1) -> Scorer:
    """Read, verify and load a bundle; with `trust` only if one of its keys signed it.

    Raises:
        BundleError: it does not verify, or no signature counts.
        SettingsError: the keys cannot be read.

    """
    return open_trusted(bundle, trust, datetime.now(UTC), threads)
