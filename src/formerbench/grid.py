"""The cells of a study: every point of its grid with all settings resolved, and why some are skipped."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path

from formerbench import devices
from formerbench.config import CONFIG_SCHEMA, ModelEntry, Study, check, read_yaml
from formerbench.data.registry import Entry, find, splits
from formerbench.errors import StatedError, nearest
from formerbench.models import NAIVE, all_options, configure, spec
from formerbench.models.configs import Shape
from formerbench.paths import shipped


@dataclass(frozen=True, kw_only=True)
class Training:
    """How a model is trained; the attributes are explained in ``workflow/schemas/config.schema.yaml``."""

    batch_size: int = 32
    learning_rate: float = 1e-4
    schedule: str = "constant"
    pct_start: float = 0.3
    epochs: int = 10
    patience: int = 3
    max_grad_norm: float | None = None
    max_steps: int | None = None
    max_seconds: float | None = None
    validation_windows: int | None = None


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One job: a model on a data set at one lookback, horizon, seed, device and precision.

    Attributes:
        build_name: what :func:`formerbench.models.build` takes; differs from ``model`` for a user's class.
        options: hyper-parameters of the model, complete for the models of this package.
        timed: whether the times mean something, that is, nothing ran beside the cell by plan.
        skip: why the cell makes no sense on any machine, or None.
    """

    study: str
    dataset: str
    model: str
    lookback: int
    horizon: int
    seed: int
    device: str
    precision: str
    build_name: str
    options: dict
    training: Training
    threads: int
    timed: bool
    skip: str | None

    @property
    def folder(self) -> Path:
        """Folder of the cell's files below ``results/<study>``."""
        return Path(
            "accuracy",
            self.dataset,
            self.model,
            f"L{self.lookback}_H{self.horizon}",
            f"{self.device}_{self.precision}",
            f"seed{self.seed}",
        )

    def as_dict(self) -> dict:
        """Plain values for JSON; :meth:`from_dict` is the way back."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict) -> "Cell":
        return cls(**{**values, "training": Training(**values["training"])})


def cells(study: Study) -> list[Cell]:
    """All cells of a study, in the order of its config.

    Raises:
        StatedError: an unknown dataset, model or option, or a window longer than a training split.
    """
    hyper_parameters = _hyper_parameters(study)
    return [
        cell
        for dataset, model in product(study.datasets, study.models)
        for cell in _cells(study, find(dataset), model, hyper_parameters)
    ]


def _cells(study: Study, entry: Entry, model: ModelEntry, hyper_parameters: dict) -> Iterator[Cell]:
    horizons = entry.horizons if study.horizons == "registered" else study.horizons
    if study.lookbacks == "official":
        lookbacks = [_official_lookback(hyper_parameters, model.name)]
    else:
        lookbacks = study.lookbacks
    axes = product(lookbacks, horizons, study.devices, study.precisions, study.seeds)
    for lookback, horizon, device, precision, seed in axes:
        _refuse_long_window(entry, lookback, horizon)
        layers = _layers(study, hyper_parameters, model.name, entry.name, horizon)
        training = _laid_over([layer.get("training", {}) for layer in layers])
        options = _laid_over([model.options, *(layer.get("model", {}) for layer in layers)])
        if model.class_path is None:
            options = all_options(model.name, options)
        yield Cell(
            study=study.study,
            dataset=entry.name,
            model=model.name,
            lookback=lookback,
            horizon=horizon,
            seed=seed,
            device=device,
            precision=precision,
            build_name=model.class_path or model.name,
            options=options,
            training=Training(
                **training,
                max_steps=study.budget["steps"],
                max_seconds=study.budget["seconds"],
                validation_windows=study.budget["validation_windows"],
            ),
            threads=study.threads,
            timed=not study.parallel,
            skip=_skip(entry, model, options, lookback, horizon, device, precision),
        )


def shown_inside(planned: list[Cell]) -> list[Cell]:
    """The cells whose inside a report shows: of each data set and model that is trained, one.

    It has the shortest horizon and, of these, the longest lookback, on a device that is there if one is; of
    seeds, devices, precisions the first.
    """

    def rank(cell: Cell) -> tuple:
        return cell.horizon, -cell.lookback, devices.problem(cell.device) is not None

    chosen = {}
    for cell in planned:
        if not cell.skip and cell.build_name not in NAIVE:
            key = cell.dataset, cell.model
            chosen[key] = min(chosen.get(key, cell), cell, key=rank)  # of equals the first
    return list(chosen.values())


def _skip(entry: Entry, model: ModelEntry, options: dict, lookback, horizon, device, precision) -> str | None:
    """Why a combination makes no sense on any machine, or None."""
    if precision == "fp16" and device == "cpu":
        return "fp16 training needs a CUDA device"
    if model.class_path is not None:
        return None
    return configure(model.name, options).problem(planned_shape(entry, lookback, horizon))


def planned_shape(entry: Entry, lookback: int, horizon: int) -> Shape:
    """The shape as far as it is known before the data is prepared.

    A user's own file may leave variates and season to its preparation; then the cell itself finds out.
    """
    sizes = {"n_variates": entry.variates or 1, "season": entry.season or 1}
    return Shape(lookback=lookback, horizon=horizon, **sizes)


def _hyper_parameters(study: Study) -> dict:
    """config/models.yaml, after the study's ``settings`` were found to name models of the study."""
    names = [model.name for model in study.models]
    for name in study.settings:
        if name not in [*names, "all"]:
            raise StatedError(
                f"config: settings: '{name}' is no model of this study{nearest(name, names)}; "
                f"there are: {', '.join(names)} and 'all'"
            )
    for model in study.models:
        if model.class_path is None:
            spec(model.name)
    content = read_yaml(shipped("config/models.yaml"))
    schema = read_yaml(shipped("workflow/schemas/models.schema.yaml"))
    schema["$defs"]["training"] = read_yaml(shipped(CONFIG_SCHEMA))["$defs"]["training"]
    check(content, schema, "models.yaml")
    return content


def _layers(study: Study, hyper_parameters: dict, model: str, dataset: str, horizon: int) -> list[dict]:
    """The settings that apply to a cell, the more special ones later."""
    shipped_settings = hyper_parameters.get(model, {})
    of_dataset = shipped_settings.get("datasets", {}).get(dataset, {})
    return [
        shipped_settings.get("default", {}),
        of_dataset,
        of_dataset.get("horizons", {}).get(horizon, {}),
        study.settings.get("all", {}),
        study.settings.get(model, {}),
    ]


def _official_lookback(hyper_parameters: dict, model: str) -> int:
    lookback = hyper_parameters.get(model, {}).get("lookback")
    if lookback is None:
        raise StatedError(
            f"config: lookbacks: models.yaml has no official lookback of '{model}'; list lookbacks instead"
        )
    return lookback


def _laid_over(layers: list[dict]) -> dict:
    merged = {}
    for layer in layers:
        merged |= layer
    return merged


def _refuse_long_window(entry: Entry, lookback: int, horizon: int) -> None:
    if entry.rows is None:
        return  # a user's own file: its length is known once it is prepared
    rows = {split: end - first for split, (first, end) in splits(entry, entry.rows).items()}
    if lookback + horizon > rows["train"]:
        raise StatedError(
            f"config: lookback {lookback} and horizon {horizon} make a window of {lookback + horizon} rows, "
            f"but the training split of {entry.name} has {rows['train']}"
        )
    for split in ("val", "test"):
        if horizon > rows[split]:
            raise StatedError(
                f"config: the horizon {horizon} is longer than the {split} split of {entry.name}, "
                f"which has {rows[split]} rows"
            )
