"""Who may put a model into service: signatures over bundles, the keys that are trusted, and the record of approvals."""

from registry.envelope import Key, make_key, read_key
from registry.ledger import LEDGER, Action, Entry, Ledger
from registry.signatures import open_trusted, sign_bundle, signers
from registry.standing import served_before, standing
from registry.trust import Trust

__all__ = [
    "LEDGER",
    "Action",
    "Entry",
    "Key",
    "Ledger",
    "Trust",
    "make_key",
    "open_trusted",
    "read_key",
    "served_before",
    "sign_bundle",
    "signers",
    "standing",
]
