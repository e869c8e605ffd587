"""Every trained model, small, and a batch for it."""

import torch

from formerbench.models import build
from formerbench.models.batch import Batch

TINY = {
    "dlinear": {},
    "patchtst": {
        "patch_len": 8,
        "stride": 4,
        "d_model": 16,
        "n_heads": 2,
        "d_ff": 16,
        "layers": 2,
        "dropout": 0.1,
    },
    "itransformer": {"d_model": 16, "n_heads": 2, "d_ff": 16, "dropout": 0.1},
    "informer": {"d_model": 32, "n_heads": 2, "d_ff": 32, "label_len": 12, "factor": 2},
    "autoformer": {"d_model": 16, "n_heads": 2, "d_ff": 16, "label_len": 12, "kernel": 5},
    "fedformer": {"d_model": 16, "n_heads": 2, "d_ff": 64, "label_len": 12, "modes": 8},
    "tft": {"d_model": 32, "n_heads": 2},
    "tft+statics": {"d_model": 32, "n_heads": 2, "n_entities": 5, "n_static_reals": 1},
}
TRAINED = list(TINY)
TRANSFORMERS = [name for name in TRAINED if name not in ("dlinear", "tft")]
ATTENTION = ["patchtst", "itransformer", "informer", "tft+statics"]
L, H, V = 24, 8, 3


def tiny(name, seed=0, **changes):
    torch.manual_seed(seed)
    options = {"lookback": L, "horizon": H, "n_variates": V, "season": 12} | TINY.get(name, {}) | changes
    return build(name.partition("+")[0], **options)


def batch(b=8, seed=0, lookback=L, horizon=H, n_marks=4):
    random = torch.Generator().manual_seed(seed)
    shapes = ((b, lookback, V), (b, lookback, n_marks), (b, horizon, n_marks), (V, 1))
    past, past_marks, future_marks, reals = (torch.randn(*shape, generator=random) for shape in shapes)
    return Batch(past, past_marks, future_marks, static_ids=torch.tensor([3, 1, 4]), static_reals=reals)


def only(inputs, sample):
    """The batch of one sample of ``inputs``."""
    of_samples = ("past", "past_marks", "future_marks")
    return inputs._replace(**{field: getattr(inputs, field)[sample : sample + 1] for field in of_samples})


def trained(model):
    return [parameter for parameter in model.parameters() if parameter.requires_grad]
