"""What jobs ask a cluster for, against what was measured."""

import csv
import subprocess
import sys
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
import yaml

from formerbench import allocation
from formerbench.config import Study, load_config
from formerbench.data.registry import find
from formerbench.grid import cells
from formerbench.measurements import measurements
from formerbench.models import MODELS, NAIVE, all_options, option_names

from ..conftest import make_cell
from ..project import REPOSITORY

LEARNING = [name for name in MODELS if name not in NAIVE]
WIDE = [name for name in LEARNING if "d_model" in option_names(name)]


def sizes(cell, entry=None, attempt=1):
    entry = entry or find("ETTh1")
    asked = allocation.cell_memory_mb(cell, entry, attempt), allocation.cell_runtime_min(cell, entry, attempt)
    assert all(isinstance(number, int) for number in asked)
    return asked


def cell_of(model, **changes):
    changes = {"device": "cpu", "lookback": 96, **changes}
    return make_cell(
        model=model, build_name=model, dataset="ETTh1", options=all_options(model, {}), **changes
    )


def never_falls(asked):
    return all(a <= b for first, second in pairwise(asked) for a, b in zip(first, second, strict=True))


@pytest.mark.parametrize("model", LEARNING)
def test_more_to_do_asks_for_more(model):
    by_lookback = [sizes(cell_of(model, lookback=lookback)) for lookback in (48, 96, 336, 720, 2000)]
    by_attempt = [sizes(cell_of(model), attempt=attempt) for attempt in (1, 2, 3)]
    assert never_falls(by_lookback)
    assert by_lookback[0][0] < by_lookback[-1][0]
    assert never_falls(by_attempt)
    assert by_attempt[1][0] == pytest.approx(2 * by_attempt[0][0], abs=1)


@pytest.mark.parametrize("model", WIDE)
def test_a_wider_model_asks_for_more(model):
    wide = [cell_of(model) for _ in range(3)]
    asked = [
        sizes(replace(cell, options=cell.options | {"d_model": d_model}))
        for cell, d_model in zip(wide, (16, 64, 512), strict=True)
    ]
    assert never_falls(asked)
    assert asked[0][0] < asked[-1][0]


def test_a_budget_shortens_the_time():
    whole = cell_of("patchtst")
    short = replace(whole, training=replace(whole.training, max_steps=100, epochs=100))
    seconds = replace(whole, training=replace(whole.training, max_seconds=1.0))
    assert sizes(short)[1] < sizes(replace(whole, training=replace(whole.training, epochs=100)))[1]
    assert sizes(seconds)[1] <= sizes(whole)[1]


def test_only_cuda_cells_ask_for_a_gpu():
    assert [allocation.gpus(device) for device in ("cpu", "cuda")] == [0, 1]
    narrow, wide = (cell_of("tft", device="cuda", lookback=lookback) for lookback in (96, 720))
    assert sizes(narrow)[0] == sizes(wide)[0], "the node's memory does not hold what is on the GPU"


def test_the_inside_is_shown_on_the_cpu_in_less_than_the_training():
    """Of 862 variates fewer windows test the quantiles, so that they fit into the time."""
    cell = replace(cell_of("tft", device="cuda"), dataset="Traffic")
    entry = find("Traffic")
    assert allocation.inside_memory_mb(cell, entry) == sizes(replace(cell, device="cpu"), entry)[0]
    assert allocation.START_MIN < allocation.inside_runtime_min(cell, entry) < 60
    assert allocation.inside_runtime_min(cell, entry, 2) > 1.9 * allocation.inside_runtime_min(cell, entry)


@pytest.mark.parametrize("config", ["paper", "config", "quick"])
def test_cells_of_the_shipped_studies_ask_for_what_clusters_have(config):
    entries = {}
    for cell in cells(load_config(REPOSITORY / f"config/{config}.yaml")):
        entry = entries.setdefault(cell.dataset, find(cell.dataset))
        memory, minutes = sizes(cell, entry)
        assert allocation.BASE_MB <= memory <= allocation.MOST_MB
        assert allocation.START_MIN < minutes <= allocation.MOST_MIN
        if config == "paper":
            assert memory <= 32_000, cell


