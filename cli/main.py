"""The `credit` command. Each function reads its arguments, calls one part of the product and prints the result."""

import os
import platform
import signal
import sys
from typing import Annotated

import typer

from cli.access import protect_files
from cli.commands import LazyGroup
from cli.console import deliver_stdout, prepare_streams, say, warn
from cli.exit_codes import epilog
from cli.extras import missing_extra
from cli.places import let_go
from features.errors import CreditError, InputError, SettingsError

app = typer.Typer(
    cls=LazyGroup,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Credit scoring: one verified bundle, the same bits at every door.",
    epilog=epilog(),
)
# The allocator within Polars, which is loaded later, keeps freed memory for ten seconds, which is its default. Polars
# lets it go after half a second; making the pages anew cost a night more than a tenth of its processor time.
_ALLOCATOR = ("_RJEM_MALLOC_CONF", "dirty_decay_ms:10000")
_COMPUTING = ("numpy", "onnxruntime", "polars", "xgboost-cpu", "scikit-learn", "confluent-kafka", "fastapi")


def _say_version(wanted: bool) -> None:  # noqa: FBT001 - Typer calls it with the flag
    if not wanted:
        return
    from scoring.machine import cpu_family, library_versions

    say(f"credit-scoring {library_versions('credit-scoring').get('credit-scoring', 'not installed')}")
    say(f"Python {platform.python_version()} on {cpu_family()}")
    say(", ".join(f"{name} {number}" for name, number in library_versions(*_COMPUTING).items()))
    raise typer.Exit


@app.callback()
def credit(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_say_version, is_eager=True, help="Print the release, libraries and CPU family."
        ),
    ] = False,
) -> None:
    """Take the options that belong to no command."""


def _polars_error() -> type[Exception]:
    from polars.exceptions import PolarsError

    return PolarsError


def main() -> None:
    """Run the command line; every error that a user can act on becomes one message and its exit code."""
    prepare_streams()
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))  # so that temporary files are removed
    try:
        protect_files(os.environ)
        os.environ.setdefault(*_ALLOCATOR)
        app()
    except SystemExit as error:  # each command ends so
        sys.exit(deliver_stdout(error.code))
    except CreditError as error:
        warn(f"error: {error}")
        sys.exit(error.exit_code)
    except ModuleNotFoundError as error:
        advice = missing_extra(error.name)
        if advice is None:
            raise
        warn(f"error: {advice}")
        sys.exit(SettingsError.exit_code)
    except _polars_error() as error:  # its text may hold cells
        warn(f"error: a column holds what this command cannot compute with ({type(error).__name__}). Check its cells.")
        sys.exit(InputError.exit_code)
    except (OSError, RuntimeError) as error:  # paths that no part expects: a loop of links, a name that is too long
        warn(f"error: {error}. Expected paths that can be opened.")
        sys.exit(InputError.exit_code)
    finally:
        let_go()


if __name__ == "__main__":
    main()
