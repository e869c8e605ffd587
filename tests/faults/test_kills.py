"""Kills at any moment: what was begun goes on, ends with the same tables, and leaves no job behind."""

import random
import shutil
import signal
import subprocess
import sys
import time

import psutil
import pytest

from ..project import STUDY, Project
from .watching import TABLE, TWO_MODELS, processes, read_all, tables, wait_until

KILLS = 5  # of each kind in a study
JOB_LASTS_S = 5.0


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The study that is going to be killed, run undisturbed."""
    project = Project(tmp_path_factory.mktemp("whole"))
    project.write(STUDY | TWO_MODELS)
    began = time.monotonic()
    project.snakemake(TABLE)
    project.lasts_s = time.monotonic() - began
    return project


class Victim:
    """A study that is started, killed and started again; what it finishes in between must be right."""

    def __init__(self, whole: Project, project: Project, chance: random.Random):
        self.whole, self.project, self.chance = whole, project, chance
        self.running, self.hit = None, set()

    def start(self) -> None:
        if self.running is None or self.running.poll() is not None:
            if self.running is not None and self.running.returncode == 0:
                self.compare()
                shutil.rmtree(self.project.root / "results")
            self.running = self.project.start(TABLE)

    def compare(self) -> None:
        ours, theirs = (tables(p.root / "results/tiny") for p in (self.project, self.whole))
        assert ours == theirs
        models = [sorted((p.root / "results").rglob("model.safetensors")) for p in (self.project, self.whole)]
        assert [m.read_bytes() for m in models[0]] == [m.read_bytes() for m in models[1]]

    def look(self, seconds: float) -> None:
        """Let it run for so long, and read its files all the time."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            read_all(self.project.root / "results")
            time.sleep(0.05)

    def kill_job(self) -> bool:
        """Kill a training that was not yet hit, at a random moment; False if it, or the study, was faster."""
        jobs = []

        def found() -> bool:
            jobs[:] = [p for p in processes(self.project.root, "train.py") if p.pid not in self.hit]
            return bool(jobs) or self.running.poll() is not None

        wait_until(found)
        if not jobs:
            return False
        self.look(self.chance.uniform(0, JOB_LASTS_S))
        return self.kill(jobs[0])

    def kill(self, process: psutil.Process) -> bool:
        self.hit.add(process.pid)
        try:
            process.kill()
        except psutil.NoSuchProcess:
            return False
        return True

    def kill_snakemake(self) -> bool:
        """Kill it at a random moment; by chance the next start meets its jobs before they have ended."""
        # Every start goes on from the one before, so that the second half of a run is met as well.
        self.look(self.chance.uniform(0, self.whole.lasts_s / 2))
        if self.running.poll() is not None:
            return False
        self.running.kill()
        self.running.wait()
        if self.chance.random() < 0.5:
            wait_until(lambda: not processes(self.project.root), 60)
        return True


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_a_study_killed_at_random_moments_ends_with_the_tables_of_one_that_was_not(
    whole, tmp_path, seed, reliability
):
    chance = random.Random(seed)
    project = whole.copy(tmp_path / "project")
    shutil.rmtree(project.root / "results")
    shutil.rmtree(project.root / ".snakemake")
    victim = Victim(whole, project, chance)
    kinds = [victim.kill_job, victim.kill_snakemake] * KILLS
    chance.shuffle(kinds)
    try:
        for kill in kinds:
            victim.start()
            while not kill():
                victim.start()
        victim.running.wait(120)
        if victim.running.returncode != 0:  # the last to be killed was a job, or Snakemake
            wait_until(lambda: not processes(project.root), 60)
            project.snakemake(TABLE)
    finally:
        victim.running.kill()
        wait_until(lambda: not processes(project.root), 60)
    victim.compare()
    assert not list((project.root / "results").rglob("state"))
    same = "the same command goes on and ends with the same tables and weights, bit for bit"
    reliability("SIGKILL of a training job at a random moment", KILLS, same)
    reliability("SIGKILL of Snakemake at a random moment", KILLS, f"its jobs end with it; {same}")


WRITER = """
import sys
from pathlib import Path
from formerbench.paths import write_bytes
print("ready", flush=True)
while True:
    for letter, size in zip(b"abc", (10, 300_000, 3_000_000)):
        write_bytes(Path(sys.argv[1]), bytes([letter]) * size)
"""
SIZES = {b"a": 10, b"b": 300_000, b"c": 3_000_000}


def whole_content(path) -> bool:
    content = path.read_bytes()
    return SIZES[content[:1]] == len(content) == content.count(content[:1])


@pytest.mark.slow
def test_a_file_is_whole_whenever_its_writer_is_killed(tmp_path, reliability):
    """The reader looks while the writer lives, too."""
    times, chance, path = 100, random.Random(0), tmp_path / "metrics.json"
    for _ in range(times):
        writer = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        assert writer.stdout.readline() == b"ready\n"
        end = time.monotonic() + chance.uniform(0, 0.05)
        while time.monotonic() < end:
            assert not path.exists() or whole_content(path)
        writer.kill()
        writer.communicate()
        assert writer.returncode == -signal.SIGKILL
        assert not path.exists() or whole_content(path)
    left = [file for file in tmp_path.iterdir() if file != path]
    assert left, "no kill met a write, so that nothing was tested"
    assert all(file.name.startswith(".metrics.json.") and file.suffix == ".part" for file in left)
    reliability(
        "SIGKILL while a file is written", times, "a reader finds the old file or the new, never a part"
    )


@pytest.mark.slow
def test_temporary_files_that_a_kill_left_are_no_results(project, reliability):
    """Half of each file beside the whole one, under the name that a killed writer leaves."""
    for path in [p for p in (project.root / "results").rglob("*") if p.is_file()]:
        path.with_name(f".{path.name}.123.part").write_bytes(path.read_bytes()[:100])
    before = tables(project.root / "results/tiny")
    assert "Nothing to be done" in project.snakemake()
    project.snakemake("--forcerun", "collect", TABLE)
    assert tables(project.root / "results/tiny") == before
    reliability("temporary files that a kill left behind", 1, "not taken for results; nothing runs again")
