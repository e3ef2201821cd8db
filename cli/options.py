"""Options that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

BundleOption = Annotated[
    Path, typer.Option("--bundle", help="The bundle's folder, or a link to it.", show_default=False)
]
Applications = Annotated[
    Path, typer.Option("--applications", help="CSV or Parquet file, or a folder of part files.", show_default=False)
]
Events = Annotated[
    Path | None,
    typer.Option(
        "--events",
        help="CSV or Parquet file, or a folder of part files; not needed by a spec without RFM groups.",
        show_default=False,
    ),
]
DictionaryOption = Annotated[
    Path | None,
    typer.Option("--dictionary", help="Texts of the reasons in another language, .toml.", show_default=False),
]
