"""The dashboard: static files of this package, and nothing else from the disk."""

from __future__ import annotations

from pathlib import Path

from fastapi import APIRouter, FastAPI
from fastapi.responses import FileResponse
from starlette.staticfiles import StaticFiles

FOLDER = Path(__file__).parents[1] / "dashboard"
router = APIRouter(include_in_schema=False)


@router.get("/")
def index() -> FileResponse:
    """Give the dashboard's one page."""
    return FileResponse(FOLDER / "index.html", media_type="text/html; charset=utf-8")


def serve_files(app: FastAPI) -> None:
    """Let the app give out the dashboard's scripts, styles and pictures."""
    app.mount("/static", StaticFiles(directory=FOLDER), name="static")
