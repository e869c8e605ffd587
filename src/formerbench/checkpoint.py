"""The state of an unfinished training: written every epoch, read after a kill, gone on success.

``state.json`` names the tensors file that belongs to it and is replaced in one step, so that a kill at any
moment leaves the old state or the new one.
"""

import shutil
from pathlib import Path

import torch
from safetensors.torch import load_file, save
from torch import Tensor

from formerbench.logs import logger
from formerbench.paths import write_bytes
from formerbench.results import read_json, write_json


class StateFolder:
    """State of one cell in ``folder``, valid for ``key`` alone (a digest of settings, code and data).

    Attributes:
        attempts: how often the cell was begun with this key, this time included.
    """

    def __init__(self, folder: Path, key: str):
        self.folder, self.key = folder, key
        self._file = folder / "state.json"
        found = read_json(self._file) if self._file.exists() else None
        if found is not None and found["key"] != key:
            logger.info("settings, code or data changed since the unfinished run: it starts afresh")
            found = None
        if found is None:
            shutil.rmtree(folder, ignore_errors=True)
            found = {"key": key, "attempts": 0, "tensors": None, "progress": None}
        self._content = found
        self._content["attempts"] += 1
        write_json(self._file, self._content)

    @property
    def attempts(self) -> int:
        return self._content["attempts"]

    def save(self, tensors: dict[str, Tensor], progress: dict) -> None:
        """Replace the state by ``tensors`` and the JSON-able ``progress``."""
        before = self._content["tensors"]
        name = f"epoch{progress['epoch']}.safetensors"
        own = {key: tensor.detach().cpu().clone().contiguous() for key, tensor in tensors.items()}
        write_bytes(self.folder / name, save(own))
        self._content |= {"tensors": name, "progress": progress}
        write_json(self._file, self._content)
        if before not in (None, name):
            (self.folder / before).unlink(missing_ok=True)

    def load(self) -> tuple[dict[str, Tensor], dict] | None:
        """The tensors and progress that :meth:`save` wrote last, or None at a first attempt."""
        if self._content["progress"] is None:
            return None
        return load_file(self.folder / self._content["tensors"]), self._content["progress"]

    def remove(self) -> None:
        """Forget the state: the cell is done."""
        self._file.unlink(missing_ok=True)  # first, as it names the others and a kill may come in between
        shutil.rmtree(self.folder, ignore_errors=True)


def pack(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Put ``prefix.`` before every name."""
    return {f"{prefix}.{name}": tensor for name, tensor in tensors.items()}


def unpack(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """The tensors whose name begins with ``prefix.``, without it."""
    start = f"{prefix}."
    return {name.removeprefix(start): tensor for name, tensor in tensors.items() if name.startswith(start)}


def optimizer_tensors(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Adam's moments and step counts as ``<parameter number>.<name>``."""
    state = optimizer.state_dict()["state"]
    return {f"{number}.{name}": tensor for number, entry in state.items() for name, tensor in entry.items()}


def restore_optimizer(optimizer: torch.optim.Optimizer, tensors: dict[str, Tensor]) -> None:
    """Put back what :func:`optimizer_tensors` gave."""
    state: dict[int, dict[str, Tensor]] = {}
    for key, tensor in tensors.items():
        number, _, name = key.partition(".")
        state.setdefault(int(number), {})[name] = tensor
    optimizer.load_state_dict(optimizer.state_dict() | {"state": state})


def rng_tensors(sampler: torch.Generator, device: str) -> dict[str, Tensor]:
    """States of all random number generators that a training on ``device`` draws from."""
    states = {"torch": torch.get_rng_state(), "sampler": sampler.get_state()}
    if device == "cuda":
        states["cuda"] = torch.cuda.get_rng_state()
    return states


def restore_rng(sampler: torch.Generator, tensors: dict[str, Tensor]) -> None:
    """Put back what :func:`rng_tensors` gave."""
    torch.set_rng_state(tensors["torch"])
    sampler.set_state(tensors["sampler"])
    if "cuda" in tensors:
        torch.cuda.set_rng_state(tensors["cuda"])
