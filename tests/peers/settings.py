"""The paired configurations: one set of hyper-parameters, and what each peer calls them."""

from dataclasses import dataclass
from types import MappingProxyType
from typing import NamedTuple

HORIZON = 96
HEADS = 8  # the peer's FEDformer takes no other number
PHASES = ("train_step", "inference")
SIDES = ("ours", "peer")


class Peer(NamedTuple):
    """A model of neuralforecast beside one of ours.

    Attributes:
        name: its class.
        options: our hyper-parameters, beside ``d_model`` and ``d_ff``.
        names: our name of a hyper-parameter -> the peer's, for all that both have.
        ours, theirs: what only one side has, set to what the other always does.
        n_marks: time marks that both take.
        n_variates: on both sides.
        note: where the work differs all the same.
    """

    name: str
    options: dict
    names: dict
    ours: dict
    theirs: dict
    n_marks: int
    n_variates: int
    note: str


_ENCODER_DECODER = {
    "d_model": "hidden_size",
    "d_ff": "conv_hidden_size",
    "n_heads": "n_head",
    "layers": "encoder_layers",
    "decoder_layers": "decoder_layers",
    "dropout": "dropout",
}
_TWO_AND_ONE = {"n_heads": HEADS, "layers": 2, "decoder_layers": 1, "dropout": 0.05}

PEERS = MappingProxyType(
    {
        "patchtst": Peer(
            name="PatchTST",
            options={"n_heads": HEADS, "layers": 3, "dropout": 0.2, "patch_len": 16, "stride": 8},
            names={
                "d_model": "hidden_size",
                "d_ff": "linear_hidden_size",
                "n_heads": "n_heads",
                "layers": "encoder_layers",
                "dropout": "dropout",
                "patch_len": "patch_len",
                "stride": "stride",
            },
            ours={},
            # `batch_normalization` only moves the norms in front; they are batch norms either way.
            theirs={"revin_subtract_last": False, "res_attention": True, "batch_normalization": False},
            n_marks=0,
            n_variates=1,
            note="up to 42 patches ours adds up the residual scores, as the peer does; above, it never forms "
            "them, and layer n multiplies the queries and keys of layers 1 to n, which is more FLOPs",
        ),
        "itransformer": Peer(
            name="iTransformer",
            options={"n_heads": HEADS, "layers": 2, "dropout": 0.1},
            names={
                "d_model": "hidden_size",
                "d_ff": "d_ff",
                "n_heads": "n_heads",
                "layers": "e_layers",
                "dropout": "dropout",
            },
            ours={"normalise": True},
            theirs={"use_norm": True},
            n_marks=0,
            n_variates=7,
            note="",
        ),
        "informer": Peer(
            name="Informer",
            options=_TWO_AND_ONE | {"factor": 3, "distil": True},
            names=_ENCODER_DECODER | {"factor": "factor", "distil": "distil"},
            ours={"variant": "thuml"},
            theirs={"decoder_input_size_multiplier": 0.5},
            n_marks=4,
            n_variates=1,
            note="the last decoder layer of ours leaves out the steps of the label, which are no part of the "
            "forecast",
        ),
        "autoformer": Peer(
            name="Autoformer",
            options=_TWO_AND_ONE | {"factor": 3, "kernel": 25},
            names=_ENCODER_DECODER | {"factor": "factor", "kernel": "MovingAvg_window"},
            ours={},
            theirs={"decoder_input_size_multiplier": 0.5},
            n_marks=4,
            n_variates=1,
            note="",
        ),
        "fedformer": Peer(
            name="FEDformer",
            options=_TWO_AND_ONE | {"modes": 64, "mode_select": "random"},
            names=_ENCODER_DECODER | {"modes": "modes", "mode_select": "mode_select"},
            # The peer cannot run with an even kernel.
            ours={"kernels": (25,), "variant": "official"},
            theirs={"MovingAvg_window": 25, "decoder_input_size_multiplier": 0.5},
            n_marks=4,
            n_variates=1,
            note="ours leaves out the projections whose results are not used, and transforms the kept modes "
            "only, by a product instead of an FFT",
        ),
        "tft": Peer(
            name="TFT",
            options={"n_heads": 4, "layers": 1, "dropout": 0.1},
            names={
                "d_model": "hidden_size",
                "n_heads": "n_head",
                "layers": "n_rnn_layers",
                "dropout": "dropout",
            },
            ours={"quantiles": (0.5,), "loss": "mse"},
            theirs={"attn_dropout": 0.0},
            n_marks=4,
            n_variates=1,
            note="ours attends from the forecast's steps alone, the peer from all and leaves the others out "
            "afterwards; without static inputs ours has no weights for their contexts, the peer multiplies "
            "zeros by them; ours drops elements of each head's output, the peer none",
        ),
    }
)


@dataclass(frozen=True, kw_only=True)
class Pair:
    """One configuration of one model, on both sides."""

    model: str
    lookback: int
    d_model: int
    batch_size: int
    horizon: int = HORIZON

    @property
    def peer(self) -> Peer:
        return PEERS[self.model]

    @property
    def ours(self) -> dict:
        """Options of our model."""
        return self._common() | self._label_len() | self._attention() | self.peer.ours

    @property
    def theirs(self) -> dict:
        """Options of the peer's model."""
        renamed = {self.peer.names[name]: value for name, value in self._common().items()}
        return renamed | self.peer.theirs

    def _common(self) -> dict:
        d_ff = {"d_ff": (4 if self.d_model == 512 else 2) * self.d_model} if "d_ff" in self.peer.names else {}
        return {"d_model": self.d_model} | d_ff | self.peer.options

    def _attention(self) -> dict:
        """For a few patches the weights are cheaper to form than to avoid."""
        few = self.model == "patchtst" and self.lookback <= 336
        return {"attention": "materialised"} if few else {}

    def _label_len(self) -> dict:
        """The peer gives the label length as a share of the lookback."""
        share = self.peer.theirs.get("decoder_input_size_multiplier")
        return {} if share is None else {"label_len": int(self.lookback * share)}


def pairs(models: list[str] | None = None, lookbacks: list[int] | None = None) -> list[Pair]:
    """The configurations of ``models`` at ``lookbacks``; all by default."""
    wide = [Pair(model=model, lookback=96, d_model=512, batch_size=32) for model in PEERS]
    narrow = [
        Pair(model=model, lookback=lookback, d_model=64, batch_size=8 if model == "itransformer" else 56)
        for model in PEERS
        for lookback in (336, 720, 1440)
    ]
    chosen = [pair for pair in wide + narrow if pair.model in (models or PEERS)]
    return [pair for pair in chosen if lookbacks is None or pair.lookback in lookbacks]
