"""/docs: the OpenAPI document as one page of plain HTML. No script, nothing from elsewhere, so it works offline."""

import json
from collections.abc import Iterator
from html import escape
from typing import Any

from api.problems import PROBLEMS, status_of
from scoring.message import CODES

Json = dict[str, Any]
_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; color: #1a1a1a }
h2 { margin-top: 2.5rem; border-top: 1px solid #ccc; padding-top: 1rem }
code, pre { font: 14px/1.45 ui-monospace, monospace }
pre { background: #f5f5f3; padding: .8rem; overflow-x: auto; border-radius: 4px }
table { border-collapse: collapse; width: 100% }
th, td { text-align: left; vertical-align: top; padding: .3rem .8rem .3rem 0; border-bottom: 1px solid #ddd }
.method { font-weight: 700; color: #05507a }
.note { color: #555 }
:target { background: #fff3bf }
"""


def docs_html(document: Json) -> str:
    """Render an OpenAPI document made by `api.openapi`."""
    info = document["info"]
    body = [
        f"<h1>{escape(info['title'])}</h1>",
        f"<p>{escape(info['description'])}</p>",
        f'<p class="note">Bundle {escape(info["version"])}; as JSON: <a href="/openapi.json">/openapi.json</a></p>',
        *[part for path, item in document["paths"].items() for part in _path(path, item)],
        "<h2>An application</h2>",
        *_fields(document["components"]["schemas"]["Application"]),
        *_codes(),
    ]
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(info['title'])}</title><style>{_STYLE}</style>{''.join(body)}</html>"
    )


def _path(path: str, item: Json) -> Iterator[str]:
    for method, operation in item.items():
        yield f'<h2><span class="method">{method.upper()}</span> <code>{escape(path)}</code></h2>'
        key = "Needs an API key." if operation["security"] else "Needs no key."
        yield f"<p>{escape(operation['summary'])}. {key}</p>"
        if "requestBody" in operation:
            example = operation["requestBody"]["content"]["application/json"]["example"]
            yield f"<p>Body</p><pre>{_pretty(example)}</pre>"
        answer = next(iter(operation["responses"]["200"]["content"].values())).get("example")
        if answer is not None:
            yield f"<p>Answer</p><pre>{_pretty(answer)}</pre>"


def _fields(schema: Json) -> Iterator[str]:
    """Render the members of an application: first its own, then its attributes, then those of an event."""
    members = schema["properties"]
    yield from _table({n: s for n, s in members.items() if n not in ("attributes", "events")}, schema)
    yield "<h3>attributes</h3>"
    yield from _table(members["attributes"]["properties"], members["attributes"])
    yield "<h3>each of events</h3>"
    yield from _table(members["events"]["items"]["properties"], members["events"]["items"])


def _table(members: Json, owner: Json) -> Iterator[str]:
    yield "<table><tr><th>member</th><th>required</th><th>meaning</th></tr>"
    for name, schema in members.items():
        required = "yes" if name in owner.get("required", ()) else ""
        yield f"<tr><td><code>{escape(name)}</code></td><td>{required}</td>"
        yield f"<td>{escape(schema.get('description', ''))}</td></tr>"
    yield "</table>"


def _codes() -> Iterator[str]:
    yield "<h2>Problems</h2><p>Errors are problem details (RFC 9457). <code>code</code> is one of this closed list; "
    yield "<code>pointer</code> names the field. A value of the request is never repeated.</p>"
    yield "<table><tr><th>code</th><th>status</th><th>what is expected</th></tr>"
    for code, status, remedy in problem_rows():
        yield f'<tr id="{escape(code)}"><td><code>{escape(code)}</code></td><td>{status}</td>'
        yield f"<td>{escape(remedy)}</td></tr>"
    yield "</table>"


_NOT_HERE = {"application_id_repeated", "message_tombstone"}  # of files, and of topics


def problem_rows() -> list[tuple[str, int, str]]:
    """List every code: those of the door, then those of applications."""
    door = [(code, kind.status, kind.remedy) for code, kind in PROBLEMS.items()]
    own = [(code, status_of(code), expected) for code, expected in CODES.items() if code not in {*_NOT_HERE, *PROBLEMS}]
    return door + own


def _pretty(value: object) -> str:
    return escape(json.dumps(value, indent=2, ensure_ascii=False))
