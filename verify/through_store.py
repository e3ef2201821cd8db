"""The events of a file put through a history store, so that doors can be asked without them."""

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import polars as pl

from features.spec.contract import Spec
from history import Loading, create_store, load_events


@contextmanager
def filled_store(address: str | None, events: pl.DataFrame, spec: Spec) -> Iterator[str]:
    """Make a store, load the events and yield its address. None: in a folder that is removed at the end.

    Raises:
        InputError: there are no events, or they cannot be read.
        SettingsError: the spec needs no events, or there is a store already.
        DeliveryError: the disk or the server fails.

    """
    with ExitStack() as held:
        if address is None:
            address = f"{held.enter_context(tempfile.TemporaryDirectory(prefix='credit-verify-'))}/history"
        store = create_store(address, spec)
        try:
            load_events(store, events, spec, Loading(fingerprint="verify", until={}))
        finally:
            store.close()
        yield address
