"""Composition root of the worker; the one module with an application at import, for ``faust -A streams.worker``."""

from __future__ import annotations

import sys

import uvloop
from faust import Worker

from clv.settings import Settings
from streams.app import create_app

app = create_app(Settings.from_env())


def run() -> None:
    """Run the worker in the foreground until it is told to stop; logging stays as the caller set it up.

    Raises
    ------
    SystemExit
        Always, with the exit status.
    """
    uvloop.install()
    worker = Worker(
        app,
        redirect_stdouts=False,
        logging_config={"version": 1, "disable_existing_loggers": False, "incremental": True},
        quiet=True,
    )
    worker.execute_from_commandline()
    sys.exit(0)


if __name__ == "__main__":
    run()
