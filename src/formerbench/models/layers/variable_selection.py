"""Variable selection of the Temporal Fusion Transformer (section 4.2, https://arxiv.org/abs/1912.09363)."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from formerbench.models.layers.checkpointing import call
from formerbench.models.layers.gating import GatedResidualNetwork


class ScalarEmbedding(nn.Module):
    """Each of n scalars to a vector of its own by an affine map of its own."""

    def __init__(self, n_variables: int, d_model: int):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(n_variables, d_model).uniform_(-1, 1))
        self.bias = nn.Parameter(torch.empty(n_variables, d_model).uniform_(-1, 1))

    def forward(self, scalars: Tensor) -> Tensor:
        """``scalars`` (..., n) to (..., n, d)."""
        return torch.addcmul(self.bias, scalars.unsqueeze(-1), self.weight)


class VariableSelection(nn.Module):
    """The sum of n embedded variables, each through a network of its own, with weights from all of them.

    A single variable has the weight 1, so that there is no network to choose it.
    """

    network = GatedResidualNetwork

    def __init__(self, n_variables: int, d_model: int, *, dropout: float, d_context: int = 0):
        super().__init__()
        d, n = d_model, n_variables
        self.variables = nn.ModuleList(self.network(d, d, d, dropout=dropout) for _ in range(n))
        self.choose = self.network(n * d, d, n, dropout=dropout, d_context=d_context) if n > 1 else None

    def forward(self, embedded: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """``embedded`` (..., n, d) to the selection (..., d) and its weights (..., n), which sum to 1."""
        pairs = zip(self.variables, embedded.unbind(-2), strict=True)
        transformed = torch.stack([network(variable) for network, variable in pairs], dim=-2)  # eq. 7
        if self.choose is None:
            weights = torch.ones_like(embedded[..., 0])
        else:
            weights = torch.softmax(self.choose(embedded.flatten(-2), context), dim=-1)  # eq. 6
        return (weights.unsqueeze(-2) @ transformed).squeeze(-2), weights  # eq. 8


class ScalarResidualNetwork(GatedResidualNetwork):
    """The gated residual network of n embedded scalars side by side, without forming the embeddings.

    Embedding and the dense layer after it are one affine map of n scalars, which a product of the weights
    alone gives; that saves the widest matrix product of the model, and the memory of its input.
    """

    def forward(self, scalars: Tensor, weight: Tensor, bias: Tensor, context: Tensor | None = None) -> Tensor:
        """``scalars`` (..., n) with their embedding's ``weight`` and ``bias`` (n, d) to (..., d_out)."""
        if isinstance(self.skip, nn.Linear):
            skip = functional.linear(scalars, *_through(self.skip, weight, bias))
        else:
            skip = functional.linear(scalars, weight.T, bias.flatten())  # n = 1
        return self.finish(functional.linear(scalars, *_through(self.enter, weight, bias)), skip, context)


class ScalarVariableSelection(VariableSelection):
    """Variable selection of embedded scalars; the same function with the same parameters.

    The variables that all series of a window share, such as time marks, pass their networks once a window,
    so that in training the dropout inside these networks falls on all its series alike.
    """

    network = ScalarResidualNetwork

    def forward(
        self,
        own: Tensor | None,
        shared: Tensor | None,
        embedding: Sequence[Tensor],
        context: Tensor | None = None,
        recompute: bool = False,
    ) -> tuple[Tensor, Tensor]:
        """Select among the variables of each series and those that all series of a window share.

        Args:
            own: (t, b, v, n_own) or None; these are the first variables.
            shared: (t, b, 1, n_shared) or None.
            embedding: weight and bias, each (n, d).
            context: (v, d) or None.
            recompute: compute the variables' networks again in the backward pass.

        Returns:
            The selection (t, b, v, d) and its weights (t, b, v, n), which sum to 1; v is 1 where neither
            ``own`` nor ``context`` tells the series apart.
        """
        if own is None or shared is None:
            scalars = shared if own is None else own
        else:
            scalars = torch.cat([own, shared.expand(-1, -1, own.shape[2], -1)], dim=-1)
        if self.choose is None:
            weights = torch.ones_like(scalars)
        else:
            scores = call(self.choose, scalars, *embedding, context, recompute=recompute)
            weights = torch.softmax(scores, dim=-1)  # eq. 6
        columns = [*_columns(own), *_columns(shared)]
        maps = zip(*(part.split(1) for part in embedding), strict=True)
        transformed = [
            call(network, column, *map_, recompute=recompute)  # eq. 7
            for network, column, map_ in zip(self.variables, columns, maps, strict=True)
        ]
        return _mixed(weights, transformed), weights


def _columns(scalars: Tensor | None) -> tuple[Tensor, ...]:
    return () if scalars is None else scalars.split(1, dim=-1)


def _through(dense: nn.Linear, weight: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
    """Weight (o, n) and bias (o,) of ``dense`` after the embedding ``weight`` and ``bias`` (n, d)."""
    blocks = dense.weight.unflatten(-1, weight.shape)  # (o, n, d)
    return torch.einsum("ond,nd->on", blocks, weight), dense(bias.flatten())


def _mixed(weights: Tensor, variables: list[Tensor]) -> Tensor:
    """Eq. 8: the sum of ``variables``, (t, b, v, d) or (t, b, 1, d) each, by ``weights`` (t, b, v, n).

    Stacking would copy them all, so they are added one by one; but what v series share is a matrix product.
    """
    by_variable, v = weights.split(1, dim=-1), weights.shape[-2]
    shared = [j for j, variable in enumerate(variables) if v > 1 and variable.shape[-2] == 1]
    mixed = None
    if shared:
        factors = torch.cat([by_variable[j] for j in shared], dim=-1)
        mixed = factors @ torch.cat([variables[j] for j in shared], dim=-2)
    for j, variable in enumerate(variables):
        if j not in shared:
            weight = by_variable[j]
            mixed = weight * variable if mixed is None else torch.addcmul(mixed, weight, variable)
    return mixed
