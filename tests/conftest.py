"""What several folders of tests share: a small series of known make, and a small finished study."""

import threading
from dataclasses import replace

import numpy as np
import pytest
import torch

from formerbench.data import transport
from formerbench.data.series import Series
from formerbench.grid import Cell, Training

from .project import Project
from .web import Server

# Models in tests are tiny; more threads would only wait for each other.
torch.set_num_threads(1)


def make_series(rows: int = 600, variates: int = 3, season: int = 12, seed: int = 0) -> Series:
    """Hourly sines of one season plus noise, different in level and size by variate; 60/20/20 splits."""
    rng = np.random.default_rng(seed)
    time = np.arange(rows)[:, None]
    level, size = 10.0 * np.arange(variates), 1.0 + np.arange(variates)
    values = level + size * (
        np.sin(2 * np.pi * time / season + np.arange(variates)) + rng.normal(0, 0.3, (rows, variates))
    )
    train, val = int(0.6 * rows), int(0.8 * rows)
    return Series(
        name="toy",
        values=values.astype(np.float32),
        timestamps=np.datetime64("2020-01-01", "s") + np.arange(rows) * np.timedelta64(3600, "s"),
        columns=tuple(f"v{i}" for i in range(variates)),
        splits={"train": (0, train), "val": (train, val), "test": (val, rows)},
        season=season,
        target=f"v{variates - 1}",
        entities=np.arange(variates),
        sha256="0" * 64,
        facts={},
    )


TRAINING = Training(batch_size=16, learning_rate=0.003, schedule="type1", epochs=6, patience=6)


def make_cell(**changes) -> Cell:
    """A tiny PatchTST on the toy series, with ``changes``."""
    options = {"patch_len": 8, "stride": 4, "d_model": 16, "n_heads": 2, "d_ff": 16, "layers": 2}
    cell = Cell(
        study="s",
        dataset="toy",
        model="patchtst",
        lookback=24,
        horizon=8,
        seed=1,
        device="cpu",
        precision="fp32",
        build_name="patchtst",
        options=options,
        training=TRAINING,
        threads=1,
        timed=True,
        skip=None,
    )
    return replace(cell, **changes)


@pytest.fixture
def series() -> Series:
    return make_series()


@pytest.fixture(scope="session")
def finished(tmp_path_factory) -> Project:
    """The tiny study, run to the end once; tests that change it take a copy by ``project``."""
    project = Project(tmp_path_factory.mktemp("project"))
    project.output = project.snakemake()
    return project


@pytest.fixture
def project(finished, tmp_path) -> Project:
    """A copy of the finished study that a test may change."""
    return finished.copy(tmp_path / "project")


@pytest.fixture
def server() -> Server:
    """A web server on this machine; see :mod:`tests.web`."""
    with Server() as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield running
        running.shutdown()
        thread.join()


@pytest.fixture
def quick_and_alone(monkeypatch, tmp_path):
    """Downloads wait for nothing, and know no mirror, proxy and cache but the test's own."""
    monkeypatch.setattr(transport, "FIRST_WAIT_S", 0.001)
    monkeypatch.delenv("FORMERBENCH_MIRROR", raising=False)
    monkeypatch.setenv("FORMERBENCH_CACHE", str(tmp_path / "cache"))
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
