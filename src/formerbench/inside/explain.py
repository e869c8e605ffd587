"""The inside of one trained cell on the middle window of its test split, as JSON."""

from pathlib import Path

import torch

from formerbench.data.marks import MARK_KINDS
from formerbench.data.series import Series
from formerbench.data.windows import Scaler, Windows
from formerbench.errors import DamagedFile, StatedError
from formerbench.evaluation import shown_windows
from formerbench.inside.calibration import calibration
from formerbench.inside.views import Window, views
from formerbench.logs import logger
from formerbench.results import AXES, read_json, write_json
from formerbench.trained import trained_cell, trained_model

_NOTHING = {"views": [], "patterns": [], "calibration": None, "window": None, "from": None}


def explain(folder: Path, data: Path, output: Path) -> dict:
    """Write what the cell in ``folder``, trained on the data in ``data``, shows; returns what is written.

    ``views`` and ``patterns`` are those of :func:`formerbench.inside.views.views`; ``window`` is its number,
    ``from`` the time of its first forecast step; ``calibration`` is that of quantile forecasts. A cell
    without weights, or whose model cannot be shown, has neither, and ``reason`` says why.
    """
    metrics = read_json(folder / "metrics.json")
    axes = {name: metrics[name] for name in AXES}
    try:
        found = _explained(folder, data) | {"reason": ""}
    except DamagedFile:
        raise
    except StatedError as error:
        logger.info("%s", error)
        found = _NOTHING | {"reason": str(error)}
    except Exception as error:  # an error in a model must not take the tables of the study along
        logger.exception("the cell cannot be shown:")
        found = _NOTHING | {"reason": f"{type(error).__name__}: {' '.join(str(error).split())}"}
    write_json(output, axes | found)
    return axes | found


@torch.no_grad()
def _explained(folder: Path, data: Path) -> dict:
    cell, _ = trained_cell(folder)
    series = Series.read(data)
    torch.set_num_threads(cell.threads)
    scaler = Scaler.fit(series)
    windows = Windows(series, cell.lookback, cell.horizon, "test", scaler)
    model = trained_model(folder, cell, series, windows.n_marks)
    shown = shown_windows(len(windows))
    number = shown[len(shown) // 2]
    batch, truth = windows.batch(torch.tensor([number]))
    target = series.columns.index(series.target)
    options = cell.options
    patched = {"patch_len", "stride"} <= options.keys()
    window = Window(
        columns=series.columns,
        target=target,
        season=series.season,
        lookback=cell.lookback,
        horizon=cell.horizon,
        truth=truth[0, :, target].numpy(),
        forecast=model(batch)[0, :, target].float().numpy(),
        marks=MARK_KINDS[windows.mark_kind],
        patch=(options["patch_len"], options["stride"]) if patched else None,
        past_variables=tuple(getattr(model, "past_variables", ())),
        future_variables=tuple(getattr(model, "future_variables", ())),
    )
    inside = {name: tensor.float().cpu().numpy() for name, tensor in model.explain(batch).items()}
    drawn, found = views(inside, window)
    first = series.timestamps[series.splits["test"][0] + number]
    return {
        "window": number,
        "from": str(first).replace("T", " ")[:16],
        "views": drawn,
        "patterns": found,
        "calibration": calibration(model, windows, cell.training.batch_size),
    }
