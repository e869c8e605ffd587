"""The data sets that a study can name: their sources, checksums, splits and how a CSV file is read."""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path

from formerbench.config import check, plain, read_yaml
from formerbench.errors import StatedError, nearest
from formerbench.paths import shipped

SCHEMA = "workflow/schemas/datasets.schema.yaml"
# What is said of a data set, planned with it, or tells where its file lies, which is known by its checksum.
_BESIDE_THE_VALUES = (
    "licence",
    "attribution",
    "horizons",
    "sentinels",
    "defects",
    "sources",
    "mirror_path",
)
_LONGEST_NAME = 255  # bytes, of a file or folder; Linux and macOS
NEEDED_FOR_DOWNLOAD = ("mirror_path", "sha256", "bytes", "rows", "variates", "step", "season", "target")


@dataclass(frozen=True)
class Entry:
    """A checked entry of ``config/datasets.yaml``, or of a study's config for a user's own data.

    The attributes are the keys of ``workflow/schemas/datasets.schema.yaml``, which explains them and holds
    their defaults. ``rows``, ``variates``, ``step`` and ``season`` of a generated series are its parameters'.
    """

    name: str
    sources: tuple[str, ...]
    mirror_path: str | None
    sha256: str | None
    sha256_variants: dict[str, str]
    bytes: int | None
    licence: str | None
    attribution: str | None
    rows: int | None
    variates: int | None
    step: str | None
    target: str | None
    season: int | None
    horizons: tuple[int, ...]
    split: dict[str, int | float]
    sentinels: tuple[float, ...]
    defects: tuple[str, ...]
    path: str | None
    delimiter: str
    decimal: str
    encoding: str
    date_column: str
    date_format: str | None
    columns: tuple[str, ...] | None
    known: tuple[str, ...]
    past_covariates: tuple[str, ...]
    fill: str
    generate: dict | None

    @classmethod
    def from_dict(cls, content: dict, where: str = "data set") -> "Entry":
        """Check a mapping with a ``name`` and complete it with the schema's defaults; undoes :meth:`as_dict`.

        Raises:
            StatedError: a key or value that the schema refuses; ``where`` begins the message.
        """
        content = plain(content, where)
        check(content, _schema(), where)
        _check_kind(content, where)
        if content["generate"]:
            made = content["generate"]
            content |= {"rows": made["length"], "variates": made["variates"], "step": made["step"]}
            content["season"] = content["season"] or made["seasons"][0]
        return cls(
            **{key: tuple(value) if isinstance(value, list) else value for key, value in content.items()}
        )

    @property
    def kind(self) -> str:
        """``download``, ``file`` (a user's CSV) or ``generated``."""
        return "generated" if self.generate else "file" if self.path else "download"

    @property
    def accepted(self) -> dict[str, str]:
        """SHA-256 of every file that is this data set, to its variant: ``registered`` or a listed label."""
        listed = {digest: label for label, digest in self.sha256_variants.items()}
        return ({self.sha256: "registered"} if self.sha256 else {}) | listed

    def as_dict(self) -> dict:
        """All of the entry as plain JSON types; equal entries give equal dicts."""
        return json.loads(json.dumps(asdict(self)))

    def file_and_form(self) -> dict:
        """The part of :meth:`as_dict` that decides the values: a rerun key of all that is computed."""
        return {key: value for key, value in self.as_dict().items() if key not in _BESIDE_THE_VALUES}


def load_registry(path: Path | None = None) -> dict[str, Entry]:
    """Read and check a registry; without ``path`` the one that the project ships.

    Raises:
        StatedError: no such file, no YAML, or an entry that the schema refuses; the message names the key.
    """
    path = Path(path or shipped("config/datasets.yaml"))
    stamp = path.stat().st_mtime_ns if path.is_file() else 0
    return dict(_registry(path, stamp))


