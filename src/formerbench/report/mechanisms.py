"""How each of the six models works, in words, and where its paper is."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Mechanism:
    """Paper and its address; how the model gets from lookback to forecast; how to read what it shows."""

    paper: str
    link: str
    how: str
    shows: str


MECHANISMS = {
    "tft": Mechanism(
        "Lim et al. 2021, Temporal Fusion Transformers",
        "https://arxiv.org/abs/1912.09363",
        "Gates weigh the inputs of every step, an LSTM carries them through lookback and horizon, and "
        "attention whose heads share their values looks back from each forecast step. It forecasts "
        "quantiles.",
        "Weights of the inputs sum to 1 at each step. Attention is the mean over its heads.",
    ),
    "informer": Mechanism(
        "Zhou et al. 2021, Informer",
        "https://arxiv.org/abs/2012.07436",
        "Only the queries whose attention is farthest from uniform, by a sample of the keys, attend; the "
        "others take the mean. Between layers a convolution halves the length, and the decoder forecasts "
        "all steps at once.",
        "The measurement that selects queries: the largest score less the mean. Ticks mark the selected "
        "ones.",
    ),
    "autoformer": Mechanism(
        "Wu et al. 2021, Autoformer",
        "https://arxiv.org/abs/2106.13008",
        "Moving averages split trend from season in every layer. In place of attention, the series is "
        "shifted by the few delays at which it correlates most with itself, and the shifted copies are "
        "averaged.",
        "Both parts add up to the forecast. Each encoder layer picks delays for the whole batch.",
    ),
    "fedformer": Mechanism(
        "Zhou et al. 2022, FEDformer",
        "https://arxiv.org/abs/2201.12740",
        "Decomposed as Autoformer; in place of attention, a few Fourier modes, drawn once at random or "
        "the lowest, are mixed by learned complex weights.",
        "Both parts add up to the forecast. The kept modes are fixed when the model is built.",
    ),
    "patchtst": Mechanism(
        "Nie et al. 2023, PatchTST",
        "https://arxiv.org/abs/2211.14730",
        "Every variate is a series of its own, cut into overlapping patches; full attention runs between "
        "the patches, and one linear layer reads the forecast off all of them.",
        "Rows are patches that ask and sum to 1.",
    ),
    "itransformer": Mechanism(
        "Liu et al. 2024, iTransformer",
        "https://arxiv.org/abs/2310.06625",
        "A whole variate is one token, embedded by a linear layer over the lookback; attention runs "
        "between variates, and a linear layer turns each token into the forecast of its variate.",
        "Rows are variates that ask and sum to 1; time marks are tokens too.",
    ),
    "dlinear": Mechanism(
        "Zeng et al. 2023, Are Transformers Effective for Time Series Forecasting?",
        "https://arxiv.org/abs/2205.13504",
        "A moving average splits trend from the rest, and one linear layer over the lookback forecasts each.",
        "Both parts add up to the forecast.",
    ),
}
