"""A whole study from a user's CSV to the report, and what makes which job run again."""

import csv
import json
import shutil
import time

import psutil
import pytest
import yaml

from formerbench.results import ACCURACY_COLUMNS, MEASURED

from ..project import STUDY, jobs

PAGES = ("index", "accuracy", "scaling", "decision", "claims", "provenance")
CELLS = "results/tiny/accuracy/mine"


def rows(project):
    with (project.root / "results/tiny/tables/accuracy.csv").open() as file:
        return list(csv.DictReader(file))


def test_the_first_run_makes_everything(finished):
    once = dict.fromkeys(("prepare", "describe", "collect", "collect_scaling", "report"), 1)
    assert jobs(finished.output) == {"train": 3, "explain": 2, **once}
    table = rows(finished)
    assert list(table[0]) == list(ACCURACY_COLUMNS)
    assert [(row["model"], row["status"]) for row in table] == [
        ("repeat", "ok"),
        ("dlinear", "ok"),
        ("drift", "ok"),
    ]
    report = finished.root / "results/tiny/report"
    pages = {f"{name}.html" for name in (*PAGES, "dataset-mine", "model-dlinear", "model-drift")}
    assert {page.name for page in report.iterdir()} == pages
    assert f"{float(table[1]['mse']):.3f}" in (report / "index.html").read_text()


def test_a_users_own_model_is_trained_and_stored(finished):
    metrics = json.loads((finished.root / CELLS / "drift/L24_H12/cpu_fp32/seed1/metrics.json").read_text())
    assert (metrics["n_parameters"], metrics["epochs"], metrics["stopped_by"]) == (1, 1, "budget")
    assert metrics["train_time_s"] > 0


def test_every_cell_has_its_three_files_and_no_state(finished):
    for model in ("repeat", "dlinear", "drift"):
        folder = finished.root / CELLS / f"{model}/L24_H12/cpu_fp32/seed1"
        assert {f.name for f in folder.iterdir()} == {"metrics.json", "history.csv", "model.safetensors"}


def test_the_second_run_has_nothing_to_do(finished):
    assert "Nothing to be done" in finished.snakemake()


def write(**changes):
    return lambda project: project.write(STUDY | changes)


def edit(*arguments):
    return lambda project: project.edit(*arguments)


RERUNS = {
    "a new seed": (write(seeds=[1, 2]), {"train": 3, "collect": 1, "report": 1}),
    "a new model": (
        write(models=[*STUDY["models"], "seasonal_naive"]),
        {"train": 1, "collect": 1, "report": 1},
    ),
    "a new lookback": (
        write(lookbacks=[24, 36]),
        {"train": 3, "explain": 2, "collect": 1, "report": 1},
    ),
    "a hyper-parameter of one model": (
        write(settings={"dlinear": {"model": {"kernel": 5}}}),
        {"train": 1, "explain": 1, "collect": 1, "report": 1},
    ),
    "the budget": (
        write(budget={"steps": 6}),
        {"train": 3, "explain": 2, "collect": 1, "report": 1},
    ),
    "the title": (write(title="Other"), {"collect": 1, "report": 1}),
    "code of one model": (
        edit(
            "src/formerbench/models/dlinear.py",
            "return sum(self.parts(batch))",
            "return 1.0 * sum(self.parts(batch))",
        ),
        {"train": 1, "explain": 1, "collect": 1, "report": 1},
    ),
    "the user's own model": (
        edit("my_models.py", "self.scale * slope", "2 * self.scale * slope"),
        {"train": 1, "explain": 1, "collect": 1, "report": 1},
    ),
    "code of all cells": (
        edit("src/formerbench/training_step.py", "set_to_none=True", "set_to_none=False"),
        {"train": 3, "explain": 2, "collect": 1, "report": 1},
    ),
    "a docstring": (edit("src/formerbench/training.py", '"""Training: ', '"""About training: '), {}),
    "a template": (edit("src/formerbench/report/templates/index.html.j2", "</h1>", " </h1>"), {"report": 1}),
    "code of the preparation": (
        edit("src/formerbench/data/prepare.py", "NAMED_CELLS = 3", "NAMED_CELLS = 4"),
        {"prepare": 1, "describe": 1, "train": 3, "explain": 2, "collect": 1, "report": 1},
    ),
    "the data": (
        lambda project: project.write_data(seed=1),
        {"prepare": 1, "describe": 1, "train": 3, "explain": 2, "collect": 1, "report": 1},
    ),
    "what is said of the data": (
        write(datasets=[STUDY["datasets"][0] | {"licence": "mine", "horizons": [12, 24]}]),
        {"describe": 1, "collect": 1, "report": 1},
    ),
    "code of the checks": (
        edit("src/formerbench/data/checks.py", " = 20", " = 21"),
        {"describe": 1, "collect": 1, "report": 1},
    ),
    "the mirror": (write(mirror="/elsewhere"), {}),
}


@pytest.mark.parametrize("what", RERUNS)
def test_what_runs_again(project, what):
    change, expected = RERUNS[what]
    change(project)
    assert project.planned() == expected


def test_removing_a_model_runs_no_cell(project):
    project.write(STUDY | {"models": STUDY["models"][:2]})
    assert project.planned() == {"collect": 1, "report": 1}