def measured():
    """Training steps of whole models in the reference tables that ended well."""
    with (REPOSITORY / "results/reference/scaling.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["experiment"] != "mechanism"]
    return [row for row in rows if row["phase"] == "train_step" and row["status"] == "ok" and row["time_ms"]]


def step_of(row):
    known = set(option_names(row["subject"])) & {"d_model", "n_heads", "d_ff", "layers"}
    switch, _, value = row["variant"].partition("=")
    options = {key: int(row[key]) for key in known if row[key]} | ({switch: value} if value else {})
    shape = [int(row[key]) for key in ("lookback", "horizon", "n_variates", "batch_size")]
    return allocation.step(row["subject"], all_options(row["subject"], options), *shape)


def test_every_measured_step_fits_into_what_is_asked_for():
    rows = measured()
    assert len(rows) > 100
    for row in rows:
        step = step_of(row)
        seconds = allocation.STEP_S + step.flops / (allocation.FLOPS_PER_THREAD * int(row["threads"]))
        assert seconds > float(row["time_ms"]) / 1e3, row
        if row["peak_memory_mb"]:
            needed = float(row["peak_memory_mb"]) + float(row["baseline_mb"])
            assert allocation.BASE_MB + step.memory_mb > 2 * needed, row


def test_a_measurement_gets_its_budgets():
    study = Study.from_config(yaml.safe_load((REPOSITORY / "config/scaling.yaml").read_text()))
    for one in measurements(study):
        budget = one.limits["memory_mb"] if one.limits else one.memory_budget_mb
        assert allocation.measurement_memory_mb(one) > 1.2 * budget
        assert allocation.measurement_runtime_min(one) > len(one.phases) * one.time_budget_s / 60
        assert allocation.measurement_memory_mb(one, 2) == 2 * allocation.measurement_memory_mb(one)
        on_gpu = replace(one, work=replace(one.work, device="cuda"))
        assert allocation.measurement_memory_mb(on_gpu) == allocation.GPU_HOST_MB


def test_a_file_of_the_users_own_counts_by_its_size(tmp_path):
    small, large, missing = (tmp_path / name for name in ("small.csv", "large.csv", "missing.csv"))
    row = "2021-01-01,1.5,2.5\n"
    small.write_text("date,a,b\n" + row * 400)
    large.write_text("date,a,b\n" + row * 40_000)
    asked = [
        sizes(cell_of("patchtst"), find({"name": path.stem, "path": str(path)}))
        for path in (small, large, missing)
    ]
    assert asked[0][1] < asked[1][1]
    assert asked[2][0] >= allocation.BASE_MB


def test_it_imports_neither_torch_nor_pandas():
    code = "import formerbench.allocation, sys; print([m for m in ('torch', 'pandas') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]", done.stderr


def test_the_readme_of_config_explains_every_key_of_the_profiles():
    text = (REPOSITORY / "config/README.md").read_text()
    for profile in sorted(Path(REPOSITORY, "profiles").glob("*/profile.yaml")):
        keys = yaml.safe_load(profile.read_text())
        missing = [key for key in keys if f"`{key}" not in text]
        assert not missing, f"config/README.md says nothing of {missing} ({profile.parent.name} profile)"
        lines = profile.read_text().splitlines()
        bare = [
            line
            for before, line in pairwise(lines)
            if not line.startswith(("#", " ")) and not before.startswith("#")
        ]
        assert not bare, f"{profile}: no comment above {bare}"


def test_an_estimate_of_rows_refuses_no_file(tmp_path):
    file = tmp_path / "mine.csv"
    file.write_text("date,load\n" + "2016-07-01,5\n" * 120)
    own = {"name": "mine", "path": str(file), "season": 12}
    for split in ({"train": 80, "val": 20, "test": 20}, {"train": 8000, "val": 20, "test": 20}):
        memory, minutes = sizes(cell_of("dlinear"), find(own | {"split": split}))
        assert memory > 0
        assert minutes > 0


@pytest.mark.parametrize("options", [{"d_model": "auto"}, {"layers": 0}, {"n_heads": "x"}, {"d_model": 64}])
def test_options_of_a_class_of_the_users_mean_anything(options):
    cell = replace(cell_of("dlinear"), build_name="mine:Net", model="net", options=options)
    assert min(sizes(cell)) > 0
