"""Models of known time and memory, for the tests of the instrument to look for."""

import os
import signal
import time

import torch

from formerbench.models.batch import Forecaster

MB = 2**20


class Probe(Forecaster):
    """Forecasts zeros after :meth:`act`; has one parameter so that it can be trained."""

    def __init__(self, shape, **options):
        super().__init__()
        self.horizon, self.options = shape.horizon, options
        self.weight = torch.nn.Parameter(torch.zeros(()))

    def forward(self, batch):
        if batch.past.shape[0] > 1:  # not in the rehearsal
            self.act(**self.options)
        return self.weight.expand(len(batch.past), self.horizon, batch.past.shape[-1])

    def act(self):
        pass


class OneBlock(Probe):
    def act(self, mb):
        torch.zeros(mb * MB, dtype=torch.uint8)


class Spike(Probe):
    def act(self, mb, seconds):
        block = torch.zeros(mb * MB, dtype=torch.uint8)
        time.sleep(seconds)
        del block


class SmallBlocks(Probe):
    def act(self, mb, count):
        kept = [torch.zeros(mb * MB // count, dtype=torch.uint8) for _ in range(count)]
        del kept


class Sleep(Probe):
    def act(self, seconds):
        time.sleep(seconds)


class Killed(Probe):
    def act(self):
        os.kill(os.getpid(), signal.SIGKILL)


class Wrong(Probe):
    def act(self):
        raise ValueError("as planned")


class Product(Probe):
    """A product of two (n, n) matrices with all threads."""

    def act(self, n):
        torch.ones(n, n) @ torch.ones(n, n)
