"""Training: Adam, a schedule, early stopping on the validation loss, and a state to resume from."""

import math
import time
from dataclasses import asdict, dataclass, field

import torch
from torch import Tensor

from formerbench import checkpoint
from formerbench.checkpoint import StateFolder
from formerbench.data.windows import Windows
from formerbench.evaluation import in_order
from formerbench.grid import Training
from formerbench.logs import logger
from formerbench.measure.clock import StepClock
from formerbench.measure.memory import PeakMemory
from formerbench.schedules import rate
from formerbench.training_step import TrainingStep, autocast

_REPORT_EVERY_S = 30


class Diverged(Exception):
    """The loss is no longer a number."""


@dataclass
class Progress:
    """How far a training is; all of it is JSON.

    Attributes:
        epoch: finished epochs. step: finished training steps.
        best_epoch, best_loss: of the smallest validation loss; epoch 0 while there is none.
        stopped_by: ``patience``, ``epochs`` or ``budget`` once it is over.
        train_time_s: seconds in training steps.
        step_times_ms: of every step.
        scaler: state of the fp16 loss scaler.
        history: a dict per epoch, the columns of ``history.csv``.
    """

    epoch: int = 0
    step: int = 0
    best_epoch: int = 0
    best_loss: float | None = None
    stopped_by: str | None = None
    train_time_s: float = 0.0
    step_times_ms: list[float] = field(default_factory=list)
    scaler: dict = field(default_factory=dict)
    history: list[dict] = field(default_factory=list)


HISTORY_COLUMNS = ("epoch", "step", "train_loss", "validation_loss", "learning_rate", "train_time_s")


