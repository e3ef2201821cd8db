"""Read a spec, or a dictionary of its texts, from a file that a command names."""

from pathlib import Path

from features.errors import InputError
from features.reason_codes import translate
from features.spec.contract import Spec
from features.spec.file import parse_spec


def read_spec(path: Path) -> Spec:
    """Read a spec file.

    Raises:
        InputError: the file cannot be read.
        SpecError: the spec is wrong; names the key.

    """
    try:
        return parse_spec(path.read_bytes().decode(), str(path))
    except OSError as error:
        raise InputError(
            f"{path}: cannot be read ({error.strerror}). Expected a spec; `credit spec draft` makes one of your tables."
        ) from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not UTF-8 text. Save it as UTF-8.") from error


def read_dictionary(path: Path, spec: Spec) -> Spec:
    """Return the spec with the texts of a dictionary file.

    Raises:
        InputError: the file cannot be read.
        SpecError: it does not fit the spec; names the key.

    """
    try:
        return translate(spec, path.read_bytes().decode(), str(path))
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}). Expected a dictionary, .toml.") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not UTF-8 text. Save it as UTF-8.") from error
