"""The prepared form of a data set: what a cell reads, without polars or pandas."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from formerbench.data.marks import time_marks
from formerbench.errors import DamagedFile
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
        sha256: checksum of the file that it was prepared from.
        facts: what ``dataset.json`` says of source, licence, checks and defects; empty where that file is not
            there, because no cell needs it.
    """

    name: str
    values: np.ndarray
    timestamps: np.ndarray
    columns: tuple[str, ...]
    splits: dict[str, tuple[int, int]]
    season: int
    target: str
    entities: np.ndarray
    sha256: str
    facts: dict
    known: np.ndarray | None = None
    past_covariates: np.ndarray | None = None

    def marks(self, kind: str = "h") -> np.ndarray:
        """Time marks (t, f) float32 of every row; see :func:`formerbench.data.marks.time_marks`."""
        return time_marks(self.timestamps, kind)

    def save(self, folder: Path) -> None:
        """Write ``series.safetensors`` and ``dataset.json`` into ``folder``."""
        self.save_arrays(Path(folder) / "series.safetensors")
        self.save_facts(Path(folder) / "dataset.json")

    def save_arrays(self, path: Path) -> None:
        """Write all that a cell needs."""
        from safetensors.numpy import save

        arrays = {
            "values": self.values,
            "timestamps": self.timestamps.astype("datetime64[s]").astype(np.int64),
            "entities": self.entities,
            "known": self.known,
            "past_covariates": self.past_covariates,
        }
        present = {name: np.ascontiguousarray(array) for name, array in arrays.items() if array is not None}
        write_bytes(path, save(present, metadata={"series": json.dumps(self._described())}))

    def save_facts(self, path: Path) -> None:
        """Write what a reader wants to know."""
        write_json(path, self._described() | self.facts)

    def _described(self) -> dict:
        return {
            "name": self.name,
            "columns": list(self.columns),
            "splits": {name: list(rows) for name, rows in self.splits.items()},
            "season": self.season,
            "target": self.target,
            "sha256": self.sha256,
        }

    @classmethod
    def read(cls, folder: Path) -> "Series":
        """Read what :meth:`save` wrote; ``dataset.json`` may be missing.

        Raises:
            DamagedFile: the file is not what was written.
        """
        from safetensors import SafetensorError, safe_open

        path = Path(folder) / "series.safetensors"
        try:
            with safe_open(path, framework="numpy") as file:
                arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
                described = json.loads(file.metadata()["series"])
        except (SafetensorError, TypeError, KeyError) as error:
            raise DamagedFile.of(path, error) from error
        file = Path(folder) / "dataset.json"
        facts = read_json(file) if file.is_file() else {}
        return cls(
            name=described["name"],
            values=arrays["values"],
            timestamps=arrays["timestamps"].astype("datetime64[s]"),
            columns=tuple(described["columns"]),
            splits={name: tuple(rows) for name, rows in described["splits"].items()},
            season=described["season"],
            target=described["target"],
            entities=arrays["entities"],
            sha256=described["sha256"],
            facts={key: value for key, value in facts.items() if key not in described},
            known=arrays.get("known"),
            past_covariates=arrays.get("past_covariates"),
        )
