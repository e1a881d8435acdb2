"""``/``: the search page; ``/llms.txt``: the service described for language models (https://llmstxt.org)."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from fastapi import FastAPI
from fastapi.responses import FileResponse, Response
from fastapi.staticfiles import StaticFiles

WEB: Final = Path(__file__).parent.parent / "web"
_HEADERS: Final = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
        "connect-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    ),
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}


class _Files(StaticFiles):
    """Files that a browser asks about before it uses them again, so that an upgrade never mixes two versions."""

    def file_response(self, *args: Any, **kwargs: Any) -> Response:
        response = super().file_response(*args, **kwargs)
        response.headers["Cache-Control"] = "no-cache"
        return response


def install_page(app: FastAPI, folder: Path = WEB) -> None:
    """Serve the search page and its files, where they are installed."""

    async def page() -> FileResponse:
        return FileResponse(folder / "index.html", headers=_HEADERS)

    if (folder / "index.html").is_file():
        app.add_api_route("/", page, methods=["GET", "HEAD"], include_in_schema=False)

    async def for_assistants() -> FileResponse:
        return FileResponse(folder / "llms.txt", media_type="text/plain; charset=utf-8")

    if (folder / "llms.txt").is_file():
        app.add_api_route("/llms.txt", for_assistants, methods=["GET", "HEAD"], include_in_schema=False)
    for name in ("static", "widget"):  # the page imports the modules of the element, which other sites get in one piece
        if (folder / name).is_dir():
            app.mount(f"/{name}", _Files(directory=folder / name), name=name)
