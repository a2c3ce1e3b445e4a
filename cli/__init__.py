"""The ``clv`` command: one thin module a command."""
