"""Every rule by itself: the real rule on a small input, what it writes, and how it fails."""

import json
import shutil
import threading
from functools import partial
from hashlib import sha256
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest
import yaml
from safetensors import safe_open

from formerbench.data.series import Series

from ..project import STUDY


@pytest.fixture
def served(tmp_path):
    """A folder on a local web server; (folder, address)."""
    folder = tmp_path / "served"
    folder.mkdir()
    quiet = type("Quiet", (SimpleHTTPRequestHandler,), {"log_message": lambda *_: None})
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(quiet, directory=folder))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield folder, f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def registered(project, folder, digest=None):
    """Register the tiny CSV as a data set `tiny`, which a mirror serves from ``folder``."""
    body = (project.root / "mine.csv").read_bytes()
    (folder / "tiny.csv").write_bytes(body)
    registry = project.root / "config/datasets.yaml"
    content = yaml.safe_load(registry.read_text())
    content["datasets"]["tiny"] = {
        "sources": ["https://127.0.0.1:1/tiny.csv"],
        "mirror_path": "tiny.csv",
        "sha256": digest or sha256(body).hexdigest(),
        "bytes": len(body),
        "rows": 400,
        "variates": 2,
        "step": "1h",
        "season": 12,
        "target": "load",
        "horizons": [12],
    }
    registry.write_text(yaml.safe_dump(content, allow_unicode=True))
    project.write(STUDY | {"datasets": ["tiny"], "models": ["repeat"]})


def test_download(project, served, tmp_path):
    folder, address = served
    registered(project, folder)
    target = "results/tiny/data/tiny/raw.csv"
    project.snakemake(target, FORMERBENCH_CACHE=str(tmp_path / "cache"), FORMERBENCH_MIRROR=address)
    assert (project.root / target).read_bytes() == (folder / "tiny.csv").read_bytes()
    assert "registered file from http" in (project.root / "results/tiny/logs/download/tiny.log").read_text()


@pytest.mark.slow
def test_what_makes_a_download_run_again(project, served, tmp_path):
    folder, address = served
    registered(project, folder)
    target = "results/tiny/data/tiny/raw.csv"
    where = {"FORMERBENCH_CACHE": str(tmp_path / "cache"), "FORMERBENCH_MIRROR": address}
    project.snakemake(target, **where)
    registry = project.root / "config/datasets.yaml"
    content = yaml.safe_load(registry.read_text())
    for key, value, expected in (
        ("licence", "mine", {}),
        ("season", 24, {"download": 1}),
        ("defects", ["x"], {}),
        ("sources", ["https://127.0.0.1:1/elsewhere.csv"], {}),
    ):
        content["datasets"]["tiny"][key] = value
        registry.write_text(yaml.safe_dump(content, allow_unicode=True))
        assert project.planned(target) == expected, key
        project.snakemake(target, **where)
    project.edit("src/formerbench/data/transport.py", "ATTEMPTS = 4", "ATTEMPTS = 5")
    assert project.planned(target) == {"download": 1}


def test_download_refuses_a_wrong_file(project, served, tmp_path):
    folder, address = served
    registered(project, folder, digest="0" * 64)
    target = "results/tiny/data/tiny/raw.csv"
    project.snakemake(target, ok=False, FORMERBENCH_CACHE=str(tmp_path / "cache"), FORMERBENCH_MIRROR=address)
    assert not (project.root / target).exists()
    log = (project.root / "results/tiny/logs/download/tiny.log").read_text()
    assert "error: tiny: no source delivered the file with sha256 0000" in log
    assert "Traceback" not in log


def test_prepare(project):
    shutil.rmtree(project.root / "results")
    project.snakemake("results/tiny/data/mine/series.safetensors")
    series = Series.read(project.root / "results/tiny/data/mine")
    assert series.values.shape == (400, 2)
    assert series.columns == ("load", "<b>heat</b>")
    assert series.splits == {"train": (0, 280), "val": (280, 320), "test": (320, 400)}


def test_describe(project):
    file = project.root / "results/tiny/data/mine/dataset.json"
    before = json.loads(file.read_text())
    file.unlink()
    project.snakemake("results/tiny/data/mine/dataset.json")
    assert json.loads(file.read_text()) == before
    assert before["columns"] == ["load", "<b>heat</b>"]
    assert before["checks"]["missing_cells"] == 0


