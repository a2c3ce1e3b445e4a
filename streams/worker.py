"""Composition root of the worker; the one module with an application at import, for ``faust -A streams.worker``."""

from __future__ import annotations

from faust import Worker

from clv.settings import Settings
from streams import loops
from streams.app import create_app

app = create_app(Settings.from_env())


class CallersLogging(Worker):
    """Faust's worker process, without Faust's logging: that stays as the caller set it up."""

    def _setup_logging(self) -> None:
        self.spinner = None  # it writes to the terminal, or into the first line of a log


def run() -> None:
    """Run the worker in the foreground until it is told to stop.

    Raises
    ------
    BrokerError, ConfigError
        The broker does not let us in, the topics are not as they must be, or the embedded broker has a worker already.
    SystemExit
        Otherwise always, with the exit status.
    """
    app.be_alone()
    app.find_topics()
    loops.install()
    CallersLogging(app, redirect_stdouts=False, quiet=True).execute_from_commandline()


if __name__ == "__main__":
    run()
