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


def trained_cell(folder: Path) -> tuple[Cell, dict]:
    """The cell in ``folder``, which ended ok, and its ``metrics.json``.

    Raises:
        StatedError: there is no cell in ``folder``, it ended otherwise, or another version wrote it.
    """
    if not (folder / "metrics.json").is_file():
        raise StatedError(
            f"there is no cell in {folder}, which has no metrics.json; give a folder such as "
            "results/quick/accuracy/ETTh1/dlinear/L96_H96/cpu_fp32/seed1"
        )
    metrics = read_json(folder / "metrics.json")
    try:
        if metrics["status"] != "ok":
            raise StatedError(
                f"the cell in {folder} has no weights: it ended as {metrics['status']} ({metrics['reason']})"
            )
        return Cell.from_dict(metrics["cell"]), metrics
    except (KeyError, TypeError) as error:
        raise StatedError(f"{folder} is of another version ({error}); train the cell again") from error


def trained_model(folder: Path, cell: Cell, series: Series, n_marks: int) -> torch.nn.Module:
    """The model of ``cell`` with the weights in ``folder``, in evaluation mode on the CPU.

    Raises:
        StatedError: the weights do not fit.
        DamagedFile: they cannot be read, or are gone.
    """
    weights = folder / "model.safetensors"
    if not weights.is_file():
        raise DamagedFile(f"there is no {weights}, though the cell ended ok; train it again")
    torch.manual_seed(cell.seed)  # what a model draws when it is built and is no weight
    model = model_of(cell, series, n_marks)
    try:
        model.load_state_dict(load_file(weights))
    except (SafetensorError, OSError) as error:
        raise DamagedFile.of(weights, error) from error
    except RuntimeError as error:
        raise StatedError(
            f"the weights in {folder} do not fit the model: {' '.join(str(error).split())}; was its code "
            "changed since? Train the cell again"
        ) from error
    return model.eval()
