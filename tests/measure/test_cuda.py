"""What only a CUDA device can show; skipped where there is none."""

import time

import pytest
import torch

from formerbench.cell import run
from formerbench.grid import Training
from formerbench.measure.clock import StepClock
from formerbench.measure.memory import PeakMemory
from formerbench.measure.sandbox import Sandbox
from formerbench.measure.work import Work

from ..conftest import make_cell, make_series

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="this machine has no CUDA device"),
]


def test_the_clock_waits_for_the_device():
    clock, square = StepClock("cuda"), torch.randn(4096, 4096, device="cuda")
    torch.cuda.synchronize()
    began = time.perf_counter()
    with clock.step():
        for _ in range(50):
            square @ square
    (timed,) = clock.read()
    assert timed == pytest.approx((time.perf_counter() - began) * 1e3, rel=0.2)


def test_the_peak_is_the_allocators():
    memory = PeakMemory("cuda")
    block = torch.empty(100 * 2**20, dtype=torch.uint8, device="cuda")
    del block
    assert memory.mb() == pytest.approx(100, abs=2)
    with memory.left_out():
        torch.empty(300 * 2**20, dtype=torch.uint8, device="cuda")
    assert memory.mb() == pytest.approx(100, abs=2)


@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
def test_a_cell_runs_at_every_precision(tmp_path, precision):
    make_series().save(tmp_path / "data")
    options = {"d_model": 32, "n_heads": 4, "d_ff": 32}
    cell = make_cell(
        model="itransformer",
        build_name="itransformer",
        device="cuda",
        precision=precision,
        options=options,
        training=Training(batch_size=32, learning_rate=1e-3, epochs=2),
    )
    metrics = run(cell, tmp_path / "data", tmp_path / "out", "digest")
    assert metrics["status"] == "ok", metrics["reason"]
    assert metrics["gpu"]
    assert metrics["mse"] < 1.5
    assert min(metrics[name] for name in ("peak_memory_mb", "step_time_ms", "inference_time_ms")) > 0


def test_the_budget_is_the_devices_and_not_the_hosts():
    work = Work(
        subject="itransformer",
        lookback=96,
        horizon=96,
        n_variates=512,
        batch_size=64,
        phase="train_step",
        device="cuda",
        options={"d_model": 256, "n_heads": 8, "d_ff": 1024},
    )
    with Sandbox(memory_budget_mb=20_000, time_budget_s=120) as sandbox:
        enough = sandbox.run(work, seconds=0.2)
    assert enough.status == "ok", enough.reason
    peak_mb = enough.columns["peak_memory_mb"]
    assert peak_mb == pytest.approx(enough.columns["peak_tensor_mb"], rel=0.05)
    assert peak_mb <= enough.columns["peak_reserved_mb"] < 20_000
    with Sandbox(memory_budget_mb=peak_mb / 2, time_budget_s=120) as sandbox:
        short = sandbox.run(work, seconds=0.2)
    assert short.status == "oom", short.reason
