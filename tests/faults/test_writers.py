"""Whoever writes is the only one, and whoever reads sees the old file or the new one."""

import os
import random
import subprocess
import sys
import time

import pytest

from formerbench.errors import StatedError
from formerbench.locks import only_writer

from ..project import STUDY, Project, jobs

KILLS = 100
WRITER = """
import sys
from pathlib import Path
from formerbench.paths import write_bytes
for number in range(10**9):
    write_bytes(Path(sys.argv[1]), bytes([number % 256]) * 200_000)
    if not number:
        print("written", flush=True)
"""
HOLDER = """
import sys, time
from pathlib import Path
from formerbench.locks import only_writer
with only_writer(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(600)
"""


def started(code, path):
    return subprocess.Popen([sys.executable, "-c", code, str(path)], stdout=subprocess.PIPE, text=True)


def test_a_killed_writer_leaves_a_whole_file(tmp_path, reliability):
    path, random_moment = tmp_path / "metrics.json", random.Random(0)
    for _ in range(KILLS):
        with started(WRITER, path) as writer:
            assert writer.stdout.readline() == "written\n"
            time.sleep(random_moment.uniform(0, 0.02))
            writer.kill()
        content = path.read_bytes()
        assert len(content) == 200_000
        assert len(set(content)) == 1
    assert not [other for other in tmp_path.iterdir() if other != path and not other.name.startswith(".")]
    reliability("kill -9 of a process while it replaces a file", KILLS, "the file is whole, old or new")


@pytest.fixture
def holder(tmp_path):
    """A process that holds the lock of ``tmp_path / "cell"``."""
    with started(HOLDER, tmp_path / "cell") as process:
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def test_a_second_writer_is_told_who_is_first(tmp_path, holder, monkeypatch, reliability):
    monkeypatch.setattr("formerbench.locks._DYING_S", 0.1)
    said = rf"cell is in use by process {holder.pid} on .*; wait until it has ended, or end it"
    with pytest.raises(StatedError, match=said), only_writer(tmp_path / "cell"):
        pytest.fail("two writers in one folder")
    with only_writer(tmp_path / "another"):
        pass
    reliability("two processes in the folder of one cell", 1, "the second says so in one line and ends")


def test_the_lock_of_a_killed_writer_holds_nobody_up(tmp_path, holder, reliability):
    holder.kill()
    with only_writer(tmp_path / "cell"):
        assert (tmp_path / "cell/.lock").read_text().startswith(f"process {os.getpid()} on ")
    assert not (tmp_path / "cell/.lock").exists()
    reliability("a lock file whose holder was killed", 1, "the next start takes it over")


@pytest.mark.slow
def test_two_snakemakes_at_once(tmp_path, reliability):
    project = Project(tmp_path)
    long = {"training": {"epochs": 600, "patience": 600}}
    project.write(
        STUDY | {"models": ["dlinear"], "budget": {"steps": 100_000}, "settings": {"dlinear": long}}
    )
    with project.start() as first:
        while not (project.root / "results/tiny/accuracy").exists():
            assert first.poll() is None
            time.sleep(0.05)
        said = project.snakemake(ok=False)
        (line,) = (line for line in said.splitlines() if "error" in line)
        assert line.startswith(f"error: results/tiny is in use by process {first.pid} on ")
        assert "Traceback" not in said
        # Another study in the same folder is nobody's concern.
        other = project.snakemake("--config", "study=other")
        assert jobs(other)["train"] == 1
    assert first.returncode == 0
    assert project.planned() == {}
    reliability("two Snakemakes on one study", 1, "the second says so in one line and exits 1")
