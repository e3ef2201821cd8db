"""Flags made from the settings of a service, so that flags, environment, file and documentation are one table."""

import inspect
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, get_args, get_type_hints

import typer
from pydantic.fields import FieldInfo

from features.errors import SettingsError
from stream.settings.settings import FILE_VARIABLE, PREFIX, ConnectionSettings, load_settings

_FILE_HELP = f"TOML file with settings, which flags and the environment go before. ({FILE_VARIABLE})"


def takes_settings(command: Callable[..., None]) -> Callable[..., None]:
    """Replace the parameter `settings` of a command by one flag per setting of its type, and `--settings FILE`."""
    hints = get_type_hints(command, include_extras=True)
    kind: type[ConnectionSettings] = hints["settings"]
    fields = kind.model_fields

    def with_flags(**values: Any) -> None:
        file = values.pop("settings")
        flags = {name: values.pop(name) for name in fields}
        flags["client"] = _pairs(flags["client"])
        command(settings=load_settings(kind, flags, file), **values)

    own = [p for p in inspect.signature(command).parameters.values() if p.name != "settings"]
    flags = [_flag(name, field) for name, field in fields.items()]
    file = _parameter(
        "settings", Annotated[Path | None, typer.Option("--settings", help=_FILE_HELP, show_default=False)]
    )
    parameters = [*(p.replace(annotation=hints[p.name]) for p in own), *flags, file]
    with_flags.__name__, with_flags.__doc__ = command.__name__, command.__doc__
    with_flags.__annotations__ = {p.name: p.annotation for p in parameters}
    with_flags.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    return with_flags


def _parameter(name: str, annotation: Any) -> inspect.Parameter:
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation)


def _flag(name: str, field: FieldInfo) -> inspect.Parameter:
    default = f"; default: {field.default}" if isinstance(field.default, (str, int, float)) and field.default else ""
    text = f"{field.description} ({PREFIX}{name.upper()}{default})"
    option = typer.Option(f"--{name.replace('_', '-')}", help=text, show_default=False)
    return _parameter(name, Annotated[_flag_type(field.annotation) | None, option])


def _flag_type(annotation: Any) -> Any:
    kinds = (
        [a for a in get_args(annotation) if a is not type(None)] if isinstance(annotation, UnionType) else [annotation]
    )
    kind = kinds[0]
    return kind if isinstance(kind, type) and issubclass(kind, (str, int, float, Path, StrEnum)) else list[str]


def _pairs(given: list[str] | None) -> dict[str, str] | None:
    for text in given or ():
        if "=" not in text:
            raise SettingsError("--client: expected NAME=VALUE, such as --client security.protocol=SASL_SSL.")
    return dict(text.split("=", 1) for text in given) if given else None
