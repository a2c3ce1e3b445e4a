"""``clv api``: the HTTP API and the dashboard."""

from __future__ import annotations


def command() -> None:
    """Serve API and dashboard on CLV_API_HOST and CLV_API_PORT (http://127.0.0.1:8000/) from the database.

    Example:
        CLV_API_PORT=8080 clv api
    """
    from api.main import serve
    from clv.settings import Settings

    serve(Settings.from_env())
