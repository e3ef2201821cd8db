"""Where output may go: what is checked of a target before anything is written to it."""

from pathlib import Path

from features.errors import DeliveryError, SettingsError
from storage.durable import part_of
from storage.remote.addresses import address_of, spelled

__all__ = ["check_target", "prepare_folder", "refuse_addresses", "refuse_folders", "refuse_overwriting"]


def check_target(path: Path) -> None:
    """Check early that a file can be written here, so that no work is done in vain.

    Raises:
        SettingsError: the name ends neither in .csv nor in .parquet.
        DeliveryError: the folder does not exist or cannot be written to.

    """
    if path.suffix.lower() not in (".csv", ".parquet"):
        raise SettingsError(f"{path}: its name ends in {path.suffix or 'nothing'}, expected .csv or .parquet.")
    check_folder(path)


def refuse_addresses(path: Path) -> None:
    """Refuse what is the address of an object store or a server, which a path would take for local folders.

    Raises:
        SettingsError: so.

    """
    address = address_of(path)
    if address is not None:
        raise SettingsError(
            f"{address.text}: is the address of an object store. This command expects a local file or folder here: "
            "copy or mount what lies there, and name that path."
        )


def refuse_folders(targets: list[Path]) -> None:
    """Refuse targets that are folders.

    Raises:
        DeliveryError: naming the target.

    """
    for target in targets:
        if target.is_dir():
            raise DeliveryError(f"{target}: is a folder. Move it away, or choose another name for the output.")


def check_folder(path: Path) -> None:
    """Check that a file of this name can be written.

    Raises:
        DeliveryError: the folder does not exist or cannot be written to.

    """
    refuse_addresses(path)
    if not path.parent.is_dir():
        raise DeliveryError(f"{path.parent}: no such folder. Create it, or choose another place for the output.")
    refuse_folders([path])
    probe = part_of(path)
    try:
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise DeliveryError(
            f"{path.parent}: cannot be written to ({error.strerror}). Check its permissions."
        ) from error


def prepare_folder(path: Path) -> None:
    """Make the folder of a file that somebody asked for by name, and check that the file can be written there.

    The cron job's output is not prepared so: a folder that is missing every night is a disk that was not mounted.

    Raises:
        DeliveryError: the folder cannot be made or written to.

    """
    refuse_addresses(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DeliveryError(
            f"{path.parent}: cannot be made ({error.strerror}). Choose another place for the output."
        ) from error
    check_folder(path)


def refuse_overwriting(source: Path, targets: list[Path]) -> None:
    """Refuse targets that are the input, or lie anywhere below the folder that is.

    Raises:
        SettingsError: naming the target.

    """
    for target in targets:
        place = target.resolve()
        folder = source.is_dir() or address_of(source) is not None
        around = place.parents if folder else ()  # below a file nothing can lie
        if source.resolve() in (place, *around):
            raise SettingsError(
                f"{spelled(target)}: is or lies in the input or bundle {spelled(source)}. Choose another place for the "
                "output."
            )
