"""The tables of docs/rest.md, made from the product; `python -m api.tables` writes them into the page."""

from pathlib import Path

from api.docs_page import problem_rows
from api.settings import Settings

FLAGS = (
    *("bundle", "framework", "host", "port", "workers", "keys", "no_auth", "rate_limit"),
    *("log", "receipts", "pii_key", "history", "challenger", "challenger_share"),
)
PAGE = Path(__file__).parents[1] / "docs/rest.md"


def codes_table() -> str:
    """List every code of a problem."""
    rows = [f"| `{code}` | {status} | {remedy} |" for code, status, remedy in problem_rows()]
    return "\n".join(["| code | status | expected |", "| --- | --- | --- |", *rows])


def settings_table() -> str:
    """List every setting."""
    rows = []
    for name, field in Settings.model_fields.items():
        flag = f"`--{name.replace('_', '-')}`" if name in FLAGS else ""
        default = "" if field.is_required() else _default(field.default)
        rows.append(f"| {flag} | `CREDIT_API_{name.upper()}` | {default} | {field.description} |")
    return "\n".join(["| flag | environment | default | meaning |", "| --- | --- | --- | --- |", *rows])


def _default(value: object) -> str:
    return ",".join(value) if isinstance(value, list) else str(value)


def with_tables(page: str) -> str:
    """Replace what stands behind each mark by the table of that name."""
    for name, table in (("codes", codes_table()), ("settings", settings_table())):
        before, _, rest = page.partition(f"<!-- {name} -->\n")
        _, _, after = rest.partition("\n## ")
        page = f"{before}<!-- {name} -->\n\n{table}\n\n## {after}"
    return page


if __name__ == "__main__":
    PAGE.write_text(with_tables(PAGE.read_text()))
