"""From a trained cell and a CSV file to a forecast of the steps after the file's last row."""

import csv
import io
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from formerbench.config import load_config
from formerbench.data.calendar import Step, most_frequent_step, step_of
from formerbench.data.prepare import named_missing, refuse_unsorted
from formerbench.data.reading import Table, read_table
from formerbench.data.registry import Entry, find_all, load_registry
from formerbench.data.series import Series
from formerbench.data.windows import Scaler, Windows
from formerbench.errors import StatedError
from formerbench.evaluation import check_shape, forecasts
from formerbench.grid import Cell
from formerbench.trained import trained_cell, trained_model


@dataclass(frozen=True)
class Forecast:
    """A forecast in original units: ``values`` (H, v), and ``quantiles`` level to (H, v)."""

    date_column: str
    timestamps: np.ndarray  # (H,) datetime64[s]
    columns: tuple[str, ...]
    values: np.ndarray
    quantiles: dict[float, np.ndarray]

    def as_csv(self) -> str:
        """A date column, a column a variate, then ``<variate> q<level>`` for each level."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        levels = [f"{name} q{level:g}" for name in self.columns for level in self.quantiles]
        writer.writerow([self.date_column, *self.columns, *levels])
        by_level = np.stack([*self.quantiles.values()], axis=-1) if self.quantiles else self.values[:, :0]
        for stamp, *row in zip(self.timestamps, self.values, by_level, strict=True):
            numbers = np.concatenate([part.ravel() for part in row])
            writer.writerow([str(stamp).replace("T", " "), *(f"{number:.9g}" for number in numbers)])
        return text.getvalue()


def forecast(folder: Path, source: Path, data: Path | None = None, config: Path | None = None) -> Forecast:
    """Forecast the steps after the last row of a CSV, on the CPU in single precision.

    Known inputs are taken from ``horizon`` further rows, in which the variates are empty.

    Args:
        folder: a cell's, with ``metrics.json`` and ``model.safetensors``.
        source: the CSV file, with the variates and inputs that the cell was trained on, by name.
        data: folder with the prepared data set; by default the one of the cell's study.
        config: the study's config, whose entry says how the file is read; by default the registry's entry
            of that name says so, or the defaults do.

    Raises:
        StatedError: no such cell, one without a result, data that do not belong to it, or a CSV that lacks
            columns, rows or values, or has another step.
    """
    cell, metrics = trained_cell(folder)
    series = _series(folder, metrics, data, cell)
    entry = _entry(cell, series, source, config)
    table = read_table(entry, source)
    refuse_unsorted(source, table.timestamps)
    step = _step(entry, series, source, table)
    window = _window(cell, series, source, table, step)
    scaler = Scaler.fit(series)
    windows = Windows(window, cell.lookback, cell.horizon, "test", scaler)
    model = trained_model(folder, cell, series, windows.n_marks)
    with torch.inference_mode():
        batch, target = windows.batch(torch.tensor([0]))
        point, by_level = forecasts(model, batch)
    values = scaler.unscale(check_shape(point, target)[0].float().numpy())
    if not np.isfinite(values).all():
        raise StatedError(f"{source.name}: the forecast is not finite; look for odd values in the last rows")
    levels = getattr(model, "quantile_levels", ()) if by_level is not None else ()
    quantiles = {level: scaler.unscale(by_level[0, ..., i].float().numpy()) for i, level in enumerate(levels)}
    return Forecast(entry.date_column, window.timestamps[-cell.horizon :], series.columns, values, quantiles)


def _series(folder: Path, metrics: dict, data: Path | None, cell: Cell) -> Series:
    """The data that the cell was trained on: their training rows hold the scale."""
    study = folder.joinpath(*[".."] * len(cell.folder.parts)).resolve()
    data = data or study / "data" / cell.dataset
    if not (data / "series.safetensors").is_file():
        raise StatedError(
            f"there is no prepared data set in {data}, and the scale of the cell is that of its training "
            "rows; name the folder with --data"
        )
    series = Series.read(data)
    if series.sha256 != metrics["data_sha256"]:
        raise StatedError(
            f"the data in {data} are not those that the cell was trained on: their sha256 is "
            f"{series.sha256}, wanted {metrics['data_sha256']}; name another folder with --data"
        )
    return series


def _entry(cell: Cell, series: Series, source: Path, config: Path | None) -> Entry:
    """How the CSV is read: the form by the study or registry, the columns by the prepared data."""
    own = find_all(load_config(config).datasets) if config else {}
    known_forms = load_registry() | own
    entry = known_forms.get(cell.dataset) or Entry.from_dict({"name": cell.dataset, "path": str(source)})
    inputs = {}
    for key, facts_key, array in (
        ("known", "known_columns", series.known),
        ("past_covariates", "past_covariate_columns", series.past_covariates),
    ):
        inputs[key] = tuple(series.facts.get(facts_key) or getattr(entry, key))
        if len(inputs[key]) != (0 if array is None else array.shape[1]):
            raise StatedError(
                f"{cell.dataset}: its {key.replace('_', ' ')} have no names without dataset.json beside the "
                "prepared data; add that file, or name the study's config with --config"
            )
    return replace(entry, columns=series.columns, target=None, **inputs)


def _step(entry: Entry, series: Series, source: Path, table: Table) -> Step:
    """The step of the data that the cell was trained on, which must be the file's."""
    named = series.facts.get("step") or entry.step
    step = step_of(named) if named else most_frequent_step(series.timestamps)
    if len(table.timestamps) > 1:
        wanted, came = (np.median(step.elapsed(stamps)) for stamps in (series.timestamps, table.timestamps))
        if abs(came - wanted) > 0.1 * wanted:
            raise StatedError(
                f"{source.name}: the cell was trained on rows {wanted:g} x {step} apart, but these are "
                f"{came:g} x {step} apart; bring the file to that step"
            )
    return step