def test_prepare_names_what_is_missing(project):
    project.edit("mine.csv", "2021-01-01T05:00:00,", "2021-01-01T05:00:00,,")
    path = project.root / "mine.csv"
    lines = path.read_text().splitlines()
    lines[6] = "2021-01-01T05:00:00,,1.0"
    path.write_text("\n".join(lines) + "\n")
    output = project.snakemake("results/tiny/data/mine/series.safetensors", ok=False)
    log = (project.root / "results/tiny/logs/prepare/mine.log").read_text()
    assert "load" in log
    assert "2021-01-01" in log
    assert "fill" in log
    assert "Traceback" not in log + output
    assert not (project.root / "results/tiny/data/mine/series.safetensors").exists()


def test_train(project):
    folder = project.root / "results/tiny/accuracy/mine/dlinear/L24_H12/cpu_fp32/seed1"
    shutil.rmtree(folder)
    project.snakemake(str((folder / "metrics.json").relative_to(project.root)))
    metrics = json.loads((folder / "metrics.json").read_text())
    assert metrics["status"] == "ok"
    assert metrics["cell"]["options"] == {"kernel": 25}
    assert len(metrics["per_variate"]["mse"]) == 2
    assert len(metrics["per_step"]["mae"]) == 12
    history = (folder / "history.csv").read_text().splitlines()
    assert history[0] == "epoch,step,train_loss,validation_loss,learning_rate,train_time_s"
    assert len(history) == 1 + metrics["epochs"]
    with safe_open(folder / "model.safetensors", "pt") as weights:
        assert weights.metadata() == {"status": "ok"}
        assert weights.get_tensor("trend.weight").shape == (12, 24)


def test_explain(project):
    shown = project.root / "results/tiny/inside/mine/dlinear/L24_H12/cpu_fp32/seed1.json"
    before = json.loads(shown.read_text())
    shown.unlink()
    project.snakemake(str(shown.relative_to(project.root)))
    after = json.loads(shown.read_text())
    assert after == before
    assert [view["key"] for view in after["views"]] == ["parts"]
    assert len(after["views"][0]["series"]["trend"]) == 12


def test_collect(project):
    shutil.rmtree(project.root / "results/tiny/tables")
    project.snakemake("results/tiny/tables/accuracy.csv")
    tables = project.root / "results/tiny/tables"
    assert {table.name for table in tables.iterdir()} == {
        "accuracy.csv",
        "accuracy.parquet",
        "variates.csv",
        "steps.csv",
        "forecasts.csv",
        "truth.csv",
        "datasets.json",
        "inside.json",
        "study.json",
    }
    assert json.loads((tables / "study.json").read_text())["planned_cells"] == 3
    assert len((tables / "variates.csv").read_text().splitlines()) == 1 + 3 * 2
    steps = (tables / "steps.csv").read_text().splitlines()
    assert len(steps) == 1 + 3 * 12
    metrics = json.loads(
        (project.root / "results/tiny/accuracy/mine/repeat/L24_H12/cpu_fp32/seed1/metrics.json").read_text()
    )
    of_repeat = [line.split(",") for line in steps if ",repeat," in line]
    assert [float(row[8]) for row in of_repeat] == pytest.approx(metrics["per_step"]["mse"], rel=1e-12)
    assert len((tables / "forecasts.csv").read_text().splitlines()) == 1 + 3 * 3 * 12


def test_collect_refuses_a_row_of_another_version(project):
    metrics = project.root / "results/tiny/accuracy/mine/repeat/L24_H12/cpu_fp32/seed1/metrics.json"
    content = json.loads(metrics.read_text())
    del content["mase"]
    metrics.write_text(json.dumps(content))
    project.snakemake("results/tiny/tables/accuracy.csv", "--forcerun", "collect", ok=False)
    log = (project.root / "results/tiny/logs/collect.log").read_text()
    assert "lacks mase: it is of another version; delete it and rerun" in log


def test_report(project):
    before = (project.root / "results/tiny/report/index.html").read_bytes()
    shutil.rmtree(project.root / "results/tiny/report")
    project.snakemake()
    assert (project.root / "results/tiny/report/index.html").read_bytes() == before
    page = (project.root / "results/tiny/report/dataset-mine.html").read_text()
    assert "&lt;b&gt;heat&lt;/b&gt;" in page
    assert "<b>heat</b>" not in page
