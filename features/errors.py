"""One error tree. The class says who must act; the message says where, expected, found and what to do."""

from typing import ClassVar

__all__ = [
    "BundleError",
    "CreditError",
    "DeliveryError",
    "ExportError",
    "InputError",
    "RejectLimitError",
    "SettingsError",
    "SpecError",
]


class CreditError(Exception):
    """Base of every error that a user of this product is meant to read. Messages never hold a customer's value."""

    exit_code: ClassVar[int] = 1


class InputError(CreditError):
    """The data is at fault: a file that cannot be used, or a record that cannot be scored."""

    exit_code = 1


class SettingsError(CreditError):
    """The deployment is at fault: arguments, spec or environment."""

    exit_code = 2


class SpecError(SettingsError):
    """The spec is at fault. The message starts with the key, as in `attributes.months_employed.range`."""


class BundleError(CreditError):
    """The bundle is damaged, incomplete, of another version or does not reproduce its golden rows."""

    exit_code = 2


class ExportError(CreditError):
    """A fitted model could not be exported faithfully; no bundle was written."""

    exit_code = 2


class RejectLimitError(CreditError):
    """An upstream release went wrong; the previous output is intact.

    Too many applications were rejected, the events match nobody, or a column that mattered is gone.
    """

    exit_code = 3


class DeliveryError(CreditError):
    """Disk or broker is at fault: the output could not be written. The previous output is intact."""

    exit_code = 4
