"""Which class is worse: from words that lenders use, for 0 and 1 from how rare they are, or not to be known."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from features.names import words
from features.spec.class_values import class_value

_WORST, _BAD, _POOR, _LATE, _GRACE, _MIDDLE, _FAIR, _GOOD, _BEST = range(-5, 4)
_PHRASES = {
    _WORST: ("charged off", "charge off", "chargedoff", "chargeoff", "written off", "write off", "writeoff", "loss"),
    _BAD: (
        *("default", "defaulted", "defaulter", "bad", "bankrupt", "bankruptcy", "fraud", "foreclosed", "foreclosure"),
        *("repossessed", "non performing", "npl", "npa", "high risk", "very high risk", "risky", "worst", "failed"),
        *(
            "failure",
            "schlecht",
            "ausfall",
            "ausgefallen",
            "mauvais",
            "malo",
            "impago",
            "ruim",
            "cattivo",
            "zly",
            "insolvent",
        ),
        *(
            "notleidend",
            "gestort",
            "zahlungsausfall",
            "defaut",
            "en defaut",
            "incumplimiento",
            "inadimplente",
            "inadimplencia",
        ),
        *("insoluto", "insolvente", "sofferenza", "wanbetaling", "niesplacony"),
    ),
    _POOR: (
        *("refused", "refuse", "reject", "rejected", "declined", "decline", "denied", "deny", "poor", "delinquent"),
        *("delinquency", "weak", "unsatisfactory", "subprime", "very poor", "unpaid", "in collection", "collections"),
        *("collection", "unfavorable", "unfavourable", "not approved", "abgelehnt", "serious delinquency"),
        *("refuse", "rechazado", "rejeitado", "recusado", "rifiutato", "odrzucony", "afgewezen", "moroso", "impaye"),
        *("gekundigt", "unbezahlt", "nicht bezahlt"),
    ),
    _LATE: (
        "verspatet",
        "in verzug",
        "im verzug",
        "uberfallig",
        "en retard",
        "atrasado",
        "in ritardo",
        "late",
        "overdue",
        "past due",
        "arrears",
        "in arrears",
        "missed",
        "slow",
        "behind",
        "not current",
    ),
    _GRACE: ("in grace period", "grace period", "watch", "watchlist", "watch list", "substandard", "doubtful"),
    _MIDDLE: ("standard", "medium", "medium risk", "average", "moderate", "moderate risk", "middle", "normal risk"),
    _FAIR: ("fair", "acceptable"),
    _GOOD: (
        *("good", "current", "approved", "approve", "accepted", "accept", "granted", "low risk", "very low risk", "ok"),
        *("performing", "on time", "ontime", "timely", "up to date", "clean", "healthy", "satisfactory", "safe"),
        *(
            "regular",
            "prime",
            "no risk",
            "gut",
            "bezahlt",
            "bon",
            "bueno",
            "bom",
            "buono",
            "dobry",
            "solvent",
            "favorable",
        ),
        *("favourable", "in good standing", "good standing", "non defaulter"),
        *("vertragsgemass", "ordnungsgemass", "genehmigt", "bewilligt", "laufend", "accorde", "accepte", "sain"),
        *("aprobado", "al dia", "aprovado", "em dia", "adimplente", "approvato", "regolare", "goedgekeurd"),
    ),
    _BEST: (
        *("paid", "fully paid", "fullypaid", "repaid", "repayed", "paid off", "paidoff", "paid in full", "settled"),
        *(
            "zuruckgezahlt",
            "abbezahlt",
            "getilgt",
            "rembourse",
            "paye",
            "pagado",
            "pago",
            "quitado",
            "pagato",
            "rimborsato",
        ),
        *("very good", "excellent", "best", "strong", "superprime", "super prime", "completed"),
    ),
}
_RANKS = {phrase: rank for rank, phrases in _PHRASES.items() for phrase in phrases}
_DENIALS = {"no", "not", "non", "never", "without", "nicht", "kein", "pas", "sin", "un"}
_FILLERS = {
    "is",
    "was",
    "has",
    "been",
    "the",
    "a",
    "account",
    "loan",
    "status",
    "credit",
    "class",
    "payment",
    "payments",
}
_FILLERS |= {"client", "customer", "borrower", "days", "day", "months", "month", "outcome", "target", "label", "flag"}
_FLAGS = {"0", "1"}


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassOrder:
    """Classes worst first, where that is known; else in any order with `decided` False. `reason` is for a person.

    `counts`: labels of each class; nothing where there are none.
    """

    classes: tuple[str, ...]
    reason: str
    decided: bool = True
    counts: Mapping[str, int] = field(default_factory=dict)

    @property
    def orders(self) -> tuple[tuple[str, ...], ...]:
        """The order, or the two to choose from."""
        return (self.classes,) if self.decided else (self.classes, self.classes[::-1])


def order_classes(counts: Mapping[str, int], hints: Sequence[str] = ()) -> ClassOrder:
    """Order the classes found, each with its count. `hints` are names around the labels, such as a column's name."""
    found = sorted(counts, key=_by_value)
    ranks = {name: _rank(name) for name in found}
    known = {name: rank for name, rank in ranks.items() if rank is not None}
    if len(known) == len(found) > 1 and len(set(known.values())) == len(found):
        listed = tuple(sorted(found, key=lambda name: known[name]))
        return ClassOrder(classes=listed, reason="by what the words mean")
    values = {class_value(name): name for name in found}
    if set(values) == _FLAGS:
        return _flags(values["0"], values["1"], counts, hints)
    return ClassOrder(classes=tuple(found), decided=False, reason="their names do not say which one is worse")


