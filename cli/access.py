"""Who may read what commands write: its owner alone, since most of it holds personal data; or the group, too."""

import os
from collections.abc import Mapping

from features.errors import SettingsError

VARIABLE = "CREDIT_FILES"
_TAKEN = {"private": 0o077, "group": 0o027}  # from the rights of new files and folders


def protect_files(environment: Mapping[str, str]) -> None:
    """Have this process, and those that it starts, make files 600 and folders 700; with `group`, 640 and 750.

    A stricter umask of the caller stays. What is there already keeps its rights, except files that are replaced.

    Raises:
        SettingsError: the variable holds something else.

    """
    setting = environment.get(VARIABLE, "") or "private"
    if setting not in _TAKEN:
        raise SettingsError(f"environment: {VARIABLE}: expected private (the default) or group.")
    before = os.umask(0o077)
    os.umask(before | _TAKEN[setting])
