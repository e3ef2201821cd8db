"""The settings as a table, which docs/stream.md holds."""

from pydantic.fields import FieldInfo

from stream.settings.settings import PREFIX, ConnectionSettings, StreamSettings


def settings_table(kind: type[ConnectionSettings] = StreamSettings) -> str:
    """Return the settings as a Markdown table; flags are the names with dashes."""
    rows = [
        f"| `{name}` | `--{name.replace('_', '-')}` | `{PREFIX}{name.upper()}` | {_default(field)} | "
        f"{field.description} |"
        for name, field in kind.model_fields.items()
    ]
    head = ["| setting (key of the file) | flag | environment | default | meaning |", "| --- | --- | --- | --- | --- |"]
    return "\n".join([*head, *rows]) + "\n"


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    value = field.get_default(call_default_factory=True, validated_data={})
    if isinstance(value, list):
        value = ",".join(value)
    return "" if value in (None, "", {}) else f"`{value}`"