@pytest.mark.slow
def test_a_rerun_gives_the_same_rows_but_for_what_is_measured(project):
    before = rows(project)
    project.snakemake("--forcerun", "train")
    for old, new in zip(before, rows(project), strict=True):
        for name in ACCURACY_COLUMNS:
            assert name in MEASURED or old[name] == new[name], name


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"lookbak": [3]}, "error: config: unknown key 'lookbak' (did you mean 'lookbacks'?)"),
        ({"models": ["dliner"]}, "error: unknown model 'dliner' (did you mean 'dlinear'?)"),
    ],
)
def test_a_wrong_config_ends_in_one_line_before_any_job(project, change, message):
    project.write(STUDY | change)
    output = project.snakemake(ok=False)
    assert next(line for line in output.splitlines() if "error" in line.lower()).startswith(message)
    assert "Traceback" not in output


@pytest.mark.slow
def test_timed_cells_run_one_after_another(project):
    """With cores for all of them at once, no timed cell begins before the one before it has ended."""
    output = project.snakemake("--forcerun", "train", "--cores", "4")
    running, most = 0, 0
    for line in output.splitlines():
        running += line.startswith("localrule train") or line.startswith("rule train")
        running -= line.startswith("Finished jobid") and "(Rule: train)" in line
        most = max(most, running)
    assert most == 1


@pytest.mark.slow
def test_parallel_cells_leave_their_times_empty(project):
    project.write(STUDY | {"parallel": True})
    project.snakemake("--cores", "2")
    for row in rows(project):
        assert row["status"] == "ok"
        assert row["train_time_s"] == row["step_time_ms"] == row["inference_time_ms"] == ""
        assert float(row["peak_memory_mb"]) >= 0


@pytest.mark.slow
def test_failed_and_skipped_cells_are_rows(project):
    project.edit("my_models.py", "return batch.past[:, -1:] +", "return float('nan') * batch.past[:, -1:] +")
    project.write(
        STUDY | {"devices": ["cpu", "cuda"], "threads": 1, "models": ["repeat", STUDY["models"][2]]}
    )
    project.snakemake(CUDA_VISIBLE_DEVICES="")
    by_cell = {(row["model"], row["device"]): row for row in rows(project)}
    assert by_cell["repeat", "cpu"]["status"] == "ok"
    assert by_cell["repeat", "cuda"]["status"] == "skipped"
    assert by_cell["repeat", "cuda"]["reason"] == "CUDA_VISIBLE_DEVICES hides every CUDA device"
    assert by_cell["drift", "cpu"]["status"] == "failed"
    assert by_cell["drift", "cpu"]["reason"].startswith("training diverged in epoch 1")
    assert by_cell["drift", "cpu"]["mse"] == ""


@pytest.mark.slow
def test_too_few_threads_fail_with_the_reason(project):
    project.write(STUDY | {"threads": 3, "models": ["repeat"]})
    project.snakemake("--cores", "2")
    (row,) = rows(project)
    assert (row["status"], row["reason"]) == (
        "failed",
        "got 2 threads of the 3 that the config asks for; give more cores",
    )


@pytest.mark.slow
def test_cells_of_a_device_run_once_it_appears(project):
    """The device is a parameter of the job: its absence and its coming back both count as a change."""
    project.write(STUDY | {"devices": ["cuda"], "models": ["repeat"]})
    project.snakemake(CUDA_VISIBLE_DEVICES="")
    assert rows(project)[0]["status"] == "skipped"
    project.edit("src/formerbench/devices.py", 'return "this machine has no CUDA device"', "return None")
    assert project.planned()["train"] == 1


@pytest.mark.slow
def test_a_study_that_was_killed_goes_on_and_ends_with_the_same_rows(project):
    longer = STUDY | {"models": ["dlinear"], "budget": {"steps": 6000}}
    project.write(longer | {"settings": {"dlinear": {"training": {"epochs": 400, "patience": 400}}}})
    project.snakemake()
    whole = rows(project)
    folder = project.root / CELLS / "dlinear/L24_H12/cpu_fp32/seed1"
    shutil.rmtree(project.root / "results")
    running = project.start()
    state = folder / "state/state.json"
    while not (state.exists() and (json.loads(state.read_text())["progress"] or {"epoch": 0})["epoch"] >= 5):
        assert running.poll() is None, "the study ended before it could be killed"
        time.sleep(0.01)
    # Snakemake and its jobs at once, as when a machine goes down.
    for process in [psutil.Process(running.pid), *psutil.Process(running.pid).children(recursive=True)]:
        process.kill()
    running.wait()
    assert state.exists()
    project.snakemake("--unlock")
    output = project.snakemake()
    assert "resumed after epoch" in output
    (before,), (after,) = whole, rows(project)
    assert int(after["attempts"]) == 2
    for name in ACCURACY_COLUMNS:
        assert name in MEASURED or before[name] == after[name], name


def test_a_default_config_is_not_mixed_into_another(project):
    default = yaml.safe_load((project.root / "config/config.yaml").read_text())
    assert len(default["seeds"]) > 1, (
        "the default must differ from the tiny study for this test to mean anything"
    )
    assert project.planned() == {}
