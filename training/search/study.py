"""The study of a search: Optuna's journal, a file of JSON lines to which each step is appended."""

from pathlib import Path

import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState

from features.errors import DeliveryError, InputError


def open_study(path: Path | None, key: str, pruner: optuna.pruners.BasePruner) -> optuna.Study:
    """Open the study of this name, or begin it; None keeps it in memory. A trial that was cut off counts as failed.

    Raises:
        InputError: the file is there and is no journal of Optuna.
        DeliveryError: it cannot be written.

    """
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    if path is None:
        return optuna.create_study(pruner=pruner)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _drop_cut_line(path)
        storage = JournalStorage(JournalFileBackend(str(path)))
        study = optuna.create_study(storage=storage, study_name=key, pruner=pruner, load_if_exists=True)
    except OSError as error:
        raise DeliveryError(f"{path}: the study cannot be kept there ({error.strerror}). Name another file.") from error
    except (ValueError, KeyError, TypeError, AttributeError, AssertionError) as error:  # no JSON, or no journal
        raise InputError(f"{path}: not a study of a search. Name another file with --study, or delete it.") from error
    for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
        study.tell(trial.number, state=TrialState.FAIL)
    return study


def _drop_cut_line(path: Path) -> None:
    """Take a last line without an end off: the process that wrote it was killed."""
    if not path.exists():
        return
    content = path.read_bytes()
    whole = content.rfind(b"\n") + 1
    if whole < len(content):
        with path.open("r+b") as file:
            file.truncate(whole)
