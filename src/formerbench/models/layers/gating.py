"""Gates of the Temporal Fusion Transformer: what a block adds can be shut off (section 4.1).

https://arxiv.org/abs/1912.09363
"""

from torch import Tensor, nn
from torch.nn import functional

from formerbench.models.layers.dropout import Dropout

NORM_EPS = 1e-3  # of the layer norms in the official code (Keras' default)


class GatedLinearUnit(nn.Module):
    """Eq. 5: a linear map of the dropped-out input, times the sigmoid of another such map."""

    def __init__(self, d_in: int, d_out: int, *, dropout: float):
        super().__init__()
        self.dropout = Dropout(dropout)
        self.project = nn.Linear(d_in, 2 * d_out)  # value, gate

    def forward(self, values: Tensor) -> Tensor:
        """``values`` (..., d_in) to (..., d_out)."""
        return functional.glu(self.project(self.dropout(values)), dim=-1)


class GatedSkip(nn.Module):
    """LayerNorm(skip + GLU(values)): the step around every block (eqs. 2, 17, 20 and 22)."""

    def __init__(self, d_in: int, d_out: int, *, dropout: float):
        super().__init__()
        self.gate = GatedLinearUnit(d_in, d_out, dropout=dropout)
        self.norm = nn.LayerNorm(d_out, eps=NORM_EPS)

    def forward(self, values: Tensor, skip: Tensor) -> Tensor:
        """``values`` (..., d_in) and ``skip`` (..., d_out) to (..., d_out)."""
        return self.norm(skip + self.gate(values))


class GatedResidualNetwork(nn.Module):
    """Eqs. 2 to 4: two dense layers with an ELU between them, behind a gate and beside a skip connection.

    The skip connection has a dense layer only where the width changes. ``d_context`` is the width of a
    context that is added before the ELU; 0 for none.
    """

    def __init__(self, d_in: int, d_hidden: int, d_out: int, *, dropout: float, d_context: int = 0):
        super().__init__()
        self.enter = nn.Linear(d_in, d_hidden)
        self.context = nn.Linear(d_context, d_hidden, bias=False) if d_context else None
        self.inner = nn.Linear(d_hidden, d_hidden)
        self.skip = nn.Linear(d_in, d_out) if d_in != d_out else nn.Identity()
        self.gated_skip = GatedSkip(d_hidden, d_out, dropout=dropout)

    def forward(self, values: Tensor, context: Tensor | None = None) -> Tensor:
        """``values`` (..., d_in) and a ``context`` that broadcasts against them to (..., d_out)."""
        return self.finish(self.enter(values), self.skip(values), context)

    def finish(self, entered: Tensor, skip: Tensor, context: Tensor | None = None) -> Tensor:
        """What follows the two dense layers that see the input; writes over ``entered`` (..., d_hidden)."""
        if context is not None:
            entered = entered + self.context(context)
        return self.gated_skip(self.inner(functional.elu(entered, inplace=True)), skip)
