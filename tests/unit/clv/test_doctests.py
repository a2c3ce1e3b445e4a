"""The examples in the core's docstrings run."""

from __future__ import annotations

import doctest
import importlib
import pkgutil

import pytest

import clv

MODULES = ["clv", *(module.name for module in pkgutil.walk_packages(clv.__path__, "clv."))]


@pytest.mark.parametrize("name", MODULES)
def test_examples_run(name: str) -> None:
    """Each example gives what it says."""
    assert doctest.testmod(importlib.import_module(name), raise_on_error=False).failed == 0


def test_examples_are_there() -> None:
    """Most modules show themselves at work."""
    modules = [importlib.import_module(name) for name in MODULES]
    shown = [m.__name__ for m in modules if any(t.examples for t in doctest.DocTestFinder().find(m))]
    assert len(shown) >= 8
