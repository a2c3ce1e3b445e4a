"""examples/accuracy.ipynb runs on what ``clv export`` writes, and prints the figures that the product computes."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import nbformat
import numpy as np
import pandas as pd
import pytest
from nbclient import NotebookClient

from cli.main import run
from models.evaluation import tweedie_deviance
from tests.conftest import ROOT
from tests.unit.streams.shop import open_database, shop, store

if TYPE_CHECKING:
    from pathlib import Path

NOTEBOOK = ROOT / "examples" / "accuracy.ipynb"
DAYS = 200


def _notebook() -> Any:
    return nbformat.read(NOTEBOOK, as_version=4)  # type: ignore[no-untyped-call]  # nbformat has no types here


def test_the_notebook_holds_no_outputs() -> None:
    """What is committed is the recipe: no figures of somebody's customers, no diff at each run."""
    cells = _notebook().cells
    assert [cell.outputs for cell in cells if cell.cell_type == "code" and cell.outputs] == []
    assert {cell.execution_count for cell in cells if cell.cell_type == "code"} == {None}


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
def test_the_notebook_prints_the_models_own_errors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run on exported examples, its deviance is that of ``models.evaluation``, in the currency's major unit."""
    for name in ("IPYTHONDIR", "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "MPLCONFIGDIR"):
        monkeypatch.setenv(name, str(tmp_path / name))
    monkeypatch.setenv("CLV_DATA_DIR", str(tmp_path))
    database = open_database(tmp_path)
    store(database, shop(DAYS))
    database.close()
    assert run(["export", "examples", str(tmp_path / "examples.parquet")], {"export": "cli.export"}) == 0

    notebook = _notebook()
    client = NotebookClient(notebook, timeout=60, kernel_name="python3", resources={"metadata": {"path": tmp_path}})
    client.execute()

    printed = [output.text for cell in notebook.cells for output in cell.get("outputs", []) if "text" in output]
    figures = pd.read_csv(io.StringIO(next(text for text in printed if "versus_btyd" in text)), sep=r"\s+")
    examples = shop(DAYS).examples()
    actual = np.array([example.value_minor for example in examples], dtype=np.float64)
    naive = np.array([example.naive_minor for example in examples])
    assert figures["examples"]["naive"] == len(examples) > 100
    assert figures["deviance"]["naive"] == pytest.approx(float(tweedie_deviance(actual, naive).mean()) / 10, abs=1e-5)
    assert figures["ratio"]["naive"] == pytest.approx(naive.sum() / actual.sum(), abs=1e-5)
    pictures = [
        output for cell in notebook.cells for output in cell.get("outputs", []) if "image/png" in output.get("data", {})
    ]
    assert len(pictures) == 2
