"""The prepared form of a data set: what a cell reads, without polars or pandas."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from formerbench.data.marks import time_marks
from formerbench.paths import write_bytes
from formerbench.results import read_json, write_json


@dataclass(frozen=True)
class Series:
    """A multivariate series in original units, its calendar and its splits.

    Attributes:
        name: Name in the registry.
        values: (t, v) float32.
        timestamps: (t,) datetime64[s], strictly what the file says.
        columns: names of the variates; free text.
        splits: ``{"train": (first, end), "val": ..., "test": ...}`` as row ranges, end excluded. A window of
            val or test may reach back ``lookback`` rows into the split before.
        season: steps in the seasonal naive's period.
        target: name of the target variate.
        known: (t, k) float32 inputs known for the future too, or None.
        past_covariates: (t, p) float32 inputs known for the past only, or None.
        entities: (v,) int64 static id of each variate.
        facts: everything of ``dataset.json``: source, checksum, licence, checks and defects.
    """

    name: str
    values: np.ndarray
    timestamps: np.ndarray
    columns: tuple[str, ...]
    splits: dict[str, tuple[int, int]]
    season: int
    target: str
    entities: np.ndarray
    facts: dict
    known: np.ndarray | None = None
    past_covariates: np.ndarray | None = None

    def marks(self, kind: str = "h") -> np.ndarray:
        """Time marks (t, f) float32 of every row; see :func:`formerbench.data.marks.time_marks`."""
        return time_marks(self.timestamps, kind)

    def save(self, folder: Path) -> None:
        """Write ``series.safetensors`` and ``dataset.json`` into ``folder``."""
        from safetensors.numpy import save

        arrays = {
            "values": self.values,
            "timestamps": self.timestamps.astype("datetime64[s]").astype(np.int64),
            "entities": self.entities,
            "known": self.known,
            "past_covariates": self.past_covariates,
        }
        present = {name: np.ascontiguousarray(array) for name, array in arrays.items() if array is not None}
        write_bytes(Path(folder) / "series.safetensors", save(present))
        described = {
            "name": self.name,
            "columns": list(self.columns),
            "splits": {name: list(rows) for name, rows in self.splits.items()},
            "season": self.season,
            "target": self.target,
        }
        write_json(Path(folder) / "dataset.json", described | self.facts)

    @classmethod
    def read(cls, folder: Path) -> "Series":
        """Read what :meth:`save` wrote."""
        from safetensors.numpy import load_file

        arrays = load_file(Path(folder) / "series.safetensors")
        facts = read_json(Path(folder) / "dataset.json")
        return cls(
            name=facts.pop("name"),
            values=arrays["values"],
            timestamps=arrays["timestamps"].astype("datetime64[s]"),
            columns=tuple(facts.pop("columns")),
            splits={name: tuple(rows) for name, rows in facts.pop("splits").items()},
            season=facts.pop("season"),
            target=facts.pop("target"),
            entities=arrays["entities"],
            known=arrays.get("known"),
            past_covariates=arrays.get("past_covariates"),
            facts=facts,
        )