def find(dataset: str | dict) -> Entry:
    """The entry of a registered name, or of a user's own mapping with the registry's keys and a ``name``.

    Raises:
        StatedError: an unknown name or key (with the nearest valid one), or a mapping that reuses the name of
            a downloaded data set, whose name stands for a known file in every table.
    """
    registry = load_registry()
    if isinstance(dataset, str):
        if dataset not in registry:
            raise StatedError(
                f"there is no data set '{dataset}'{nearest(dataset, registry)}; there are: "
                f"{', '.join(registry)}. Your own CSV is a mapping with `name` and `path`"
            )
        return registry[dataset]
    entry = Entry.from_dict(dataset, f"data set {dataset.get('name', 'without a name')}")
    if entry.name in registry and registry[entry.name].kind == "download":
        raise StatedError(
            f"data set {entry.name}: the name belongs to a registered data set; take another one"
        )
    return entry


def find_all(datasets: Iterable[str | dict]) -> dict[str, Entry]:
    """Name -> entry of the ``datasets`` of a study's config; raises as :func:`find` does."""
    return {entry.name: entry for entry in map(find, datasets)}


def splits(entry: Entry, n_rows: int) -> dict[str, tuple[int, int]]:
    """Row ranges (first, end) of train, val and test by the entry's rule; the end is excluded.

    With fractions, n_train = int(train n), n_test = int(test n) and val is the rest
    (https://github.com/zhouhaoyi/Informer2020). With counts, the rows after them belong to no split.

    Raises:
        StatedError: the rows do not suffice.
    """
    rule = entry.split
    if "val" in rule:
        train, val, test = rule["train"], rule["val"], rule["test"]
    else:
        train, test = int(rule["train"] * n_rows), int(rule["test"] * n_rows)
        val = n_rows - train - test
    if min(train, val, test) < 1 or train + val + test > n_rows:
        raise StatedError(
            f"{entry.name}: its {n_rows} rows are too few for the split {rule}, which gives {train} train, "
            f"{val} val and {test} test rows; give more rows or another `split`"
        )
    return {"train": (0, train), "val": (train, train + val), "test": (train + val, train + val + test)}


@lru_cache(maxsize=8)
def _registry(path: Path, _stamp: int) -> dict[str, Entry]:
    content = read_yaml(path)
    named = content.get("datasets")
    if not isinstance(named, dict) or not named or set(content) != {"datasets"}:
        raise StatedError(
            f"{path.name}: one key `datasets` with name to entry was expected; came: {list(content)}"
        )
    return {
        name: Entry.from_dict({"name": name} | _mapping(name, raw), f"{path.name}: {name}")
        for name, raw in named.items()
    }


def _mapping(name: str, raw) -> dict:
    if not isinstance(raw, dict):
        raise StatedError(f"data set {name}: keys and values were expected, but {raw!r} came")
    return raw


@lru_cache(maxsize=1)
def _schema() -> dict:
    return read_yaml(shipped(SCHEMA))["$defs"]["entry"]


def _check_kind(content: dict, where: str) -> None:
    """What the schema cannot say: one kind, a path that can be, a download known in full, shares below 1."""
    kinds = [key for key in ("sources", "path", "generate") if content[key]]
    if len(kinds) != 1:
        raise StatedError(
            f"{where}: one of `sources`, `path` and `generate` is needed; {kinds or 'none'} came"
        )
    longest = max(map(len, (content["path"] or "").encode().split(b"/")))
    if longest > _LONGEST_NAME:
        raise StatedError(
            f"{where}: path: file systems take names of at most {_LONGEST_NAME} bytes; one of {longest} came"
        )
    absent = [key for key in NEEDED_FOR_DOWNLOAD if content[key] is None]
    if content["sources"] and absent:
        raise StatedError(f"{where}: an entry with `sources` needs {', '.join(absent)} too")
    split = content["split"]
    if "val" not in split and split["train"] + split["test"] >= 1:
        raise StatedError(
            f"{where}: split: the shares {split} leave nothing for val; their sum must be below 1"
        )
    if content["decimal"] == content["delimiter"]:
        raise StatedError(
            f"{where}: `decimal` and `delimiter` are both '{content['decimal']}'; give another one"
        )
