"""A folder of two bundles with a link, as a lender has it, and what each of them says to some applications."""

import itertools
import os
import shutil
from dataclasses import dataclass, field
from pathlib import Path

from recipes.dataset import Dataset
from scoring.message.from_tables import to_messages
from scoring.message.message_scorer import MessageScorer
from scoring.scorer import Scorer

_NUMBERS = itertools.count()


@dataclass(frozen=True)
class TwoBundles:
    """`link` leads to one of `folders`; `decisions` are those of each bundle, by its id and the application's."""

    link: Path
    folders: tuple[Path, Path]
    messages: dict[str, bytes]
    decisions: dict[str, dict[str, bytes]] = field(default_factory=dict)

    @classmethod
    def make(cls, folder: Path, first: Path, second: Path, dataset: Dataset, count: int = 300) -> "TwoBundles":
        """Copy both into a folder, with a link to the first."""
        folders = tuple(shutil.copytree(one, folder / one.name) for one in (first, second))
        scorers = [Scorer.open(one) for one in folders]
        spec = scorers[0].bundle.spec
        made = {
            m.application_id or "": m.body for m in to_messages(dataset.applications.head(count), dataset.events, spec)
        }
        two = cls(folder / "current", (folders[0], folders[1]), made)
        for scorer in scorers:
            answers = zip(list(made), MessageScorer(scorer).answer(list(made.values())), strict=True)
            two.decisions[scorer.bundle.bundle_id] = {
                name: answer.decision for name, answer in answers if answer.decision is not None
            }
        one, other = two.decisions.values()
        assert one.keys() == other.keys()
        for refused in made.keys() - one.keys():  # whoever asks wants decisions
            del made[refused]
        two.lead_to(folders[0])
        return two

    def lead_to(self, target: Path) -> None:
        """Let the link lead elsewhere in one step, as `credit bundle promote` does."""
        part = self.link.with_name(f"link-{next(_NUMBERS)}")
        part.symlink_to(os.path.relpath(target, self.link.parent))
        part.replace(self.link)
