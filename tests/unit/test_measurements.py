"""The measurements that a config asks for."""

import json

import pytest

from formerbench.config import Study
from formerbench.errors import StatedError
from formerbench.measurements import Measurement, measurements
from formerbench.models import MECHANISMS

MODELS = ["repeat", "dlinear", "tft", "informer", "patchtst"]


def study(scaling, **more):
    return Study.from_config({"study": "s", "models": MODELS, "scaling": scaling} | more)


def found(scaling, **more):
    return measurements(study(scaling, **more))


def test_only_listed_experiments_are_there():
    assert found(None, datasets=["ETTh1"], lookbacks=[96]) == []
    assert {one.experiment for one in found({"lookback": {"lookbacks": [96]}})} == {"lookback"}


def test_every_model_that_computes_something_is_measured_at_each_length_and_precision():
    ones = found({"lookback": {"lookbacks": [96, 192]}}, precisions=["fp32", "bf16"])
    axes = {(one.subject, one.work.lookback, one.work.precision) for one in ones}
    assert len(axes) == len(ones) == 4 * 2 * 2
    assert "repeat" not in {one.subject for one in ones}


def test_common_options_reach_the_models_that_have_them():
    by_name = {one.subject: one for one in found({"model": {"d_ff": 32}, "lookback": {"lookbacks": [96]}})}
    assert by_name["informer"].work.options["d_ff"] == 32
    assert by_name["dlinear"].work.options == {"kernel": 25}
    assert "d_ff" not in by_name["tft"].work.options


def test_switches_stand_beside_their_base_and_only_where_a_model_has_them():
    ones = found({"switches": {"lookbacks": [96]}})
    variants = {}
    for one in ones:
        variants.setdefault(one.subject, []).append(one.variant)
    assert variants["dlinear"] == ["base", "bf16"]
    assert variants["tft"] == ["base", "attention=materialised", "checkpoint", "bf16", "compile"]
    assert variants["informer"][1:3] == ["attention=fused", "attention=materialised"]
    on = {one.variant: one for one in ones if one.subject == "informer"}
    assert on["checkpoint"].work.options == on["base"].work.options | {"checkpoint": True}
    assert on["checkpoint"].phases == ("train_step",)
    assert (on["bf16"].work.precision, on["base"].work.precision) == ("bf16", "fp32")


def test_forecasts_by_horizon_and_batch_are_inference_only():
    own = {"lookback": 96, "horizons": [1, 24], "batch_sizes": [1, 32]}
    ones = [one for one in found({"horizon": own}) if one.subject == "tft"]
    sizes = [(one.work.horizon, one.work.batch_size, one.phases) for one in ones]
    assert sizes == [(h, b, ("inference",)) for h in (1, 24) for b in (1, 32)]


def test_mechanisms_are_measured_at_the_common_width():
    ones = found({"model": {"d_model": 32, "n_heads": 2}, "mechanism": {"lookbacks": [100]}})
    assert [one.subject for one in ones] == list(MECHANISMS)
    assert all(one.work.mechanism and one.work.options == {"d_model": 32, "n_heads": 2} for one in ones)


def test_longest_has_limits_and_its_end_in_the_path():
    (one,) = [m for m in found({"longest": {"to": 4096}}) if m.subject == "tft"]
    assert one.limits == {"from": 128, "memory_mb": 4000, "step_s": 5}
    assert str(one.folder) == "scaling/longest/tft/L4096_H96_D7_B8/cpu_fp32/base"


def test_folders_are_unique_and_measurements_survive_json():
    sizes = {"lookbacks": [96, 200]}
    ones = found(
        {
            "lookback": sizes,
            "longest": {},
            "mechanism": sizes,
            "horizon": {"lookback": 96, "horizons": [1, 2]},
            "switches": sizes,
            "variates": {"lookback": 96, "n_variates": [1, 7]},
        },
        devices=["cpu", "cuda"],
    )
    assert len({one.folder for one in ones}) == len(ones)
    for one in ones:
        assert Measurement.from_dict(json.loads(json.dumps(one.as_dict()))) == one


def test_what_makes_no_sense_is_skipped_with_the_reason():
    ones = found({"lookback": {"lookbacks": [8]}}, precisions=["fp32", "fp16"])
    reasons = {(one.subject, one.work.precision): one.skip for one in ones}
    assert reasons["patchtst", "fp32"] == "the lookback 8 is shorter than a patch of 16 steps"
    assert reasons["dlinear", "fp16"] == "fp16 needs a CUDA device"
    assert reasons["dlinear", "fp32"] is None


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"scaling": None}, "nothing to do"),
        ({"parallel": True}, "set 'parallel: false'"),
        ({"scaling": {"lookbacks": [96]}}, "unknown key 'lookbacks'"),
        (
            {"scaling": {"mechanism": {"lookbacks": [9], "mechanisms": ["prob_spars"]}}},
            "did you mean 'prob_sparse'",
        ),
        ({"scaling": {"longest": {"from": 9, "to": 8}}}, "'from' 9 is more than 'to' 8"),
        ({"scaling": {"switches": {"lookbacks": [96], "switches": ["chekpoint"]}}}, "does not match"),
        (
            {"scaling": {"lookback": {"lookbacks": [96]}, "model": {"d_model": "wide"}}},
            "should be a whole number",
        ),
        ({"lookbacks": [96]}, "'datasets' is a required property beside 'lookbacks'"),
    ],
)
def test_mistakes_are_named(changes, message):
    with pytest.raises(StatedError, match=message):
        measurements(study(**{"scaling": {"lookback": {"lookbacks": [96]}}} | changes))
