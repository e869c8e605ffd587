"""docs/reliability.md from what the tests of faults counted: ``python -m tests.faults.table``."""

import ast
import json
import os
import re
from pathlib import Path

from ..project import REPOSITORY

PAGE = REPOSITORY / "docs/reliability.md"
HEAD = """# Reliability

What was broken on purpose, how often, and what came of it. `make test-all` writes this page from the tests in
`tests/faults`; a test that this machine cannot run leaves its row as it was.

| fault | times | result |
|---|---|---|
"""


def main() -> None:
    """Write the page from the lines in the file that FORMERBENCH_RELIABILITY names."""
    lines = Path(os.environ["FORMERBENCH_RELIABILITY"]).read_text(encoding="utf-8").splitlines()
    before = listed(PAGE.read_text(encoding="utf-8")) if PAGE.is_file() else {}
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(page(before | counted(map(json.loads, lines)), named()), encoding="utf-8")


def counted(records) -> dict[str, tuple[int, str]]:
    """Fault to (times, result); two results of one fault are a mistake of its tests."""
    rows = {}
    for record in records:
        fault, result = record["fault"], record["result"]
        times, said = rows.get(fault, (0, result))
        if said != result:
            raise SystemExit(f"error: the fault '{fault}' has two results: '{said}' and '{result}'; give one")
        rows[fault] = (times + record["count"], result)
    return rows


def page(rows: dict[str, tuple[int, str]], faults: set[str]) -> str:
    """The page, sorted and without times or dates, so that it changes only with what it says."""
    kept = sorted((fault, *rest) for fault, rest in rows.items() if fault in faults)
    return HEAD + "".join(f"| {fault} | {times:,} | {result} |\n" for fault, times, result in kept)


def listed(text: str) -> dict[str, tuple[int, str]]:
    """The rows of a page."""
    rows = re.findall(r"^\| (.+?) \| ([\d,]+) \| (.+) \|$", text, flags=re.MULTILINE)
    return {fault: (int(times.replace(",", "")), result) for fault, times, result in rows}


def named(folder: Path = Path(__file__).parent) -> set[str]:
    """Every fault that a test reports: the literals given to ``reliability`` and the keys of ``FAULTS``."""
    return {fault for path in folder.glob("test_*.py") for fault in _named(ast.parse(path.read_text()))}


def _named(module: ast.Module):
    for node in ast.walk(module):
        match node:
            case ast.Call(func=ast.Name("reliability"), args=[ast.Constant(fault), *_]):
                yield fault
            case ast.Call(func=ast.Name("reliability"), keywords=keywords):
                yield from (k.value.value for k in keywords if k.arg == "fault" and hasattr(k.value, "value"))
            case ast.Assign(targets=[ast.Name("FAULTS")], value=ast.Dict(keys=keys)):
                yield from (key.value for key in keys)


if __name__ == "__main__":
    main()
