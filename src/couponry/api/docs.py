"""The API's description as one page that loads nothing from anywhere."""

from collections.abc import Sequence
from html import escape
from typing import Any, Final

import msgspec

from couponry.api.openapi import document

_STYLE: Final = """
body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#1c2430;background:#fff}
h2{margin-top:2.5rem;border-top:1px solid #d5dbe3;padding-top:1rem;font-size:1.1rem}
code,pre{font:14px/1.4 ui-monospace,monospace}pre{background:#f4f6f8;padding:1rem;overflow:auto}
table{border-collapse:collapse;width:100%}
td,th{text-align:left;vertical-align:top;padding:.3rem .6rem;border-bottom:1px solid #e6eaef}
.verb{background:#1f5fbf;color:#fff;border-radius:4px;padding:.1rem .5rem;text-transform:uppercase;font-size:.8rem}
@media(prefers-color-scheme:dark){body{background:#14181e;color:#dfe5ec}pre{background:#1d232b}td,th{border-color:#2c343e}}
"""


def rendered() -> bytes:
    """The whole page."""
    described = document()
    operations = "".join(
        _operation(path, method, one) for path, methods in described["paths"].items() for method, one in methods.items()
    )
    schemas = "".join(_schema(name, schema) for name, schema in described["components"]["schemas"].items())
    page = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Couponry API</title>'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<style>{_STYLE}</style></head><body><h1>Couponry API</h1>"
        '<p>The same for programs: <a href="/openapi.json">openapi.json</a></p>'
        f"{operations}<h1>Schemas</h1>{schemas}</body></html>"
    )
    return page.encode()


def _operation(path: str, method: str, one: dict[str, Any]) -> str:
    title = f'<h2><span class="verb">{escape(method)}</span> <code>{escape(path)}</code></h2><p>{escape(one["summary"])}</p>'
    parameters = [(item["name"], item["in"], item["description"]) for item in one.get("parameters", ())]
    body = _refs(one["requestBody"]) if "requestBody" in one else ""
    responses = [(status, answer["description"], _refs(answer)) for status, answer in one["responses"].items()]
    return (
        title
        + _table(("parameter", "in", "meaning"), parameters)
        + (f"<p>Body: <code>{escape(body)}</code></p>" if body else "")
        + _table(("HTTP", "codes", "body"), responses)
    )


def _table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    if not rows:
        return ""
    lines = ["".join(f"<td>{escape(cell)}</td>" for cell in row) for row in rows]
    return f"<table><tr>{''.join(f'<th>{escape(cell)}</th>' for cell in head)}</tr><tr>{'</tr><tr>'.join(lines)}</tr></table>"


def _schema(name: str, schema: dict[str, Any]) -> str:
    text = msgspec.json.format(msgspec.json.encode(schema), indent=2).decode()
    return f'<h2 id="{escape(name)}"><code>{escape(name)}</code></h2><pre>{escape(text)}</pre>'


def _refs(described: dict[str, Any]) -> str:
    """The names of the schemas that a body may have."""
    schemas = [content["schema"] for content in described.get("content", {}).values()]
    listed = [one for schema in schemas for one in schema.get("anyOf", [schema])]
    return " or ".join(one["$ref"].rpartition("/")[2] if "$ref" in one else str(one.get("type", "")) for one in listed)
