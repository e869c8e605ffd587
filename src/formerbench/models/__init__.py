"""The models by name. Looking at names and hyper-parameters imports no torch; :func:`build` does."""

import importlib
import sys
from dataclasses import fields
from pathlib import Path
from types import MappingProxyType
from typing import Literal, NamedTuple, get_args, get_origin, get_type_hints

from formerbench.errors import StatedError, nearest
from formerbench.models import configs
from formerbench.models.configs import Shape


class Spec(NamedTuple):
    """A model: its hyper-parameter dataclass and where its class is."""

    config: type
    path: str  # "package.module:Class"


MODELS = MappingProxyType(
    {
        "repeat": Spec(configs.NoOptions, "formerbench.models.naive:Repeat"),
        "seasonal_naive": Spec(configs.SeasonalNaiveConfig, "formerbench.models.naive:SeasonalNaive"),
        "dlinear": Spec(configs.DLinearConfig, "formerbench.models.dlinear:DLinear"),
        "patchtst": Spec(configs.PatchTSTConfig, "formerbench.models.patchtst:PatchTST"),
        "itransformer": Spec(configs.ITransformerConfig, "formerbench.models.itransformer:ITransformer"),
        "informer": Spec(configs.InformerConfig, "formerbench.models.informer:Informer"),
        "autoformer": Spec(configs.AutoformerConfig, "formerbench.models.autoformer:Autoformer"),
        "fedformer": Spec(configs.FEDformerConfig, "formerbench.models.fedformer:FEDformer"),
        "tft": Spec(configs.TFTConfig, "formerbench.models.tft:TFT"),
    }
)

_PATH = "formerbench.models.mechanisms"
# Attention, and what the models have in its place, each alone: name to "package.module:Class".
MECHANISMS = MappingProxyType(
    {
        "full_attention": f"{_PATH}:FullAttention",
        "full_attention_materialised": f"{_PATH}:FullAttentionMaterialised",
        "prob_sparse": f"{_PATH}:ProbSparse",
        "auto_correlation": f"{_PATH}:AutoCorrelation",
        "fourier_block": f"{_PATH}:FourierBlock",
        "fourier_cross_attention": f"{_PATH}:FourierCrossAttention",
        "patch_attention": f"{_PATH}:PatchAttention",
        "variate_attention": f"{_PATH}:VariateAttention",
        "series_decomposition": f"{_PATH}:SeriesDecomposition",
    }
)

NAIVE = ("repeat", "seasonal_naive")  # nothing is trained


def spec(name: str) -> Spec:
    """The spec of a model of this package.

    Raises:
        StatedError: there is no model of that name; names the nearest one.
    """
    if name not in MODELS:
        raise StatedError(f"unknown model '{name}'{nearest(name, MODELS)}; there are: {', '.join(MODELS)}")
    return MODELS[name]


def class_path(name: str) -> str:
    """``package.module:Class`` of a model of this package, or ``name`` itself if it has that form."""
    return name if ":" in name else spec(name).path


def option_names(name: str) -> list[str]:
    """The hyper-parameters of a model of this package."""
    return [field.name for field in fields(spec(name).config)]


def configure(name: str, options: dict):
    """The config dataclass of model ``name`` with ``options`` set.

    Raises:
        StatedError: an option that the model does not have, with the nearest one, or a value that it cannot
            take.
    """
    config_class, known = spec(name).config, option_names(name)
    for option in options:
        if option not in known:
            there_are = ", ".join(known) or "none"
            raise StatedError(
                f"model '{name}' has no option '{option}'{nearest(option, known)}; there are: {there_are}"
            )
    types = get_type_hints(config_class)
    for option, value in options.items():
        if wanted := _refusal(types[option], value):
            raise StatedError(f"model '{name}': option '{option}' should be {wanted}, not {value!r}")
    return config_class(**{key: tuple(v) if isinstance(v, list) else v for key, v in options.items()})


