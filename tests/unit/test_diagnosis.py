"""Whether a machine is ready: every check in every state, and what the command makes of it."""

import json
import sys
import tomllib
from collections import namedtuple
from importlib.metadata import PackageNotFoundError
from types import SimpleNamespace

import pytest
from packaging.specifiers import SpecifierSet

from formerbench import diagnosis
from formerbench.cli import main
from formerbench.data import download
from formerbench.diagnosis import Finding, diagnose

from ..project import REPOSITORY

GB = 2**30
CHECKS = ["python", "torch", "cores", "memory", "gpu", "results", "data", "slurm"]


@pytest.fixture(autouse=True)
def machine(monkeypatch, tmp_path):
    """A machine without SLURM, data, mirror or network; the list is of the addresses that were asked."""
    asked = []
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setenv("FORMERBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("FORMERBENCH_MIRROR", raising=False)
    monkeypatch.setattr(download, "_answers", lambda address, timeout: asked.append(address))
    return asked


def put_commands(tmp_path, *names, scontrol="exit 0"):
    (tmp_path / "bin").mkdir()
    for name in names:
        path = tmp_path / "bin" / name
        path.write_text(f"#!/bin/sh\n{scontrol if name == 'scontrol' else 'exit 1'}\n")
        path.chmod(0o755)


def state_and_advice(finding):
    assert bool(finding.advice) == (finding.state != "ok")
    return finding.state


@pytest.mark.parametrize(
    ("running", "state"),
    [((3, 10, 9), "fault"), ((3, 11, 0), "ok"), ((3, 13, 9), "ok"), ((3, 14, 0), "fault")],
)
def test_python(monkeypatch, running, state):
    monkeypatch.setattr(diagnosis, "sys", SimpleNamespace(version_info=running))
    finding = diagnosis.python()
    assert state_and_advice(finding) == state
    assert finding.found.startswith(".".join(map(str, running)))


@pytest.mark.parametrize(
    ("installed", "state"),
    [("2.9.1", "fault"), ("2.11.0", "ok"), ("2.13.1+cpu", "ok"), ("2.14.0", "fault"), ("main", "fault")],
)
def test_torch(monkeypatch, installed, state):
    monkeypatch.setattr(diagnosis, "version", {"torch": installed}.__getitem__)
    finding = diagnosis.torch()
    assert state_and_advice(finding) == state
    assert finding.found.startswith(installed)


def test_no_torch(monkeypatch):
    def version(name):
        raise PackageNotFoundError(name)

    monkeypatch.setattr(diagnosis, "version", version)
    finding = diagnosis.torch()
    assert (state_and_advice(finding), finding.found) == ("fault", "not installed")


def test_versions_are_those_of_the_project():
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    (torch,) = [text for text in project["dependencies"] if text.startswith("torch>")]
    for (first, before), wanted in (
        (diagnosis.PYTHON, project["requires-python"]),
        (diagnosis.TORCH, torch.removeprefix("torch")),
    ):
        ours = ">={}.{},<{}.{}".format(*first, *before)
        assert SpecifierSet(ours) == SpecifierSet(wanted)


@pytest.mark.parametrize(("threads", "state"), [(1, "ok"), (3, "ok"), (4, "fault")])
def test_cores(monkeypatch, threads, state):
    monkeypatch.setattr(diagnosis.os, "sched_getaffinity", lambda _: {0, 2, 5}, raising=False)
    finding = diagnosis.cores(threads)
    assert state_and_advice(finding) == state
    assert finding.found == f"3 for jobs of {threads} threads"


@pytest.mark.parametrize(("free", "state"), [(3.9, "warning"), (4.1, "ok")])
def test_memory(monkeypatch, free, state):
    monkeypatch.setattr("psutil.virtual_memory", lambda: SimpleNamespace(available=free * GB))
    finding = diagnosis.memory()
    assert state_and_advice(finding) == state
    assert finding.found.startswith(f"{free} GB available")


@pytest.mark.parametrize(
    ("problem", "state"),
    [
        (None, "ok"),
        ("this machine has no CUDA device", "ok"),
        ("the installed torch has no CUDA; see GPU in the README", "warning"),
    ],
)
def test_gpu(monkeypatch, problem, state):
    monkeypatch.setattr(diagnosis.devices, "problem", {"cuda": problem}.__getitem__)
    finding = diagnosis.gpu()
    assert state_and_advice(finding) == state
    assert finding.found.startswith(problem or "CUDA can be used")


@pytest.mark.parametrize(("free", "state"), [(0.4, "fault"), (0.6, "warning"), (4.9, "warning"), (5.1, "ok")])
def test_room(monkeypatch, tmp_path, free, state):
    def disk_usage(folder):
        assert folder == tmp_path
        return namedtuple("Usage", "free")(free * GB)

    monkeypatch.setattr(diagnosis.shutil, "disk_usage", disk_usage)
    finding = diagnosis.results_folder(tmp_path / "not" / "yet")
    assert state_and_advice(finding) == state
    assert finding.found.startswith(f"{free} GB free")
    assert list(tmp_path.iterdir()) == []


def test_results_cannot_be_written(monkeypatch, tmp_path):
    (tmp_path / "file").touch()
    finding = diagnosis.results_folder(tmp_path / "file" / "results")
    assert state_and_advice(finding) == "fault"
    assert "cannot be written: Not a directory" in finding.found

    def refuse(dir):
        raise PermissionError(13, "Permission denied", str(dir))

    monkeypatch.setattr(diagnosis.tempfile, "TemporaryFile", refuse)
    finding = diagnosis.results_folder(tmp_path)
    assert state_and_advice(finding) == "fault"
    assert "cannot be written: Permission denied" in finding.found


def test_data_that_cannot_be_reached(machine):
    finding = diagnosis.data(offline=False)
    assert state_and_advice(finding) == "warning"
    assert "ETTh1" in finding.found
    assert "ILI" in finding.found
    assert "synthetic" not in finding.found
    assert "FORMERBENCH_MIRROR" in finding.advice
    assert machine


def test_only_what_is_missing_is_named(monkeypatch):
    monkeypatch.setattr(download, "_answers", lambda address, timeout: "ETTh1" not in address)
    finding = diagnosis.data(offline=False)
    assert finding.state == "warning"
    assert "ETTh1" in finding.found
    assert "ETTh2" not in finding.found


def test_data_from_sources(monkeypatch):
    monkeypatch.setattr(download, "_answers", lambda address, timeout: True)
    finding = diagnosis.data(offline=False)
    assert state_and_advice(finding) == "ok"
    assert "0 of them from the cache" in finding.found


def test_no_source_is_asked_where_the_cache_or_a_mirror_has_the_data(machine, monkeypatch):
    monkeypatch.setattr(download, "_held", lambda entry, folder: entry.name == "ETTh1")
    monkeypatch.setenv("FORMERBENCH_MIRROR", "https://mirror.invalid")
    monkeypatch.setattr(
        download, "_answers", lambda address, timeout: machine.append(address) or "mirror.invalid" in address
    )
    finding = diagnosis.data(offline=False)
    assert state_and_advice(finding) == "ok"
    assert "1 of them from the cache" in finding.found
    assert machine
    assert all(address.startswith("https://mirror.invalid/") for address in machine)
    assert not any("ETTh1" in address for address in machine)


def test_a_cache_that_may_not_be_read(monkeypatch):
    def refuse(entry, folder):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(download, "_held", refuse)
    assert diagnosis.data(offline=False).state == "warning"


def test_offline(machine):
    assert diagnosis.data(offline=True) == Finding("data", "ok", "not asked for (--offline)")
    assert machine == []


def test_no_slurm():
    assert diagnosis.slurm() == Finding("slurm", "ok", "no SLURM here")


@pytest.mark.parametrize("missing", diagnosis.SLURM)
def test_a_part_of_slurm(tmp_path, missing):
    put_commands(tmp_path, *(name for name in diagnosis.SLURM if name != missing))
    finding = diagnosis.slurm()
    assert state_and_advice(finding) == "fault"
    assert finding.found == f"not on PATH: {missing}"


@pytest.mark.parametrize(("age", "state"), [(2, "warning"), (119, "warning"), (120, "ok"), (300, "ok")])
def test_min_job_age(tmp_path, age, state):
    script = f"""[ "$*" = "show config" ] || exit 1
echo "MessageTimeout          = 10 sec"
echo "MinJobAge               = {age} sec"
"""
    put_commands(tmp_path, *diagnosis.SLURM, scontrol=script)
    finding = diagnosis.slurm()
    assert state_and_advice(finding) == state
    assert f"MinJobAge {age} s" in finding.found
    assert ("MinJobAge=300 in slurm.conf" in finding.advice) == (state == "warning")


@pytest.mark.parametrize(
    ("script", "found"),
    [
        ("echo 'error: no controller' >&2; echo more >&2; exit 1", "scontrol: error: no controller"),
        ("echo 'scontrol: error: no host' >&2; exit 1", "scontrol: error: no host"),
        ("exit 3", "scontrol: exit status 3"),
        ("echo nothing", "scontrol show config names no MinJobAge"),
    ],
)
def test_scontrol_fails(tmp_path, script, found):
    put_commands(tmp_path, *diagnosis.SLURM, scontrol=script)
    finding = diagnosis.slurm()
    assert state_and_advice(finding) == "fault"
    assert finding.found == found


def test_scontrol_hangs(tmp_path, monkeypatch):
    monkeypatch.setattr(diagnosis, "SLURM_TIMEOUT_S", 0.2)
    put_commands(tmp_path, *diagnosis.SLURM, scontrol="while :; do :; done")
    finding = diagnosis.slurm()
    assert state_and_advice(finding) == "fault"
    assert "timed out after 0.2 seconds" in finding.found


def test_a_package_that_is_missing_is_a_fault(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "psutil", None)
    findings = {finding.check: finding for finding in diagnose(1, tmp_path, offline=True)}
    assert list(findings) == CHECKS
    assert state_and_advice(findings["memory"]) == "fault"
    assert "psutil" in findings["memory"].found


@pytest.fixture
def ready(monkeypatch, tmp_path):
    """A folder of results on a machine that has room for it."""
    monkeypatch.setattr("psutil.virtual_memory", lambda: SimpleNamespace(available=8 * GB))
    monkeypatch.setattr(diagnosis.shutil, "disk_usage", lambda _: SimpleNamespace(free=50 * GB))
    monkeypatch.setattr(diagnosis.os, "sched_getaffinity", lambda _: {0, 1}, raising=False)
    monkeypatch.setattr(diagnosis.devices, "problem", {"cuda": "this machine has no CUDA device"}.get)
    return str(tmp_path / "results")


def test_a_ready_machine(ready, machine, capsys):
    assert main(["doctor", "--offline", "--results", ready]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[:2] for line in lines] == [["ok", check] for check in CHECKS]
    assert f"50.0 GB free for {ready}" in lines[5]
    assert machine == []


def test_a_warning_is_no_failure(ready, capsys):
    assert main(["doctor", "--results", ready]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[6].startswith("warning  data     cannot be reached: ETTh1")
    assert lines[7].startswith(" " * 18 + "set FORMERBENCH_MIRROR")


def test_a_fault_is_1(ready, capsys):
    assert main(["doctor", "--offline", "--results", ready, "--threads", "3", "--json"]) == 1
    findings = json.loads(capsys.readouterr().out)
    assert [finding["check"] for finding in findings] == CHECKS
    assert findings[2] == {
        "check": "cores",
        "state": "fault",
        "found": "2 for jobs of 3 threads",
        "advice": "give more cores, or set `threads: 2` in the config",
    }
    assert [finding["state"] for finding in findings].count("fault") == 1


def test_wrong_threads(capsys):
    assert main(["doctor", "--threads", "0"]) == 1
    assert "--threads must be at least 1" in capsys.readouterr().err
