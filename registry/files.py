"""A file that is replaced in one step and is there after a crash of the machine as well."""

import os
import tempfile
from pathlib import Path

from scoring.durable import flush_folder

from features.errors import DeliveryError

_MODE, _FOLDER = 0o644, 0o755  # doors that run as other users read it


def replace_file(path: Path, content: bytes) -> None:
    """Write a file under another name, flush it, and give it its name.

    Raises:
        DeliveryError: it cannot be written; what was there before is intact.

    """
    try:
        if not path.parent.exists():
            path.parent.mkdir()
            path.parent.chmod(_FOLDER)
        with tempfile.NamedTemporaryFile("wb", dir=path.parent, prefix=".part-", delete=False) as file:
            part = Path(file.name)
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        part.chmod(_MODE)
        part.replace(path)
        flush_folder(path.parent)
    except OSError as error:
        raise DeliveryError(f"{path}: cannot be written ({error.strerror}).") from error
