"""Digests of the code that makes a result: what they count, and what Snakemake reruns when they change."""

import ast
import hashlib
import sys
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import formerbench

# What every cell executes. Names and hyper-parameter classes of models are left out on purpose: adding a
# model must not rerun the others, and a changed default shows in the cell's options.
CELL_MODULES = (
    "cell",
    "checkpoint",
    "data.marks",
    "data.series",
    "data.windows",
    "evaluation",
    "measure.clock",
    "measure.load",
    "measure.memory",
    "measure.process",
    "metrics",
    "models.batch",
    "schedules",
    "training",
    "training_step",
)
MEASURE_MODULES = (
    "measure.child",
    "measure.clock",
    "measure.flops",
    "measure.job",
    "measure.load",
    "measure.longest",
    "measure.machine",
    "measure.memory",
    "measure.prepare",
    "measure.process",
    "measure.profile",
    "measure.sandbox",
    "measure.server",
    "measure.stopwatch",
    "measure.tensors",
    "measure.work",
    "models.batch",
    "training_step",
)
INSIDE_MODULES = (
    *CELL_MODULES,
    "inside",
    "inside.calibration",
    "inside.explain",
    "inside.patterns",
    "inside.views",
    "trained",
)
DOWNLOAD_MODULES = ("data.download", "data.transport")
PREPARE_MODULES = (
    "data.calendar",
    "data.prepare",
    "data.reading",
    "data.registry",
    "data.series",
    "data.synthetic",
)
DESCRIBE_MODULES = (*PREPARE_MODULES, "data.checks")
COLLECT_MODULES = ("analysis.collect", "analysis.collect_scaling", "data.series", "results")
REPORT_PACKAGES = ("analysis", "report")
_LEFT_OUT = ("models.configs",)


def source_digest(modules: tuple[str, ...], files: tuple[Path, ...] = ()) -> str:
    """Digest of the code of ``modules`` (below ``formerbench``) and ``files``, 16 hex digits.

    Comments, docstrings and layout do not count.
    """
    digest = hashlib.sha256()
    for module in sorted(set(modules)):
        digest.update(f"{module}\n{_code(_file(module))}\n".encode())
    for file in files:
        digest.update(f"{_code(file)}\n".encode())
    return digest.hexdigest()[:16]


def report_digest() -> str:
    """Digest of everything that turns tables into pages: code, templates, style."""
    digest = hashlib.sha256()
    for package in REPORT_PACKAGES:
        for file in sorted((Path(formerbench.__file__).parent / package).rglob("*.*")):
            if file.suffix == ".py":
                digest.update(_code(file).encode())
            elif file.suffix in (".j2", ".css", ".js"):
                digest.update(file.read_bytes())
    return digest.hexdigest()[:16]


def cell_digest(class_path: str) -> str:
    """Digest of all code that a cell of the model ``package.module:Class`` executes.

    Of a user's model, the modules beside it that it imports count, and those of this package's models.
    """
    return _digest_with(CELL_MODULES, class_path)


def inside_digest(class_path: str) -> str:
    """Digest of all code that shows the inside of a cell of the model ``package.module:Class``."""
    return _digest_with(INSIDE_MODULES, class_path)


def measurement_digest(class_path: str) -> str:
    """Digest of all code that a measurement of the model or mechanism ``package.module:Class`` executes."""
    return _digest_with(MEASURE_MODULES, class_path)


@cache
def _digest_with(modules: tuple[str, ...], class_path: str) -> str:
    module = class_path.partition(":")[0]
    if module.startswith("formerbench."):
        used = _closure(module, _model_file)
        return source_digest(modules + tuple(name.removeprefix("formerbench.") for name in used))
    first = _find_module(module)
    if first is None:
        return source_digest(modules)
    root = first.parents[module.count(".") + (first.name == "__init__.py")]
    used = _closure(module, lambda name: _model_file(name) or _file_below(root, name))
    return source_digest(modules, tuple(used[name] for name in sorted(used)))


def _closure(module: str, find: Callable[[str], Path | None]) -> dict[str, Path]:
    """``module`` and what it imports, transitively, as far as ``find`` has a file for a name."""
    found, waiting = {}, [module]
    while waiting:
        name = waiting.pop()
        file = None if name in found else find(name)
        if file is not None:
            found[name] = file
            waiting += _imports(name, file)
    return found


def _imports(module: str, file: Path) -> Iterator[str]:
    """Every name that may be a module in the import statements of ``file``, relative ones made absolute."""
    package = module.split(".") if file.name == "__init__.py" else module.split(".")[:-1]
    for node in ast.walk(_tree(file)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) + 1 - node.level] if node.level else []
            base = ".".join([*above, *filter(None, [node.module])])
            yield from (base, *(f"{base}.{alias.name}" for alias in node.names))


def _model_file(module: str) -> Path | None:
    """The file of a module of this package's ``models`` that counts for a cell."""
    inner = module.removeprefix("formerbench.")
    if not inner.startswith("models.") or inner == module or inner in _LEFT_OUT:
        return None
    file = _file(inner)
    return file if file.is_file() else None


def _file_below(root: Path, module: str) -> Path | None:
    file = _find_module(module)
    return file if file is not None and file.is_relative_to(root) else None


def _find_module(module: str) -> Path | None:
    """The file of a user's module, found without importing it or its package."""
    relative = Path(*module.split("."))
    for folder in [*sys.path, str(Path.cwd())]:
        for candidate in (relative.with_suffix(".py"), relative / "__init__.py"):
            if (Path(folder) / candidate).is_file():
                return Path(folder) / candidate
    return None


def _file(module: str) -> Path:
    path = Path(formerbench.__file__).parent.joinpath(*module.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def _tree(file: Path) -> ast.Module:
    return ast.parse(file.read_text(encoding="utf-8"))


@cache
def _code(file: Path) -> str:
    """The syntax tree of a file without docstrings, as text that does not depend on Python's version."""
    tree = _tree(file)
    for node in ast.walk(tree):
        is_block = isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
        if is_block and ast.get_docstring(node, clean=False) is not None:
            node.body = node.body[1:] or [ast.Pass()]
    return _text(tree)


def _text(node) -> str:
    """As ``ast.dump``, which writes empty fields in some versions only."""
    if isinstance(node, ast.AST):
        fields = [
            f"{name}={_text(value)}" for name, value in ast.iter_fields(node) if value not in (None, [])
        ]
        return f"{type(node).__name__}({','.join(fields)})"
    return f"[{','.join(map(_text, node))}]" if isinstance(node, list) else repr(node)
