"""A trained cell from its folder: what it was, and the model with its weights."""

from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from formerbench.cell import model_of
from formerbench.data.series import Series
from formerbench.errors import DamagedFile, StatedError
from formerbench.grid import Cell
from formerbench.results import read_json


def read_metrics(folder: Path) -> dict:
    """``metrics.json`` of a cell that ended ok.

    Raises:
        StatedError: there is no cell in ``folder``, or it ended otherwise.
    """
    if not (folder / "metrics.json").is_file():
        raise StatedError(
            f"there is no cell in {folder}, which has no metrics.json; give a folder such as "
            "results/quick/accuracy/ETTh1/dlinear/L96_H96/cpu_fp32/seed1"
        )
    metrics = read_json(folder / "metrics.json")
    if metrics["status"] != "ok":
        raise StatedError(
            f"the cell in {folder} has no weights: it ended as {metrics['status']} ({metrics['reason']})"
        )
    return metrics


def trained_model(folder: Path, cell: Cell, series: Series, n_marks: int) -> torch.nn.Module:
    """The model of ``cell`` with the weights in ``folder``, in evaluation mode on the CPU.

    Raises:
        StatedError: the weights do not fit.
        DamagedFile: they cannot be read, or are gone.
    """
    torch.manual_seed(cell.seed)  # what a model draws when it is built and is no weight
    model = model_of(cell, series, n_marks)
    try:
        model.load_state_dict(load_file(folder / "model.safetensors"))
    except (SafetensorError, OSError) as error:
        raise DamagedFile.of(folder / "model.safetensors", error) from error
    except RuntimeError as error:
        raise StatedError(
            f"the weights in {folder} do not fit the model: {' '.join(str(error).split())}; was its code "
            "changed since? Train the cell again"
        ) from error
    return model.eval()
