"""``/widget/``: the script of ``<winnow-search>`` in one piece, with its hash and its integrity value.

The modules of ``web/widget`` are joined when the service starts: no build step, and no file that is older than its
sources. They keep to a form that a join of lines can rely on, which a test checks: an import is one line and names what
a module of the same folder exports by ``export`` before a declaration; no two modules declare one name.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

from fastapi import FastAPI, Request, Response

from service.wire import json_response

FOLDER: Final = Path(__file__).parent.parent / "web" / "widget"
# in the order of their imports
MODULES: Final = (
    *("strings", "style", "dom", "links", "client", "results", "view"),
    *("request", "events", "answers", "keys", "element"),
)
NAME: Final = "v1"
_COMMENT: Final = re.compile(r"^[ ]*/\*\*.*?\*/\n|^[ ]*//[^\n]*\n", re.DOTALL | re.MULTILINE)
_CAST: Final = re.compile(r"/\*\* @\w[^*]*\*/ ?")
_IMPORT: Final = re.compile(r"^import \{[^}\n]+\} from \"\./\w+\.js\";\n", re.MULTILINE)
_HOUR: Final = "public, max-age=3600"
_YEAR: Final = "public, max-age=31536000, immutable"
_TYPE: Final = "text/javascript; charset=utf-8"


@dataclass(frozen=True)
class Widget:
    """The script: its text, the same packed by gzip, and what names it.

    Attributes:
        digest: the first 16 hexadecimal digits of SHA-256, which are in the name of the file that never changes.
        integrity: the value of a script's attribute ``integrity`` (https://www.w3.org/TR/SRI/).
    """

    script: bytes
    packed: bytes
    digest: str
    integrity: str

    @property
    def file(self) -> str:
        """The name of the file that never changes: ``v1.<hash>.js``."""
        return f"{NAME}.{self.digest}.js"

    def markup(self, address: str, collection: str) -> str:
        """The lines of HTML for a page of another site; ``address`` of the service, without a slash at its end."""
        source = f'src="{address}/widget/{self.file}" integrity="{self.integrity}" crossorigin'
        element = f'<winnow-search endpoint="{address}" collection="{collection}"></winnow-search>'
        return f'<script type="module" {source}></script>\n{element}'


@cache
def widget() -> Widget:
    """The script of this version."""
    text = "".join(_stripped((FOLDER / f"{name}.js").read_text("utf-8")) for name in MODULES)
    script = f"/*! <winnow-search>, Apache-2.0 */\n{text}".encode()
    integrity = "sha384-" + base64.b64encode(hashlib.sha384(script).digest()).decode()
    return Widget(script, gzip.compress(script, 9, mtime=0), hashlib.sha256(script).hexdigest()[:16], integrity)


def _stripped(source: str) -> str:
    """A module without its imports, comments and indentation, its exports as plain declarations."""
    bare = _CAST.sub("", _COMMENT.sub("", _IMPORT.sub("", source)))
    lines = (line.strip().removeprefix("export ") for line in bare.splitlines())
    return "".join(f"{line}\n" for line in lines if line)


def install_widget(app: FastAPI) -> None:
    """Serve ``/widget/v1.js``, ``/widget/v1.<hash>.js``, and ``/widget/v1.json``, which says how to embed them."""
    known = widget()

    async def newest(request: Request) -> Response:
        return _script(request, known, _HOUR)

    async def fixed(request: Request) -> Response:
        return _script(request, known, _YEAR)

    async def about(request: Request) -> Response:
        address = str(request.base_url).rstrip("/")
        facts = {
            "script": f"{address}/widget/{NAME}.js",
            "fixed": f"{address}/widget/{known.file}",
            "integrity": known.integrity,
            "bytes": len(known.script),
            "gzip_bytes": len(known.packed),
            "html": known.markup(address, "NAME"),
        }
        response = json_response(facts)
        response.headers.update(_headers(_HOUR))
        return response

    for path, endpoint in ((f"{NAME}.js", newest), (known.file, fixed), (f"{NAME}.json", about)):
        app.add_api_route(f"/widget/{path}", endpoint, methods=["GET", "HEAD"], include_in_schema=False)


def _headers(cached: str) -> dict[str, str]:
    return {"Cache-Control": cached, "Access-Control-Allow-Origin": "*", "X-Content-Type-Options": "nosniff"}


def _script(request: Request, known: Widget, cached: str) -> Response:
    """The script, packed for who takes that; 304 where the browser has it."""
    packs = "gzip" in request.headers.get("accept-encoding", "")
    etag = f'"{known.digest}{"-gzip" if packs else ""}"'
    headers = {**_headers(cached), "ETag": etag, "Vary": "Accept-Encoding"}
    if etag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    if packs:
        return Response(known.packed, headers={**headers, "Content-Encoding": "gzip"}, media_type=_TYPE)
    return Response(known.script, headers=headers, media_type=_TYPE)
