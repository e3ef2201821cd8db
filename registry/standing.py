"""Where a bundle stands: proposed, approved, in service; and which one served before it."""

from dataclasses import dataclass

from registry.ledger import Action, Entry


@dataclass(frozen=True, slots=True)
class Standing:
    """What the ledger says of one bundle. `approved`: the names under which it may serve."""

    proposed: tuple[Entry, ...]
    approved: dict[str, Entry]

    def sentence(self) -> str:
        """Say it in one line."""
        if self.approved:
            return "; ".join(f"approved as {name} by {one.by} on {one.at[:10]}" for name, one in self.approved.items())
        if self.proposed:
            last = self.proposed[-1]
            return f"proposed by {last.by} on {last.at[:10]}, not approved"
        return "not proposed"


def standing(entries: list[Entry], bundle: str) -> Standing:
    """Gather what the entries say of a bundle."""
    own = [one for one in entries if one.bundle == bundle]
    approved = {one.link: one for one in own if one.action is Action.APPROVE}
    return Standing(tuple(one for one in own if one.action is Action.PROPOSE), approved)


def served_before(entries: list[Entry], link: str) -> str | None:
    """Return the bundle that served under a name before the one that does now; None where there was none."""
    served = [one.bundle for one in entries if one.link == link and one.action in {Action.APPROVE, Action.ROLLBACK}]
    return next((bundle for bundle in reversed(served) if bundle != served[-1]), None)