class Trainer:
    """Trains ``model`` on ``windows``; the best weights by the loss on ``validation`` are in it at the end.

    On the CPU the same seed and thread count give the same bits, in one go or resumed after any epoch.
    """

    def __init__(
        self,
        model: torch.nn.Module,
        windows: Windows,
        validation: Windows,
        settings: Training,
        *,
        device: str,
        precision: str,
        seed: int,
        state: StateFolder,
        memory: PeakMemory,
    ):
        self.model, self.windows, self.validation, self.settings = model, windows, validation, settings
        self.device, self.precision, self.state, self.memory = device, precision, state, memory
        self.take_step = TrainingStep(
            model,
            device=device,
            precision=precision,
            learning_rate=settings.learning_rate,
            max_grad_norm=settings.max_grad_norm,
        )
        self.optimizer, self.scaler = self.take_step.optimizer, self.take_step.scaler
        self.sampler = torch.Generator().manual_seed(seed)
        self.best = _copy(model.state_dict())
        self.clock = StepClock(device)
        self.progress = Progress()
        self.steps_per_epoch = math.ceil(len(windows) / settings.batch_size)
        steps = settings.epochs * self.steps_per_epoch
        self.total_steps = min(steps, settings.max_steps or steps)
        self._resume()

    def train(self) -> Progress:
        """Train until patience, epochs or budget end.

        Raises:
            Diverged: the training or validation loss is not finite.
        """
        progress = self.progress
        while progress.stopped_by is None:
            progress.epoch += 1
            train_loss = self._epoch()
            validation_loss = self._validate()
            if not (math.isfinite(train_loss) and math.isfinite(validation_loss)):
                raise Diverged(
                    f"training diverged in epoch {progress.epoch}: training loss {train_loss:.4g}, "
                    f"validation loss {validation_loss:.4g}"
                )
            self._note(train_loss, validation_loss)
            progress.stopped_by = self._stop()
            with self.memory.left_out():
                self._save()
        self.model.load_state_dict(self.best)
        return progress

    def _epoch(self) -> float:
        """One pass over the training windows, or what the budget leaves of it; the mean loss."""
        self.model.train()
        order = torch.randperm(len(self.windows), generator=self.sampler)
        losses, counts, reported = [], [], time.monotonic()
        for index in order.split(self.settings.batch_size):
            if self._budget_spent():
                break
            batch, target = self.windows.batch(index.to(self.device))
            with self.clock.step():
                self._set_rate()
                losses.append(self.take_step(batch, target))
            counts.append(len(index))
            self.progress.step += 1
            if time.monotonic() - reported > _REPORT_EVERY_S:
                reported = time.monotonic()
                logger.info("  step %d of %d in this epoch", len(counts), self.steps_per_epoch)
        self.progress.step_times_ms = list(self.clock.read())
        self.progress.train_time_s = self.clock.total_ms / 1e3
        weights = torch.tensor(counts, dtype=torch.float64)
        return float((torch.stack(losses).double().cpu() * weights).sum() / weights.sum())

    def _set_rate(self) -> None:
        now = rate(
            self.settings.schedule,
            self.settings.learning_rate,
            epoch=self.progress.epoch,
            step=self.progress.step,
            total_steps=self.total_steps,
            pct_start=self.settings.pct_start,
        )
        for group in self.optimizer.param_groups:
            group["lr"], group["betas"] = now.learning_rate, (now.beta1, group["betas"][1])

    @torch.no_grad()
    def _validate(self) -> float:
        """Mean loss over the validation windows, or an even sample of them; a window counts once."""
        self.model.eval()
        count = len(self.validation)
        sample = min(count, self.settings.validation_windows or count)
        numbers = torch.linspace(0, count - 1, sample, dtype=torch.float64).round().long()
        total = 0.0
        for part in in_order(sample, self.settings.batch_size):
            batch, target = self.validation.batch(numbers[part].to(self.device))
            with autocast(self.device, self.precision):
                total += float(self.model.loss(batch, target)) * len(part)
        return total / sample

    def _note(self, train_loss: float, validation_loss: float) -> None:
        progress = self.progress
        if progress.best_loss is None or validation_loss < progress.best_loss:
            progress.best_epoch, progress.best_loss = progress.epoch, validation_loss
            self.best = _copy(self.model.state_dict())
        learning_rate = self.optimizer.param_groups[0]["lr"]
        values = (progress.epoch, progress.step, train_loss, validation_loss, learning_rate)
        progress.history.append(dict(zip(HISTORY_COLUMNS, (*values, progress.train_time_s), strict=True)))
        left = progress.train_time_s / progress.step * (self.total_steps - progress.step)
        logger.info(
            "epoch %d/%d  step %d  train %.4f  validation %.4f%s  %.1f s, at most %.0f s left",
            *(progress.epoch, self.settings.epochs, progress.step, train_loss, validation_loss),
            " (best)" if progress.best_epoch == progress.epoch else "",
            *(progress.train_time_s, left),
        )

    def _stop(self) -> str | None:
        progress = self.progress
        if self._budget_spent():
            return "budget"
        if progress.epoch - progress.best_epoch >= self.settings.patience:
            return "patience"
        return "epochs" if progress.epoch >= self.settings.epochs else None

    def _budget_spent(self) -> bool:
        steps, seconds = self.settings.max_steps, self.settings.max_seconds
        if steps is not None and self.progress.step >= steps:
            return True
        if seconds is None:
            return False
        self.clock.read()
        return self.clock.total_ms / 1e3 >= seconds

    def _save(self) -> None:
        self.progress.scaler = self.scaler.state_dict()
        tensors = (
            checkpoint.pack("model", self.model.state_dict())
            | checkpoint.pack("best", self.best)
            | checkpoint.pack("optimizer", checkpoint.optimizer_tensors(self.optimizer))
            | checkpoint.pack("rng", checkpoint.rng_tensors(self.sampler, self.device))
        )
        self.state.save(tensors, asdict(self.progress))

    def _resume(self) -> None:
        loaded = self.state.load()
        if loaded is None:
            return
        tensors, progress = loaded
        self.progress = Progress(**progress)
        self.model.load_state_dict(checkpoint.unpack("model", tensors))
        self.best = checkpoint.unpack("best", tensors)
        checkpoint.restore_optimizer(self.optimizer, checkpoint.unpack("optimizer", tensors))
        checkpoint.restore_rng(self.sampler, checkpoint.unpack("rng", tensors))
        self.scaler.load_state_dict(self.progress.scaler)
        self.clock.go_on_from(self.progress.step_times_ms)
        logger.info("resumed after epoch %d", self.progress.epoch)


def _copy(state: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor.detach().clone() for name, tensor in state.items()}
