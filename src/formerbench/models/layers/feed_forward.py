"""The position-wise feed-forward network between attention layers."""

from torch import nn

from formerbench.models.layers.dropout import Dropout


def feed_forward(d_model: int, d_ff: int, *, dropout: float, bias: bool = True) -> nn.Sequential:
    """Linear, GELU, dropout, linear, dropout over the last axis, of width ``d_model``.

    Attention Is All You Need, section 3.3 (https://arxiv.org/abs/1706.03762), with GELU for ReLU as all
    models here have it. The convolutions of width 1 in the official codes are these linear maps.
    """
    return nn.Sequential(
        nn.Linear(d_model, d_ff, bias=bias),
        nn.GELU(),
        Dropout(dropout),
        nn.Linear(d_ff, d_model, bias=bias),
        Dropout(dropout),
    )
