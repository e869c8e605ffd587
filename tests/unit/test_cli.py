"""The command line: what it prints, and its exit status."""

import json
import subprocess
import sys

import pytest

from formerbench.cli import main

from ..conftest import make_series
from ..project import REPOSITORY, readme_block


@pytest.fixture
def study(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "study.yaml").write_text(
        """
study: small
datasets: [{name: toy, path: toy.csv, rows: 600, variates: 3, season: 12}]
models: [repeat, dlinear]
lookbacks: [24, 48]
horizons: [8]
threads: 1
budget: {steps: 10}
"""
    )
    make_series().save(tmp_path / "results/small/data/toy")
    return tmp_path


@pytest.mark.parametrize(
    "command",
    [
        [],
        ["data"],
        ["data", "list"],
        ["data", "fetch"],
        ["data", "check"],
        ["plan"],
        ["train"],
        ["predict"],
        ["recommend"],
        ["compare"],
        ["doctor"],
    ],
)
def test_help_teaches(command, capsys):
    with pytest.raises(SystemExit) as ended:
        main([*command, "--help"])
    assert ended.value.code == 0
    text = capsys.readouterr().out
    assert "usage: formerbench" in text
    if command == ["data"]:
        assert "example:\n  formerbench data list" in text
    elif command:
        assert f"example:\n  formerbench {' '.join(command)}" in text


def test_wrong_usage_is_2(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["train"])
    assert ended.value.code == 2


def test_a_stated_failure_is_1_in_one_line(study, capsys):
    assert main(["plan", "nowhere.yaml"]) == 1
    assert capsys.readouterr().err == "error: there is no file nowhere.yaml\n"


def test_data_list(capsys):
    assert main(["data", "list"]) == 0
    assert "ETTh1" in capsys.readouterr().out
    main(["data", "list", "--json"])
    assert {"ETTh1", "ILI", "synthetic"} <= {entry["name"] for entry in json.loads(capsys.readouterr().out)}


def test_data_check_says_where(capsys, tmp_path, monkeypatch):
    monkeypatch.setenv("FORMERBENCH_CACHE", str(tmp_path))
    monkeypatch.setenv("FORMERBENCH_MIRROR", str(tmp_path))
    monkeypatch.setattr("formerbench.data.download._answers", lambda address, timeout: False)
    assert main(["data", "check", "ETTh1", "synthetic"]) == 1
    out = capsys.readouterr().out
    assert "ETTh1: cannot be reached" in out
    assert "synthetic: generated" in out
    assert main(["data", "check", "ETTh1", "synthetic", "--json"]) == 1
    assert json.loads(capsys.readouterr().out) == {"ETTh1": None, "synthetic": "generated"}


def test_plan_counts_cells_hours_and_disk(study, capsys):
    assert main(["plan", "study.yaml"]) == 0
    text = capsys.readouterr().out
    assert "4, 0 of them finished" in text
    assert "no step was measured so far" in text
    assert main(["train", "study.yaml", "--model", "dlinear", "--lookback", "24"]) == 0
    capsys.readouterr()
    main(["plan", "study.yaml", "--json"])
    plan = json.loads(capsys.readouterr().out)
    assert plan["finished"] == 1
    row = json.loads(
        (study / "results/small/accuracy/toy/dlinear/L24_H8/cpu_fp32/seed1/metrics.json").read_text()
    )
    # What is left is dlinear at L=48: twice the input, ten steps.
    assert plan["hours"] == pytest.approx(10 * 2 * row["step_time_ms"] / 3.6e6)
    parameters = 2 * (24 * 8 + 8) + 2 * (48 * 8 + 8)
    assert plan["disk_mb"] == pytest.approx((4 * parameters + 4 * 600 * 3) / 2**20)


def test_a_plan_names_together_what_nobody_has_timed(study, capsys):
    it = "study: it\ndatasets: [ETTh1, ETTh2]\nmodels: [repeat, dlinear, tft]\nlookbacks: [9]\nhorizons: [9]"
    (study / "it.yaml").write_text(f"{it}\nevidence: []\n")
    assert main(["plan", "it.yaml"]) == 0
    assert "without dlinear, tft on ETTh1, ETTh2: no step was measured so far" in capsys.readouterr().out


def test_the_readmes_study_on_own_data_can_be_planned(study, capsys):
    (study / "own.yaml").write_text(readme_block("yaml"))
    assert main(["plan", "own.yaml"]) == 0
    assert "study     mine\ncells     8, 0 of them finished, 0 skipped" in capsys.readouterr().out


def test_plan_says_where_the_report_is(study, capsys):
    assert main(["plan", "study.yaml", "--report"]) == 1
    assert "study small has no report yet" in capsys.readouterr().err
    page = study / "results/small/report/index.html"
    page.parent.mkdir(parents=True)
    page.touch()
    assert main(["plan", "study.yaml", "--report"]) == 0
    assert capsys.readouterr().out == f"Report: {page}\n"


def test_plan_lists_the_cells_of_a_status(study, capsys):
    main(["train", "study.yaml", "--model", "repeat", "--lookback", "24"])
    capsys.readouterr()
    assert main(["plan", "study.yaml", "--status", "ok"]) == 0
    assert capsys.readouterr().out == "results/small/accuracy/toy/repeat/L24_H8/cpu_fp32/seed1/metrics.json\n"
    assert main(["plan", "study.yaml", "--status", "oks"]) == 1
    assert "did you mean 'ok'?" in capsys.readouterr().err


def test_train_from_a_plan_without_yaml(study, capsys):
    """A machine with torch, numpy and safetensors alone: everything else is made impossible to import."""
    main(["plan", "study.yaml", "--json"])
    (study / "plan.json").write_text(capsys.readouterr().out)
    code = """
import sys
for name in "yaml jsonschema polars pandas snakemake requests pooch psutil".split():
    sys.modules[name] = None
from formerbench.cli import main
sys.exit(main(["train", "plan.json", "--model", "dlinear", "--lookback", "48", "--json"]))
"""
    environment = {"PYTHONPATH": str(REPOSITORY / "src"), "PATH": "/usr/bin:/bin"}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment, cwd=study
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["status"] == "ok"


def test_train_says_which_axis_decides(study, capsys):
    assert main(["train", "study.yaml", "--model", "dlinear"]) == 1
    assert "say which --lookback: 24, 48" in capsys.readouterr().err
    assert main(["train", "study.yaml", "--model", "patchtst"]) == 1
    assert "no cell has model patchtst; there are: repeat, dlinear" in capsys.readouterr().err


def test_train_needs_prepared_data(study, capsys):
    arguments = ["train", "study.yaml", "--model", "dlinear", "--lookback", "24", "--data", "elsewhere"]
    assert main(arguments) == 1
    assert "no prepared data set in elsewhere" in capsys.readouterr().err
