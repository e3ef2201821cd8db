"""What the registry says, shown in MLflow's, for those who look there. Nothing is read back: MLflow approves nothing.

The only user of `mlflow` (extra `mlflow`). A bundle that the registry knows is a version of one registered model; the
tag `credit.bundle` holds its id, by which a later run finds it. Versions, tags and aliases of others are left alone.
"""

import logging
import os
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from features.errors import CreditError, DeliveryError, SettingsError
from registry.ledger import Entry
from registry.standing import standing

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion
    from mlflow.exceptions import MlflowException

__all__ = ["mirror"]

_BUNDLE, _STANDING, _NOTE = "credit.bundle", "credit.standing", "credit.note"
_PLACE = "credit-bundle://bundles"  # MLflow's server takes no path of another machine
_PAGE = 200

_SETTINGS = {  # MLflow reads them when it is loaded and at each request; what the user has set counts
    "MLFLOW_DISABLE_TELEMETRY": "true",  # it reports its use to its makers
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",  # it would wait for some minutes
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
}


def mirror(
    entries: list[Entry], serving: Mapping[str, str | None], server: str, model: str, location: str | None = None
) -> list[str]:
    """Bring MLflow to what the registry says; return what was changed, a sentence each; none where all was so.

    Args:
        entries: of the ledger, checked.
        serving: the bundle that each link leads to; None: the link is gone.
        server: MLflow's address, https://... or http://...; credentials come from MLflow's own variables.
        model: name of the registered model, which is made where it is not there.
        location: where the bundles lie, as in s3://models; MLflow shows it as the source.

    Raises:
        SettingsError: the address is none of HTTP, holds a password, or MLflow refuses.
        DeliveryError: MLflow does not answer. What was done before stays; run it again.

    """
    _check(server)
    for name, value in _SETTINGS.items():
        os.environ.setdefault(name, value)
    from mlflow import MlflowClient  # noqa: PLC0415 - after its settings
    from mlflow.exceptions import MlflowException  # noqa: PLC0415

    logging.getLogger("mlflow").setLevel(logging.ERROR)  # it announces each step
    try:
        return list(_Mirror(MlflowClient(server, server), model, location or _PLACE).changes(entries, serving))
    except MlflowException as error:
        raise _ours(error, server) from error


class _Mirror:
    def __init__(self, client: "MlflowClient", model: str, location: str) -> None:
        self._client, self._model, self._location = client, model, location.rstrip("/")

    def changes(self, entries: list[Entry], serving: Mapping[str, str | None]) -> Iterator[str]:
        if not self._client.search_registered_models(f"name = '{self._model}'", max_results=1):
            self._client.create_registered_model(self._model, description="Mirror of a registry of credit bundles.")
            yield f"model {self._model} registered"
        known = self._known()
        for bundle in dict.fromkeys(one.bundle for one in entries if one.bundle):
            yield from self._version(bundle, entries, known)
        yield from self._aliases(serving, known)

    def _known(self) -> "dict[str, ModelVersion]":
        """Return our versions by bundle; the oldest where somebody copied one."""
        found: dict[str, ModelVersion] = {}
        token = None
        while True:
            page = self._client.search_model_versions(f"name = '{self._model}'", _PAGE, page_token=token)
            found |= {one.tags[_BUNDLE]: one for one in page if _BUNDLE in one.tags and not _older(one, found)}
            if not (token := page.token):
                return found

    def _version(self, bundle: str, entries: list[Entry], known: "dict[str, ModelVersion]") -> Iterator[str]:
        own = [one for one in entries if one.bundle == bundle]
        tags = {_BUNDLE: bundle, _STANDING: standing(entries, bundle).sentence(), _NOTE: own[-1].note}
        if (version := known.get(bundle)) is None:
            known[bundle] = made = self._client.create_model_version(
                self._model,
                f"{self._location}/{bundle}",
                tags=tags,
                description=f"Proposed by {own[0].by}: {own[0].note}",
                await_creation_for=0,
            )
            yield f"version {made.version}: bundle {bundle[:12]}, {tags[_STANDING]}"
            return
        changed = {name: text for name, text in tags.items() if version.tags.get(name) != text}
        for name, text in changed.items():
            self._client.set_model_version_tag(self._model, version.version, name, text)
        if changed:
            yield f"version {version.version}: bundle {bundle[:12]}, {tags[_STANDING]}"

    def _aliases(self, serving: Mapping[str, str | None], known: "dict[str, ModelVersion]") -> Iterator[str]:
        there = self._client.get_registered_model(self._model).aliases
        for name, bundle in serving.items():
            wanted = None if bundle is None or bundle not in known else str(known[bundle].version)
            if there.get(name) == wanted:
                continue
            if wanted is None:
                self._client.delete_registered_model_alias(self._model, name)
                yield f"alias {name} taken away"
            else:
                self._client.set_registered_model_alias(self._model, name, wanted)
                yield f"alias {name} -> version {wanted}"


def _older(one: "ModelVersion", found: "Mapping[str, ModelVersion]") -> bool:
    other = found.get(one.tags[_BUNDLE])
    return other is not None and int(other.version) < int(one.version)


def _check(server: str) -> None:
    parts = urlsplit(server)
    if parts.password is not None or parts.username is not None:
        raise SettingsError(
            "--mlflow: an address with a login in it would be seen by others. Set MLFLOW_TRACKING_USERNAME and "
            "MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN."
        )
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise SettingsError(f"--mlflow {server}: expected the address of a server, https://... or http://...")


def _ours(error: "MlflowException", server: str) -> CreditError:
    """Say who must act: a server that is there and says no needs a person; all else may pass."""
    status: int = error.get_http_status_code()  # type: ignore[no-untyped-call]
    if status < 500:
        return SettingsError(f"{server}: MLflow refuses: {str(error).splitlines()[0]}")
    return DeliveryError(f"{server}: MLflow does not answer. Run the command again when it does.")
