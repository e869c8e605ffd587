"""Versions, commit and machine of a row."""

import subprocess

import formerbench
from formerbench.provenance import provenance
from formerbench.results import PROVENANCE_COLUMNS


def test_an_installed_package_has_no_commit(tmp_path, monkeypatch):
    """It lies in no checkout of this project, whatever repository is around it."""
    module = tmp_path / "lib" / "site-packages" / "formerbench" / "__init__.py"
    module.parent.mkdir(parents=True)
    someone = ["-c", "user.name=a", "-c", "user.email=a@b"]
    for arguments in (["init"], [*someone, "commit", "--allow-empty", "--message", "one"]):
        subprocess.run(["git", *arguments, "--quiet"], check=True, cwd=tmp_path)
    monkeypatch.setattr(formerbench, "__file__", str(module))
    assert provenance()["git_commit"] is None


def test_provenance_has_its_columns():
    found = provenance()
    assert set(found) <= set(PROVENANCE_COLUMNS)
    assert found["package_version"] == formerbench.__version__
    assert found["git_commit"] is None or len(found["git_commit"]) == 40
    assert all(isinstance(found[name], str) and found[name] for name in ("host", "cpu", "torch_version"))
