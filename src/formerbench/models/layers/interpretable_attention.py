"""Interpretable multi-head attention: heads share their values, so that one map tells what was looked at.

Temporal Fusion Transformer, section 4.4 (https://arxiv.org/abs/1912.09363).
"""

from torch import Tensor, nn

from formerbench.models.layers.attention import attend, attention_weights, causal_mask
from formerbench.models.layers.dropout import Dropout


class InterpretableAttention(nn.Module):
    """Eqs. 13 to 16, from the last steps to all steps up to themselves; no map has a bias.

    As in the official code dropout falls on each head's output and on the result, not on the weights, so
    that the fused kernel serves in training too.
    """

    def __init__(self, d_model: int, n_heads: int, *, dropout: float, fused: bool):
        super().__init__()
        self.n_heads, self.fused = n_heads, fused
        self.width = d_model // n_heads
        self.scale = self.width**-0.5
        self.queries = nn.Linear(d_model, d_model, bias=False)
        self.keys = nn.Linear(d_model, d_model, bias=False)
        self.values = nn.Linear(d_model, self.width, bias=False)
        self.out = nn.Linear(self.width, d_model, bias=False)
        self.dropout = Dropout(dropout)

    def forward(self, tokens: Tensor, n_queries: int) -> Tensor:
        """``tokens`` (s, b, d) to (t, b, d), the last t = ``n_queries`` steps."""
        queries, keys = self._heads(tokens, n_queries)
        values = self.values(tokens).transpose(0, 1)  # (b, s, d_v)
        values = values.unsqueeze(1).expand(-1, self.n_heads, -1, -1)
        mask = causal_mask(n_queries, len(tokens), tokens.device)
        mixed = attend(queries, keys, values, scale=self.scale, fused=self.fused, mask=mask)
        mean = self.dropout(mixed).mean(dim=1).transpose(0, 1)  # (t, b, d_v), eq. 16
        return self.dropout(self.out(mean))

    def weights(self, tokens: Tensor, n_queries: int) -> Tensor:
        """Weights (b, h, t, s) of each head."""
        queries, keys = self._heads(tokens, n_queries)
        mask = causal_mask(n_queries, len(tokens), tokens.device)
        return attention_weights(queries * self.scale, keys, mask)

    def _heads(self, tokens: Tensor, n_queries: int) -> tuple[Tensor, Tensor]:
        """Queries (b, h, t, d_k) and keys (b, h, s, d_k)."""
        projected = self.queries(tokens[-n_queries:]), self.keys(tokens)
        return tuple(x.unflatten(-1, (self.n_heads, -1)).permute(1, 2, 0, 3) for x in projected)