def _flags(zero: str, one: str, counts: Mapping[str, int], hints: Sequence[str]) -> ClassOrder:
    """Order 0 and 1: a name that says what 1 stands for decides; else 1 is worse where it is the rarer one."""
    for hint in hints:
        worse = _hint(hint)
        if worse is not None:
            order = (one, zero) if worse else (zero, one)
            return ClassOrder(classes=order, reason=f'"{hint}" says what {one} means')
    share = counts[one] / max(counts[one] + counts[zero], 1)
    if share < 0.5:
        why = f"{one} is the rarer one ({share:.1%}), as defaults are, and no name says otherwise"
        return ClassOrder(classes=(one, zero), reason=why)
    why = f"{one} is not the rarer one ({share:.1%}), and no name says which is worse"
    return ClassOrder(classes=(zero, one), decided=False, reason=why)


def _hint(name: str) -> bool | None:
    """Tell whether what a name such as `is_default` or `loan_paid_back` states is bad; None where it does not say."""
    whole = _rank(name)
    ranks = {whole} if whole is not None else {_rank_of([word]) for word in words(name)} - {None}
    denied = whole is None and bool(_DENIALS & set(words(name)))
    bad = {rank < _MIDDLE for rank in ranks if rank is not None and rank != _MIDDLE}
    return bad.pop() if len(bad) == 1 and not denied else None


def _by_value(name: str) -> tuple[int, float, str]:
    try:
        return (0, float(name), name)
    except ValueError:
        return (1, 0.0, name)


def _rank(name: str) -> float | None:
    """Place a name between the worst and the best, None where its words are not known; more days late are worse."""
    found = words(name)
    numbers = [int(word) for word in found if word.isdecimal() and len(word) < 10]
    said = [word for word in found if not word.isdecimal()]
    rank = _rank_of(said)
    if rank is None:
        rank = _rank_of([word for word in said if word not in _FILLERS])
    if rank is None or not numbers:
        return rank
    return rank - min(numbers[0], 10_000) / 100_000 if rank < _MIDDLE else None


def _rank_of(said: Sequence[str]) -> float | None:
    phrase = " ".join(said)
    if phrase in _RANKS:
        return float(_RANKS[phrase])
    denied = said and said[0] in _DENIALS
    rank = _RANKS.get(" ".join(said[1:])) if denied else None
    if rank is None or rank == _MIDDLE:
        return None
    return float(_GOOD if rank < _MIDDLE else _POOR)
