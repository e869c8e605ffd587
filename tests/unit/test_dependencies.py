"""pyproject.toml, requirements.lock and environment.yml name the same versions."""

import re
import tomllib

import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from ..project import REPOSITORY

CONDA_NAMES = {"pytorch": "torch", "snakemake-minimal": "snakemake"}
CONDA_PYTHON = "3.12"


def locked(python):
    """name -> version of the lock on Linux with a Python version."""
    pins = {}
    for line in (REPOSITORY / "requirements.lock").read_text().splitlines():
        if re.match(r"[a-z0-9]", line):
            pin = Requirement(line.removesuffix(" \\"))
            environment = {
                "python_version": python,
                "python_full_version": f"{python}.0",
                "sys_platform": "linux",
            }
            if pin.marker is None or pin.marker.evaluate(environment):
                (specifier,) = pin.specifier
                pins[canonicalize_name(pin.name)] = specifier.version
    return pins


def project():
    return tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]


def test_the_lock_pins_what_the_project_asks_for():
    wanted = [
        Requirement(text) for text in [*project()["dependencies"], *project()["optional-dependencies"]["dev"]]
    ]
    for python in ("3.11", "3.12", "3.13"):
        pins = locked(python)
        assert "torch" not in pins
        for requirement in wanted:
            if requirement.name != "torch":
                assert pins[canonicalize_name(requirement.name)] in requirement.specifier, requirement


def test_every_pin_has_a_hash():
    text = (REPOSITORY / "requirements.lock").read_text()
    pins = re.split(r"\n(?=[a-z0-9])", text.strip())
    assert len(pins) > 50
    assert all("--hash=sha256:" in pin for pin in pins)
    assert "://" not in text


def test_conda_gets_the_same_versions():
    pins = locked(CONDA_PYTHON)
    dependencies = yaml.safe_load((REPOSITORY / "environment.yml").read_text())["dependencies"]
    conda = dict(text.split("=") for text in dependencies if "=" in text)
    assert conda.pop("python") == CONDA_PYTHON
    conda = {CONDA_NAMES.get(name, name): version for name, version in conda.items()}
    torch = conda.pop("torch")
    assert f"torch=={torch}" in (REPOSITORY / "Makefile").read_text()
    assert {canonicalize_name(Requirement(text).name) for text in project()["dependencies"]} == {
        *conda,
        "torch",
    }
    for name, version in conda.items():
        assert pins[name] == version, name
    (torch_range,) = (Requirement(text) for text in project()["dependencies"] if text.startswith("torch"))
    assert torch in torch_range.specifier


def test_ci_and_the_container_get_the_same_versions():
    makefile = (REPOSITORY / "Makefile").read_text()
    (pin,) = re.findall(r"^TORCH \?= (\S+)$", makefile, flags=re.MULTILINE)
    workflow = yaml.safe_load((REPOSITORY / ".github/workflows/ci.yml").read_text())
    assert workflow["permissions"] == {"contents": "read"}
    steps = workflow["jobs"]["check"]["steps"]
    assert all(re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40}", step["uses"]) for step in steps if "uses" in step)
    ours, audit = (step for step in steps if "run" in step)
    assert audit["run"] == "make audit"
    assert (REPOSITORY / ours["run"].removeprefix("bash ")).is_file()
    assert ours["env"]["TORCH"].startswith(f"{pin} --index-url ")
    container = (REPOSITORY / "Dockerfile").read_text()
    (python,) = (step["with"]["python-version"] for step in steps if "setup-python" in step.get("uses", ""))
    assert f"FROM python:{python}-slim\n" in container
    assert f'ARG TORCH="{pin} --index-url ' in container