def _window(cell: Cell, series: Series, source: Path, table: Table, step: Step) -> Series:
    """The training rows, then the lookback from the file and the horizon, as one window of a test split.

    What is not known of the future is NaN, so that nothing can be taken from it unseen.
    """
    n_variates, n_known = len(series.columns), 0 if series.known is None else series.known.shape[1]
    missing = np.isnan(table.cells)
    rows = len(missing)
    if n_known:
        rows = int(np.flatnonzero(np.r_[True, ~missing[:, :n_variates].all(axis=1)])[-1])
    first, end = rows - cell.lookback, rows + (cell.horizon if n_known else 0)
    if first < 0:
        raise StatedError(
            f"{source.name}: the cell looks back {cell.lookback} rows, but the file has {rows} with variates"
            "; give a longer one"
        )
    if end > len(missing):
        named = ", ".join(f"'{name}'" for name in table.columns[n_variates : n_variates + n_known])
        raise StatedError(
            f"{source.name}: {cell.horizon} rows with {named} and empty variates are wanted after the last "
            f"row of the variates, because the model is told these in advance; {len(missing) - rows} came"
        )
    missing[:first] = missing[end:] = False
    missing[rows:, :n_variates] = missing[rows:, n_variates + n_known :] = False
    if missing.any():
        raise StatedError(f"{source.name}: {named_missing(table, missing)}; the forecast needs them all")
    used = np.full((cell.lookback + cell.horizon, table.cells.shape[1]), np.nan, np.float32)
    used[: end - first] = table.cells[first:end]
    used[cell.lookback :, :n_variates] = used[cell.lookback :, n_variates + n_known :] = np.nan
    values, known, past = np.split(used, [n_variates, n_variates + n_known], axis=1)
    ahead = table.timestamps[rows:end] if n_known else step.after(table.timestamps[rows - 1], cell.horizon)
    train = slice(*series.splits["train"])
    length = train.stop - train.start
    test = length + cell.lookback
    return replace(
        series,
        values=np.concatenate([series.values[train], values]),
        known=None if series.known is None else np.concatenate([series.known[train], known]),
        past_covariates=None
        if series.past_covariates is None
        else np.concatenate([series.past_covariates[train], past]),
        timestamps=np.concatenate([series.timestamps[train], table.timestamps[first:rows], ahead]),
        splits={"train": (0, length), "test": (test, test + cell.horizon)},
    )
