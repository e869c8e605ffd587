"""Gather the measurements of a study into its tables.

``scaling`` (CSV and Parquet) has a row a (measurement, phase); ``scaling_repeats.csv`` a row a timed repeat;
``machine.json`` what the machine can do at most.
"""

import json
from collections.abc import Iterable
from pathlib import Path

from formerbench.analysis.collect import checked, frame, parquet
from formerbench.paths import write_bytes, write_text
from formerbench.results import REPEAT_COLUMNS, SCALING_AXES, SCALING_COLUMNS, read_json


def collect_scaling(profiles: Iterable[Path], machines: Iterable[Path], tables: Path) -> None:
    """Write the tables into the folder ``tables``.

    Args:
        profiles: ``profile.json`` of every measurement; the rows keep this order.
        machines: a file for each device and precision.

    Raises:
        StatedError: a file that is not a result of this version.
    """
    rows, repeats = [], []
    for path in profiles:
        profile = read_json(path)
        for row in profile["rows"]:
            checked(row, path, SCALING_COLUMNS)
            rows.append([row[name] for name in SCALING_COLUMNS])
            axes = [row[axis] for axis in SCALING_AXES]
            for process, times_ms in enumerate(profile["times_ms"][row["phase"]], start=1):
                repeats += [[*axes, process, number, time_ms] for number, time_ms in enumerate(times_ms, 1)]
    scaling = frame(rows, SCALING_COLUMNS)
    write_text(tables / "scaling.csv", scaling.write_csv())
    write_bytes(tables / "scaling.parquet", parquet(scaling))
    write_text(tables / "scaling_repeats.csv", frame(repeats, REPEAT_COLUMNS).write_csv(float_precision=4))
    described = [read_json(path) for path in machines]
    write_text(tables / "machine.json", json.dumps(described, indent=1, ensure_ascii=False) + "\n")
