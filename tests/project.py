"""A copy of the project with a tiny study on a user's own CSV and a user's own model, and how to run it."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import yaml

REPOSITORY = Path(__file__).resolve().parents[1]
SHIPPED = ("Snakefile", "workflow", "config", "profiles", "environment.yml", "src", "pyproject.toml")
STUDY = {
    "study": "tiny",
    "datasets": [{"name": "mine", "path": "mine.csv", "season": 12}],
    "models": ["repeat", "dlinear", {"name": "drift", "class": "my_models:Drift", "options": {"scale": 0.5}}],
    "lookbacks": [24],
    "horizons": [12],
    "threads": 1,
    "budget": {"steps": 5},
}


def readme_block(language: str) -> str:
    """The first code block of a language in the README."""
    text = (REPOSITORY / "README.md").read_text()
    return re.search(rf"```{language}\n(.*?)```", text, flags=re.DOTALL)[1]


class Project:
    """A copy of the project in ``root``; ``within`` comes before Snakemake's command, to run it elsewhere."""

    within: tuple[str, ...] = ()

    def __init__(self, root: Path):
        self.root = root
        for name in SHIPPED:
            source = REPOSITORY / name
            copy = shutil.copytree if source.is_dir() else shutil.copy
            copy(source, root / name)
        (root / "my_models.py").write_text(readme_block("python"))
        self.write_data()
        self.write(STUDY)

    def copy(self, root: Path) -> "Project":
        """A copy in ``root``, results included, that a test may change."""
        twin = object.__new__(Project)
        twin.root = root
        shutil.copytree(self.root, root, symlinks=True)
        return twin

    def write(self, study: dict) -> None:
        (self.root / "study.yaml").write_text(yaml.safe_dump(study))

    def write_data(self, seed: int = 0) -> None:
        rng = np.random.default_rng(seed)
        hours = np.datetime64("2021-01-01", "s") + np.arange(400) * np.timedelta64(3600, "s")
        values = np.sin(np.arange(400) * 2 * np.pi / 12)[:, None] + rng.normal(0, 0.2, (400, 2))
        lines = [f"{time},{a:.4f},{b:.4f}" for time, (a, b) in zip(hours, values, strict=True)]
        (self.root / "mine.csv").write_text("\n".join(["date,load,<b>heat</b>", *lines]) + "\n")

    def edit(self, file: str, old: str, new: str) -> None:
        path = self.root / file
        text = path.read_text()
        assert old in text, f"{file} no longer holds {old!r}"
        path.write_text(text.replace(old, new, 1))

    def snakemake(self, *arguments: str, ok: bool = True, **environment: str) -> str:
        """Run Snakemake on the study; returns all it printed."""
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("FORMERBENCH_")}
        done = subprocess.run(
            [*self.within, sys.executable, "-m", "snakemake", *arguments, "--configfile", "study.yaml"],
            cwd=self.root,
            env=inherited | {"PYTHONPATH": str(self.root / "src")} | environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=300,
        )
        assert (done.returncode == 0) == ok, done.stdout
        return done.stdout

    def start(self, *arguments: str) -> subprocess.Popen:
        """Run Snakemake in the background."""
        return subprocess.Popen(
            [*self.within, sys.executable, "-m", "snakemake", *arguments, "--configfile", "study.yaml"],
            cwd=self.root,
            env=os.environ | {"PYTHONPATH": str(self.root / "src")},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def planned(self, *arguments: str) -> dict[str, int]:
        """Rule -> number of jobs that a dry-run names, without ``all``."""
        return jobs(self.snakemake("-n", *arguments))


def jobs(output: str) -> dict[str, int]:
    table = re.findall(r"^(\w+) +(\d+)$", output, flags=re.MULTILINE)
    return {rule: int(count) for rule, count in table if rule not in ("all", "total")}
