"""A command whose import is interrupted."""


def command() -> None:
    """Never run."""


raise KeyboardInterrupt
