"""What operations make while a test looks on."""

import torch
from torch.utils._python_dispatch import TorchDispatchMode


class Made(TorchDispatchMode):
    """``operations``, the name of each, and ``tensors``: (shape, elements in memory) of what they make."""

    def __init__(self):
        super().__init__()
        self.operations, self.tensors = [], []

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        out = function(*args, **kwargs or {})
        self.operations.append(str(function))
        for x in out if isinstance(out, tuple | list) else [out]:
            if isinstance(x, torch.Tensor):
                self.tensors.append((tuple(x.shape), x.untyped_storage().nbytes() // x.element_size()))
        return out

    def largest(self) -> int:
        return max(elements for _, elements in self.tensors)
