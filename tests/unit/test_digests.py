"""The source digest: what counts as a change of a cell's code and what does not."""

import ast
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import formerbench
from formerbench import digests
from formerbench.models import MODELS

PACKAGE = Path(formerbench.__file__).parent


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A copy of the package whose digests are asked for."""
    copy = tmp_path / "formerbench"
    shutil.copytree(PACKAGE, copy, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(digests.formerbench, "__file__", str(copy / "__init__.py"))
    clear()
    yield copy
    clear()


def clear():
    digests._digest_with.cache_clear()
    digests._code.cache_clear()


def all_digests():
    clear()
    return {name: digests.cell_digest(spec.path) for name, spec in MODELS.items()}


def changed(package, file, old, new):
    before = all_digests()
    path = package / file
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    after = all_digests()
    return {name for name in before if before[name] != after[name]}


def test_a_model_file_counts_for_its_own_cells_only(package):
    assert changed(package, "models/patchtst.py", "nn.BatchNorm1d(d)", "nn.LayerNorm(d)") == {"patchtst"}


def test_a_layer_counts_for_the_models_that_import_it(package):
    assert changed(package, "models/layers/attention.py", "fused: bool", "fused: int") == {
        "patchtst",
        "itransformer",
        "informer",
        "tft",
    }
    assert changed(package, "models/layers/fourier.py", "2.0", "3.0") == {"autoformer", "fedformer"}


def test_training_counts_for_all(package):
    assert changed(package, "training.py", "_REPORT_EVERY_S = 30", "_REPORT_EVERY_S = 3") == set(MODELS)
    assert changed(package, "training_step.py", "set_to_none=True", "set_to_none=False") == set(MODELS)


def test_docstrings_comments_and_layout_do_not_count(package):
    assert not changed(package, "training.py", '"""Training: Adam', '"""Changed: Adam')
    assert not changed(package, "models/patchtst.py", "# (b v, H)", "# other words")


def test_a_new_model_counts_for_none(package):
    assert not changed(
        package, "models/__init__.py", '"repeat": Spec', '"new": Spec(object, "x:Y"),\n        "repeat": Spec'
    )


def test_the_module_lists_leave_nothing_out_that_cells_execute():
    """Whatever a listed module imports of the package is listed too, or is an exception with a reason."""
    exceptions = {
        "config": "values reach a cell through its settings",
        "devices": "whether a device is there is a parameter of its own",
        "errors": "only words",
        "grid": "values reach a cell through its settings",
        "lifeline": "ends with Snakemake, computes nothing",
        "locks": "who may write, and not what",
        "logs": "only words",
        "measurements": "values reach a measurement through its settings",
        "models": "names; the model's own file counts by itself",
        "paths": "how files are replaced",
        "provenance": "describes, computes nothing",
        "data.checks": "describes; `describe` counts it",
        "data.marks": "computed in cells, which count it",
        "results": "names of columns; a row of another version is refused when it is collected",
        "data.download": "only its checksum function",
        "data.registry": "values reach a cell through its settings and the prepared data",
    }
    for listed in (
        digests.CELL_MODULES,
        digests.MEASURE_MODULES,
        digests.PREPARE_MODULES,
        digests.COLLECT_MODULES,
    ):
        for module in listed:
            for imported in imports(module):
                assert imported in {*listed, *exceptions, "models.configs"}, f"{module} imports {imported}"


def imports(module):
    found = set()
    for node in ast.walk(digests._tree(digests._file(module))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "formerbench":
            inner = node.module.removeprefix("formerbench").removeprefix(".")
            for name in node.names:
                deeper = ".".join(filter(None, [inner, name.name]))
                is_module = (PACKAGE / deeper.replace(".", "/")).with_suffix(".py").is_file()
                found.add(deeper if is_module else inner)
    return found - {""}


def test_a_users_class_is_found_without_importing_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    mine = tmp_path / "mine.py"
    mine.write_text("raise SystemExit('imported')\n")
    clear()
    before = digests.cell_digest("mine:Model")
    mine.write_text("raise SystemExit('imported again')\n")
    clear()
    assert digests.cell_digest("mine:Model") != before


@pytest.mark.parametrize(
    "code",
    [
        "import formerbench, formerbench.models, formerbench.data, formerbench.cli",
        "from formerbench.grid import cells; from formerbench.config import load_config; "
        "cells(load_config('config/quick.yaml'))",
        "from formerbench.digests import cell_digest, report_digest; report_digest(); "
        "cell_digest('formerbench.models.patchtst:PatchTST')",
    ],
)
def test_what_the_snakefile_imports_brings_neither_torch_nor_pandas(code):
    heavy = ["torch", "pandas", "polars", "seaborn", "matplotlib", "snakemake", "scipy"]
    check = f"{code}; import sys; print([m for m in {heavy} if m in sys.modules])"
    root = PACKAGE.parents[1]
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, cwd=root, check=True)
    assert done.stdout.strip() == "[]"


def test_a_cell_process_imports_no_tables_and_no_workflow():
    heavy = ["pandas", "polars", "seaborn", "matplotlib", "snakemake", "yaml", "jsonschema", "requests"]
    check = f"import formerbench.cell, formerbench.cli, sys; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_users_own_helpers_count_and_strangers_do_not(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    package = tmp_path / "mymodels"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "model.py").write_text("import json\nfrom .blocks import Block\nfrom helper import x\n")
    (package / "blocks.py").write_text("Block = 1\n")
    (tmp_path / "helper.py").write_text("x = 1\n")
    (tmp_path / "unrelated.py").write_text("x = 1\n")
    found = []
    for file, text in (
        (None, ""),
        ("unrelated.py", "x = 2"),
        ("helper.py", "x = 2"),
        ("mymodels/blocks.py", "Block = 2"),
    ):
        if file:
            (tmp_path / file).write_text(text)
        clear()
        found.append(digests.cell_digest("mymodels.model:Model"))
    assert found[0] == found[1]
    assert len(set(found)) == 3


def test_a_users_model_counts_the_layers_that_it_imports(package, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "layered.py").write_text("from formerbench.models.layers.dropout import Dropout\n")
    clear()
    before = digests.cell_digest("layered:Model")
    for layer, counts in (("decomposition", False), ("dropout", True)):
        path = package / "models/layers" / f"{layer}.py"
        path.write_text(path.read_text() + "\nx = 1\n")
        clear()
        assert (digests.cell_digest("layered:Model") != before) == counts


def test_the_digest_does_not_depend_on_the_version_of_python(tmp_path):
    file = tmp_path / "code.py"
    file.write_text('"""Doc."""\ndef f(x: int, *, y=None) -> str:\n    return f"{x!r:>{y}} {[*()]}"\n')
    expected = "Module(body=[FunctionDef(name='f',args=arguments(args=[arg(arg='x',annotation=Name(id='int',"
    assert digests._code(file).startswith(expected)
    assert "type_params" not in digests._code(file)
    assert "kind=" not in digests._code(file)
