"""``/``: the search page; ``/analytics``: what visitors do; ``/llms.txt``: for language models (https://llmstxt.org)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final

from fastapi import FastAPI
from fastapi.responses import FileResponse, Response
from fastapi.staticfiles import StaticFiles

WEB: Final = Path(__file__).parent.parent / "web"
_PAGES: Final = {"/": "index.html", "/analytics": "analytics.html"}
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


def _page(file: Path) -> Callable[[], Awaitable[FileResponse]]:
    async def page() -> FileResponse:
        return FileResponse(file, headers=_HEADERS)

    return page


def install_page(app: FastAPI, folder: Path = WEB) -> None:
    """Serve the pages and their files, where they are installed."""
    for path, name in _PAGES.items():
        if (folder / name).is_file():
            app.add_api_route(path, _page(folder / name), methods=["GET", "HEAD"], include_in_schema=False)

    async def for_assistants() -> FileResponse:
        return FileResponse(folder / "llms.txt", media_type="text/plain; charset=utf-8")

    if (folder / "llms.txt").is_file():
        app.add_api_route("/llms.txt", for_assistants, methods=["GET", "HEAD"], include_in_schema=False)
    for name in ("static", "widget"):  # the page imports the modules of the element, which other sites get in one piece
        if (folder / name).is_dir():
            app.mount(f"/{name}", _Files(directory=folder / name), name=name)
