"""A function of the user's that fetches a token for SASL OAUTHBEARER, named as module:function (as for MSK IAM).

Code of the user's runs at two places here, as its module is imported and as it is called, and may raise anything. So
both, and no others, have an `except Exception`: what is told is the kind and the place of the error, never its text,
which may hold a secret. The first becomes a SettingsError; the second is raised on, since the client must see it.
"""

import importlib
import logging
import time
import traceback
from collections.abc import Callable
from functools import reduce
from typing import Any

from features.errors import CreditError, DeliveryError, SettingsError

log = logging.getLogger(__name__)

Token = tuple[Any, ...]
_MILLISECONDS = 1e11  # seconds since 1970 are below this for 3,000 years
_WHERE = "client settings: oauth_cb"


class TokenFunction:
    """The user's function as the client calls it; it keeps why the last call brought no token."""

    def __init__(self, name: str) -> None:
        """Find it.

        Raises:
            SettingsError: see `_find`.

        """
        self._name, self._function = name, _find(name)
        self.trouble = ""
        self.unusable = False  # what it returns is no token, so that calling it again does not help

    def __call__(self, config: str) -> Token:
        """Fetch a token."""
        try:
            token = self._function(config)
        except Exception as error:  # the client would only say that there was one
            self._failed(f"it failed: {_said(error)}")
            raise
        wrong = _wrong(token)
        if wrong:
            self.unusable = True
            self._failed(wrong)
            raise TypeError(wrong)
        return tuple(token)

    def _failed(self, trouble: str) -> None:
        self.trouble = f"{_WHERE} {self._name}: {trouble}"
        log.error("%s", self.trouble)

    def no_token(self) -> CreditError:
        """Return the error for a client that got no token."""
        kind = SettingsError if self.unusable else DeliveryError
        return kind(f"no token came: {self.trouble or _WHERE}. The client cannot log in without one.")


def _find(name: str) -> Callable[[str], Any]:
    """Return the function that `module:function` names; it gets sasl.oauthbearer.config and returns the token.

    That is (token, seconds since 1970 until which it holds), and if needed the principal and extensions.

    Raises:
        SettingsError: there is no such module or function, or the module fails as it is imported.

    """
    module, _, path = name.partition(":")
    try:
        found = reduce(getattr, path.split("."), importlib.import_module(module))
    except ModuleNotFoundError as error:
        raise SettingsError(
            f"{_WHERE}: no module named {error.name}. Install it into this environment, or set PYTHONPATH."
        ) from None
    except AttributeError:
        raise SettingsError(f"{_WHERE}: the module {module} has no {path}, or fails as it is imported.") from None
    except Exception as error:  # whatever somebody's module raises
        raise SettingsError(f"{_WHERE}: the module {module} fails as it is imported: {_said(error)}.") from error
    if not callable(found):
        raise SettingsError(f"{_WHERE}: {name} is no function. Expected one that returns (token, expires_at_seconds).")
    function: Callable[[str], Any] = found
    return function


def _wrong(token: Any) -> str:
    """Say what a returned token lacks, never what it is."""
    most = 4
    if not isinstance(token, (tuple, list)) or not 2 <= len(token) <= most:
        return "expected it to return (token, expires_at_seconds), and if needed principal and extensions"
    text, expires = token[:2]
    if not isinstance(text, str) or not isinstance(expires, (int, float)):
        return "expected it to return a text and a number: (token, expires_at_seconds)"
    if expires > _MILLISECONDS:
        return "expected the end of the token in seconds since 1970, not milliseconds: divide by 1000"
    return "" if expires > time.time() else "the token that it returned has expired already"


def _said(error: BaseException) -> str:
    step = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__} at {step.filename}:{step.lineno}"
