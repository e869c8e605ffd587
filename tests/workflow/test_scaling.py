"""A scaling study from its config to its tables, what makes which job run again, and how it survives."""

import csv
import json

import pytest
import yaml

from formerbench.results import MEASURED, SCALING_AXES, SCALING_COLUMNS

from ..project import REPOSITORY, STUDY, Project, jobs

pytestmark = pytest.mark.slow

SCALING = {
    "study": "tiny",
    "models": ["dlinear", STUDY["models"][2]],
    "threads": 1,
    "scaling": {
        "shape": {"horizon": 4, "n_variates": 2, "batch_size": 2},
        "model": {"d_model": 8, "n_heads": 2},
        "seconds": 0.05,
        "processes": 2,
        "memory_budget_mb": 500,
        "time_budget_s": 60,
        "lookback": {"lookbacks": [32, 64]},
        "longest": {"from": 32, "to": 64, "memory_mb": 500, "step_s": 1},
        "mechanism": {"lookbacks": [32], "mechanisms": ["prob_sparse"]},
        "horizon": {"lookback": 32, "horizons": [2], "batch_sizes": [1]},
        "switches": {"lookbacks": [32], "switches": ["bf16"]},
    },
}
TABLE = "results/tiny/tables/scaling.csv"
ALL = {"profile": 13, "collect_scaling": 1}


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    project = Project(tmp_path_factory.mktemp("scaling"))
    project.write(SCALING)
    project.output = project.snakemake("--cores", "2", TABLE)
    return project


@pytest.fixture
def project(measured, tmp_path):
    return measured.copy(tmp_path / "project")


def rows(project):
    with (project.root / TABLE).open() as file:
        return list(csv.DictReader(file))


def changed(**changes):
    return SCALING | {"scaling": SCALING["scaling"] | changes}


def test_the_first_run_measures_everything(measured):
    assert jobs(measured.output) == {"machine": 2, **ALL}
    table = rows(measured)
    assert list(table[0]) == list(SCALING_COLUMNS)
    assert {row["status"] for row in table} == {"ok"}
    lookback = [row for row in table if row["experiment"] == "lookback"]
    axes = [(row["subject"], row["lookback"], row["phase"]) for row in lookback]
    phases = ("train_step", "inference")
    assert axes == [(m, n, p) for m in ("dlinear", "drift") for n in ("32", "64") for p in phases]
    assert all(float(row["time_ms"]) > 0 for row in table)
    # `drift` has no matrix product.
    assert all((int(row["flops"]) > 0) == (row["subject"] == "dlinear") for row in lookback)
    assert {row["lookback"] for row in table if row["experiment"] == "longest"} == {"64"}


def test_every_repeat_is_kept(measured):
    with (measured.root / "results/tiny/tables/scaling_repeats.csv").open() as file:
        repeats = list(csv.DictReader(file))
    for row in rows(measured):
        own = [one for one in repeats if all(one[axis] == row[axis] for axis in SCALING_AXES)]
        assert len(own) == int(row["repeats"])
        times = sorted(float(one["time_ms"]) for one in own)
        assert times[0] <= float(row["time_ms"]) * 1.001
        assert times[-1] >= float(row["time_ms"]) * 0.999


def test_the_machine_is_described(measured):
    machines = json.loads((measured.root / "results/tiny/tables/machine.json").read_text())
    assert [(m["device"], m["precision"], m["threads"]) for m in machines] == [
        ("cpu", "fp32", 1),
        ("cpu", "bf16", 1),
    ]
    for machine in machines:
        assert machine["flop_per_s"] > 1e8
        assert machine["copy_bytes_per_s"] > 1e8
        assert machine["cores"] >= 1


def test_the_second_run_has_nothing_to_do(measured):
    assert "Nothing to be done" in measured.snakemake(TABLE)


RERUNS = {
    "a new length": (
        lambda p: p.write(changed(lookback={"lookbacks": [32, 64, 96]})),
        {"profile": 2, "collect_scaling": 1},
    ),
    "the memory budget": (lambda p: p.write(changed(memory_budget_mb=400)), ALL),
    "limits of the longest": (
        lambda p: p.write(changed(longest={"from": 32, "to": 64, "memory_mb": 400, "step_s": 1})),
        {"profile": 2, "collect_scaling": 1},
    ),
    "code of one model": (
        lambda p: p.edit(
            "src/formerbench/models/dlinear.py",
            "return sum(self.parts(batch))",
            "return 1.0 * sum(self.parts(batch))",
        ),
        {"profile": 6, "collect_scaling": 1},
    ),
    "code of a mechanism": (
        lambda p: p.edit(
            "src/formerbench/models/layers/prob_sparse.py",
            "_BLOCK, _GPU_BLOCK = 2**19",
            "_BLOCK, _GPU_BLOCK = 2**18",
        ),
        {"profile": 1, "collect_scaling": 1},
    ),
    "code of the instrument": (
        lambda p: p.edit("src/formerbench/measure/stopwatch.py", "_STEADY = 0.02", "_STEADY = 0.03"),
        {"machine": 2, **ALL},
    ),
    "a docstring": (
        lambda p: p.edit("src/formerbench/measure/child.py", '"""One measurement', '"""A measurement'),
        {},
    ),
}


@pytest.mark.parametrize("what", RERUNS)
def test_what_runs_again(project, what):
    change, expected = RERUNS[what]
    change(project)
    assert project.planned(TABLE) == expected


def test_a_rerun_gives_the_same_rows_but_for_what_is_measured(project):
    before = rows(project)
    project.snakemake(TABLE, "--forcerun", "profile")
    for old, new in zip(before, rows(project), strict=True):
        for name in SCALING_COLUMNS:
            assert name in MEASURED or old[name] == new[name], name


def test_a_measurement_that_fails_or_lacks_its_device_is_a_row_beside_the_others(project):
    project.edit(
        "my_models.py",
        "return batch.past[:, -1:] +",
        "raise ValueError('as planned')\n        return batch.past[:, -1:] +",
    )
    project.write(SCALING | {"devices": ["cpu", "cuda"]})
    project.snakemake(TABLE, CUDA_VISIBLE_DEVICES="")
    statuses = {}
    for row in rows(project):
        statuses.setdefault((row["subject"], row["device"]), set()).add((row["status"], row["reason"]))
    assert {status for status, _ in statuses["dlinear", "cpu"]} == {"ok"}
    assert ("failed", "ValueError: as planned") in statuses["drift", "cpu"]
    assert statuses["dlinear", "cuda"] == {("skipped", "CUDA_VISIBLE_DEVICES hides every CUDA device")}


def test_a_slice_of_the_shipped_study(tmp_path):
    """Every model and mechanism at the shipped settings, at one small length."""
    study = yaml.safe_load((REPOSITORY / "config/scaling.yaml").read_text())
    own = {key: study["scaling"][key] for key in ("shape", "model", "memory_budget_mb", "time_budget_s")}
    own |= {"seconds": 0.1, "lookback": {"lookbacks": [100]}, "mechanism": {"lookbacks": [100]}}
    project = Project(tmp_path)
    project.write(study | {"precisions": ["fp32"], "threads": 1, "study": "tiny", "scaling": own})
    project.snakemake("--cores", "2", TABLE)
    table = rows(project)
    assert {(row["status"], row["reason"]) for row in table} == {("ok", "")}
    assert len({row["subject"] for row in table}) == 7 + 9
    assert all(float(row["peak_tensor_mb"]) > 0 for row in table)
