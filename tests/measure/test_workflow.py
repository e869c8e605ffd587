"""What the workflow itself costs: CPU seconds, which other work on the machine lengthens little."""

import resource

import pytest
import yaml

from formerbench.config import Study
from formerbench.grid import cells

from ..project import REPOSITORY, STUDY, Project

pytestmark = pytest.mark.slow
TABLE = "results/tiny/tables/accuracy.csv"


@pytest.fixture
def project(tmp_path):
    return Project(tmp_path)


def cpu_seconds(project, *arguments):
    """Of Snakemake and all that it starts."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    project.snakemake(*arguments)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def test_the_full_study_is_planned_in_15_seconds_and_a_third_more_on_a_slow_day(project):
    full = yaml.safe_load((REPOSITORY / "config/config.yaml").read_text())
    assert len(cells(Study.from_config(full))) >= 5000
    project.write(full)
    taken = cpu_seconds(project, "--dry-run", "--quiet", "all")
    print(f"{taken:.1f} s")
    assert taken < 20


def test_a_cell_takes_less_than_4_seconds_beside_its_training(project):
    few, many = range(1, 3), range(3, 9)
    project.write(STUDY | {"models": ["dlinear"], "seeds": [*few]})
    project.snakemake("--cores", "2", TABLE)
    planned_again = cpu_seconds(project, TABLE, "--cores", "2", "--forcerun", "collect")
    project.write(STUDY | {"models": ["dlinear"], "seeds": [*few, *many]})
    grown = cpu_seconds(project, "--cores", "2", TABLE)
    # Five steps of DLinear take nothing: what is left is Python, torch's import, files and Snakemake.
    print(f"{(grown - planned_again) / len(many):.1f} s a cell")
    assert (grown - planned_again) / len(many) < 4
