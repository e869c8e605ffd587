"""What every test of a fault shares: its count goes to docs/reliability.md, see table.py."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest


@pytest.fixture
def reliability() -> Callable[[str, int, str], None]:
    """Call it last, when all held: ``reliability(fault, count, result)``; counts of one fault add up.

    ``fault`` is a literal or a key of the module's ``FAULTS``, so that the page can be checked without a run.
    """

    def record(fault: str, count: int, result: str) -> None:
        if file := os.environ.get("FORMERBENCH_RELIABILITY"):
            with Path(file).open("a", encoding="utf-8") as lines:
                lines.write(json.dumps({"fault": fault, "count": count, "result": result}) + "\n")

    return record
