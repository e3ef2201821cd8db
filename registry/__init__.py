"""Who may put a model into service: signatures over bundles, the keys that are trusted, and the record of approvals.

`keys` needs the extra `sign`, and so does reading signatures; `mirror` needs `mlflow`; the record alone needs none.
"""

from registry.heads import SignedHeads, read_heads, sign_heads
from registry.ledger import LEDGER, Action, Entry, Ledger
from registry.signatures import open_trusted, sign_bundle, signers
from registry.standing import served_before, standing
from registry.trust import Trust

__all__ = [
    "LEDGER",
    "Action",
    "Entry",
    "Ledger",
    "SignedHeads",
    "Trust",
    "keys",
    "mirror",
    "open_trusted",
    "read_heads",
    "served_before",
    "sign_bundle",
    "sign_heads",
    "signers",
    "standing",
]
