"""Whether a device can be used, found out without torch."""

from importlib.machinery import ModuleSpec

import pytest

from formerbench import devices


@pytest.fixture(autouse=True)
def driver(monkeypatch, tmp_path):
    """A machine with an NVIDIA driver, whose torch is the one that the test writes down."""
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr(devices.shutil, "which", lambda name: "/usr/bin/nvidia-smi")
    monkeypatch.setattr(
        devices, "find_spec", lambda _: ModuleSpec("torch", None, origin=str(tmp_path / "__init__.py"))
    )
    devices.problem.cache_clear()
    yield tmp_path / "version.py"
    devices.problem.cache_clear()


def test_a_build_with_cuda(driver):
    driver.write_text("cuda: Optional[str] = '12.8'\nhip: Optional[str] = None\n")
    assert devices.problem("cuda") is None


def test_a_build_without_cuda(driver):
    driver.write_text("cuda: Optional[str] = None\nhip: Optional[str] = '6.0'\n")
    assert devices.problem("cuda") == "the installed torch has no CUDA; see GPU in the README"


def test_hidden_devices(driver, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "-1")
    assert devices.problem("cuda") == "CUDA_VISIBLE_DEVICES hides every CUDA device"
    assert devices.problem("cpu") is None
