"""Which command lies in which module, imported when the command is called, so that it starts quickly."""

from collections.abc import Iterator, Mapping, MutableMapping
from importlib import import_module
from typing import Any, cast

from typer import Typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_group

from cli.extras import stream_installed

# In the order of a model's life. The words are those of the module, which a test holds.
COMMANDS = {
    "demo": (
        "cli.demo",
        (
            "Make a synthetic lender, train, deploy, score a dirty CSV file, prove and explain the decisions, in a "
            "minute."
        ),
    ),
    "dataset": ("cli.data.dataset", "Make canonical tables and a spec from a public or synthetic data set."),
    "spec": ("cli.data.spec", "Draft a spec for your own data."),
    "check": (
        "cli.data.check",
        (
            "Say what a run would make of these tables: rejects, matches, health of each column; exit 3 if it "
            "would end so."
        ),
    ),
    "train": (
        "cli.train.model",
        (
            "Train, calibrate, choose the policy, evaluate, prove the export, publish; the bundle's folder is "
            "printed last."
        ),
    ),
    "export": (
        "cli.train.model",
        (
            "Take a model trained elsewhere on our feature matrix, worst class first: calibrate, prove the "
            "export, publish."
        ),
    ),
    "policy": ("cli.train.policy", "Show or set the costs by which classes are assigned."),
    "bundle": ("cli.train.bundle", "Show, verify, sign, promote or roll back a bundle."),
    "registry": ("cli.train.registry", "Propose, approve and put back bundles, with a record of who and why."),
    "report": (
        "cli.train.report",
        "Write the model's report: from the bundle, or judged anew on labelled data; with --groups rates by group.",
    ),
    "score": (
        "cli.doors.score",
        "Score applications from files; the cron job. Decisions, rejects and a run manifest are replaced atomically.",
    ),
    "spark": ("cli.spark.spark", "Score applications on an Apache Spark cluster."),
    "serve": (
        "cli.doors.serve",
        "Score applications over HTTP. More settings, and all of these, as CREDIT_API_* in the environment.",
    ),
    "key": ("cli.doors.key", "Make, list or revoke API keys for `credit serve`."),
    "stream": ("cli.doors.stream", "Score applications from Kafka, each exactly once."),
    "history": ("cli.history.history", "Keep customers' account events, so that applications may come without."),
    "verify": (
        "cli.doors.verify",
        "Score your applications at every door, each in a process of its own; exit 7 if one bit differs.",
    ),
    "features": (
        "cli.data.features",
        "Print one application's features, named, with units; or write the matrix of all for a notebook.",
    ),
    "explain": (
        "cli.explain.explain",
        "Print an application's decision, its reasons as the applicant reads them, and what moved it most.",
    ),
    "why-changed": (
        "cli.explain.why_changed",
        "Put each decision that two bundles make differently down to spec, features, model, calibration or policy.",
    ),
    "challenger": (
        "cli.explain.challenger",
        "What a challenger would have decided beside a door, and when to stop.",
    ),
    "evaluate": (
        "cli.explain.evaluate",
        (
            "Compare decisions with what came true: cost, false negatives, AUC, Gini, KS, ROC, calibration, with "
            "intervals."
        ),
    ),
    "log": ("cli.log.log", "The decision log: find receipts, verify its chains, remove what must go."),
    "outcomes": ("cli.log.outcomes", "True outcomes of decisions, beside the decision log."),
    "monitor": (
        "cli.monitor.monitor",
        "Tell whether a model is still fit: drift, expected and realised performance, doors, cut-offs. 8 says alarm.",
    ),
    "replay": (
        "cli.log.replay",
        (
            "Decide receipts again and compare every bit; exit 7 if one differs. With --against, what would "
            "change instead."
        ),
    ),
}


def load_command(name: str) -> Any:
    """Import the module of a command and return the command, or the group of commands, that it defines."""
    module = "cli.doors.no_stream" if name == "stream" and not stream_installed() else COMMANDS[name][0]
    defined = import_module(module).app
    root = Typer()
    root.add_typer(defined, name=name if isinstance(defined.info.help, str) else None)
    return get_group(root).commands[name]


class _Commands(Mapping[str, Any]):
    """The commands by name, each imported when it is asked for."""

    def __init__(self) -> None:
        self._loaded: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:
        if name not in COMMANDS:
            raise KeyError(name)
        if name not in self._loaded:
            self._loaded[name] = load_command(name)
        return self._loaded[name]

    def __iter__(self) -> Iterator[str]:
        return iter(COMMANDS)

    def __len__(self) -> int:
        return len(COMMANDS)


class LazyGroup(TyperGroup):
    """The root command: it knows names and first lines of its commands, and imports only the one that is called."""

    _listing = False

    def __init__(self, **attributes: Any) -> None:
        """Take what Typer found, which is no command: they lie in the table."""
        super().__init__(**{**attributes, "commands": {}})
        self.commands = cast("MutableMapping[str, Any]", _Commands())  # nobody adds to it

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002 - Typer's own signature
        """Return the names in the order of a model's life."""
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ARG002 - Typer's own signature
        """Return a command; for the list of all of them only its name and its first line."""
        if self._listing:
            return TyperCommand(cmd_name, help=COMMANDS[cmd_name][1])
        return self.commands.get(cmd_name)

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Print the help without importing a command."""
        self._listing = True
        super().format_help(ctx, formatter)