def all_options(name: str, options: dict) -> dict:
    """Every option of model ``name``, with ``options`` set and the defaults for the others, as JSON has them.

    Raises:
        StatedError: as :func:`configure`.
    """
    return {
        key: list(value) if isinstance(value, tuple) else value
        for key, value in vars(configure(name, options)).items()
    }


def _refusal(kind, value) -> str | None:
    """What an option of type ``kind`` should be, if ``value`` is not that."""
    if get_origin(kind) is tuple:
        element = get_args(kind)[0]
        if isinstance(value, list | tuple) and value and not any(_refusal(element, each) for each in value):
            return None
        return f"a list of {'whole numbers from 1 on' if element is int else 'shares below 1'}"
    if get_origin(kind) is Literal:
        return None if value in get_args(kind) else f"one of {', '.join(get_args(kind))}"
    if kind is bool:
        return None if isinstance(value, bool) else "true or false"
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if kind is int:
        return None if is_number and isinstance(value, int) and value >= 1 else "a whole number from 1 on"
    return None if is_number and 0 <= value < 1 else "a share from 0 to below 1"  # dropout


def load_class(path: str) -> type:
    """Import ``package.module:Class``; the working directory is searched too, for a user's own models.

    Raises:
        StatedError: the path has another form, or there is no such module or class.
    """
    module_name, _, class_name = path.partition(":")
    if not class_name:
        raise StatedError(f"a model class is given as 'package.module:Class', not '{path}'")
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.append(here)
    try:
        return getattr(importlib.import_module(module_name), class_name)
    except ModuleNotFoundError as error:
        raise StatedError(f"model class '{path}': {error}; is its folder on PYTHONPATH?") from error
    except AttributeError as error:
        raise StatedError(f"model class '{path}': {error}") from error


def build(
    name: str,
    *,
    lookback: int,
    horizon: int,
    n_variates: int,
    n_marks: int = 4,
    n_past_covariates: int = 0,
    n_known: int = 0,
    n_entities: int = 0,
    n_static_reals: int = 0,
    season: int | None = None,
    **options,
):
    """Build a model (``torch.nn.Module``) with random weights from torch's global generator.

    Args:
        name: a key of :data:`MODELS`, or ``package.module:Class`` for a class of the user's own, which is
            called as ``Class(shape, **options)`` with a :class:`Shape`.
        lookback, horizon, n_variates, n_marks, n_past_covariates, n_known, n_entities, n_static_reals,
            season: see :class:`Shape`.
        options: hyper-parameters; those of the model's config class, or of the user's class.

    Raises:
        StatedError: unknown model or option, or a model that cannot be built for this shape.
    """
    shape = Shape(
        lookback=lookback,
        horizon=horizon,
        n_variates=n_variates,
        n_marks=n_marks,
        n_past_covariates=n_past_covariates,
        n_known=n_known,
        n_entities=n_entities,
        n_static_reals=n_static_reals,
        season=season,
    )
    model_class = load_class(class_path(name))
    if ":" in name:
        return model_class(shape, **options)
    config = configure(name, options)
    if problem := config.problem(shape):
        raise StatedError(f"{name}: {problem}")
    model = model_class(shape, config)
    if getattr(config, "compile", False):
        model.compile()
    return model


def build_mechanism(name: str, *, lookback: int, horizon: int, n_variates: int, d_model: int, n_heads: int):
    """Build a mechanism (``torch.nn.Module``) with random weights from torch's global generator.

    Args:
        name: a key of :data:`MECHANISMS`.
        lookback, horizon, n_variates: see :class:`Shape`.
        d_model: width of a token.
        n_heads: attention heads; divides ``d_model``.

    Raises:
        StatedError: unknown mechanism, or one that cannot be built for this shape.
    """
    if name not in MECHANISMS:
        there_are = ", ".join(MECHANISMS)
        raise StatedError(f"unknown mechanism '{name}'{nearest(name, MECHANISMS)}; there are: {there_are}")
    shape = Shape(lookback=lookback, horizon=horizon, n_variates=n_variates)
    return load_class(MECHANISMS[name])(shape, d_model=d_model, n_heads=n_heads)
