"""The processes of one machine, before any is started."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from cli.topology import Topology
from clv.errors import ConfigError
from clv.settings import Settings

if TYPE_CHECKING:
    from pathlib import Path


def _ports(settings: Settings, workers: int) -> dict[str, int]:
    topology = Topology(settings, workers=workers)
    return {role.name: Settings.from_env(_own(role._environ)).metrics_port for role in topology._make_roles()}


def _own(environ: dict[str, str]) -> dict[str, str]:
    return {name: text for name, text in environ.items() if name.startswith("CLV_")}


def test_each_process_has_a_metrics_port_of_its_own(tmp_path: Path) -> None:
    """From the one that is set on, workers first; the API has its figures on its own port."""
    settings = Settings(data_dir=tmp_path, broker="kafka:9092", metrics_port=9464)

    assert _ports(settings, 2) == {
        "worker-1": 9464, "worker-2": 9465, "sink": 9466, "trainer": 9467, "ads": 9468, "api": 0,
    }  # fmt: skip


def test_without_a_port_no_process_has_one(tmp_path: Path) -> None:
    """None is made up."""
    assert set(_ports(Settings(data_dir=tmp_path), 1).values()) == {0}


def test_ports_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    """The last process's port must be one."""
    with pytest.raises(ConfigError, match="CLV_METRICS_PORT is 65533"):
        _ports(Settings(data_dir=tmp_path, metrics_port=65_533), 1)
