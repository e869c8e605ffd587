import pytest
import yaml

from formerbench.config import Study, load_config, read_yaml
from formerbench.errors import StatedError
from formerbench.grid import Cell, cells
from formerbench.measurements import measurements
from formerbench.paths import shipped

from ..project import REPOSITORY

SMALL = {"study": "s", "datasets": ["ETTh1"], "models": ["repeat"], "lookbacks": [96]}
CONFIGS = sorted(path for path in (REPOSITORY / "config").glob("*.yaml") if "study:" in path.read_text())


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_every_shipped_config_has_cells(path):
    study = load_config(path)
    assert cells(study) or measurements(study)


def test_defaults_come_from_the_schema():
    study = Study.from_config(SMALL)
    assert (study.seeds, study.devices, study.horizons) == ((1,), ("cpu",), "registered")
    assert study.budget == {"steps": None, "seconds": None, "validation_windows": None}
    assert {cell.horizon for cell in cells(study)} == {96, 192, 336, 720}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"lookback": [96]}, r"config: unknown key 'lookback' \(did you mean 'lookbacks'\?\)"),
        ({"budget": {"step": 3}}, r"config: budget: unknown key 'step' \(did you mean 'steps'\?\)"),
        ({"models": ["patchtts"]}, r"unknown model 'patchtts' \(did you mean 'patchtst'\?\)"),
        ({"datasets": ["ETTh9"]}, r"no data set 'ETTh9' \(did you mean 'ETTh"),
        ({"lookbacks": [0]}, r"config: lookbacks"),
        ({"lookbacks": [96.0]}, r"config: lookbacks: 0: 96.0 is not of type 'integer'"),
        ({"study": "x\n"}, r"config: study: 'x\\n' does not match"),
        ({"budget": {"seconds": float("nan")}}, r"config: budget: seconds: nan came"),
        ({"threads": 10**400}, r"config: threads: a whole number came that is beyond 1e\+15"),
        ({"title": "\ud800"}, r"config: title: '\\ud800' holds a character that is no text"),
        ({"settings": {"a\nb": {}}}, r"config: settings: the key 'a\\nb' holds a character"),
        ({"study": "../x"}, r"config: study: '../x' does not match"),
        ({"study": "reference"}, r"'reference' is where committed tables are"),
        ({"models": ["repeat", "repeat"]}, r"'repeat' is listed twice"),
        ({"models": [{"name": "tft", "class": "my:Net"}]}, r"'tft' is a model of formerbench; give my:Net"),
        ({"lookbacks": [8600]}, r"window of 8696 rows, but the training split of ETTh1 has 8640"),
        ({"settings": {"dlinear": {}}}, r"'dlinear' is no model of this study"),
        (
            {"models": ["dlinear"], "settings": {"dlinear": {"model": {"kernl": 3}}}},
            r"did you mean 'kernel'\?",
        ),
        ({"horizons": [3000]}, r"horizon 3000 is longer than the val split of ETTh1, which has 2880 rows"),
        ({"models": [{"name": "x", "clas": "a:B"}]}, r"models: 0: .*(clas|class)"),
        (
            {"models": ["dlinear"], "settings": {"dlinear": {"model": {"kernel": "3"}}}},
            r"'kernel' should be a whole",
        ),
        (
            {"models": ["patchtst"], "settings": {"all": {"model": {"n_heads": 0}}}},
            r"'n_heads' should be a whole",
        ),
        (
            {"models": ["patchtst"], "settings": {"all": {"model": {"dropout": 20}}}},
            r"'dropout' should be a share",
        ),
        (
            {"models": ["patchtst"], "settings": {"all": {"model": {"attention": "materialized"}}}},
            r"'attention' should be one of fused, materialised, not 'materialized'",
        ),
        (
            {"settings": {"repeat": {"training": {"learnin_rate": 3}}}},
            r"repeat: training: unknown key 'learnin_rate' \(did you mean 'learning_rate'\?\)",
        ),
    ],
)
def test_what_is_wrong_is_said_in_one_line(changes, message):
    with pytest.raises(StatedError, match=message) as caught:
        cells(Study.from_config(SMALL | changes))
    assert "\n" not in str(caught.value)


def test_settings_are_laid_over_in_order():
    models = ["itransformer", "patchtst", "dlinear"]
    config = SMALL | {"models": models, "horizons": [96, 720]}
    by_name = {(cell.model, cell.horizon): cell for cell in cells(Study.from_config(config))}
    # The official settings of ETTh1: iTransformer is wider at long horizons.
    assert by_name["itransformer", 96].options["d_model"] == 256
    assert by_name["itransformer", 720].options["d_model"] == 512
    assert by_name["patchtst", 96].options | {"d_model": 16, "n_heads": 4, "d_ff": 128, "dropout": 0.3} == (
        by_name["patchtst", 96].options
    )
    assert by_name["patchtst", 96].training.schedule == "type3_patchtst"
    assert by_name["dlinear", 96].training.learning_rate == 0.005
    settings = {"all": {"training": {"epochs": 1}}, "patchtst": {"training": {"epochs": 2}}}
    changed = {cell.model: cell for cell in cells(Study.from_config(config | {"settings": settings}))}
    assert (changed["dlinear"].training.epochs, changed["patchtst"].training.epochs) == (1, 2)


def test_official_lookbacks_are_each_models_own():
    config = SMALL | {"models": ["patchtst", "autoformer"], "lookbacks": "official"}
    found = {cell.model: cell.lookback for cell in cells(Study.from_config(config))}
    assert found == {"patchtst": 336, "autoformer": 96}
    with pytest.raises(StatedError, match="no official lookback of 'repeat'; list lookbacks instead"):
        cells(Study.from_config(config | {"models": ["repeat"]}))


def test_options_are_checked_by_their_kind():
    def with_option(model, **options):
        settings = {model: {"model": options}}
        return cells(Study.from_config(SMALL | {"models": [model], "settings": settings}))

    assert with_option("fedformer", kernels=[12, 24])[0].options["kernels"] == [12, 24]
    with pytest.raises(StatedError, match="'kernels' should be a list of whole numbers from 1 on, not 24"):
        with_option("fedformer", kernels=24)
    with pytest.raises(StatedError, match="'quantiles' should be a list of shares below 1"):
        with_option("tft", quantiles=[0.5, 3])
    with pytest.raises(StatedError, match="'checkpoint' should be true or false, not 1"):
        with_option("informer", checkpoint=1)
    (cell,) = [c for c in with_option("tft", quantiles=[0.1, 0.9]) if c.horizon == 96]
    assert cell.skip == "the quantiles lack 0.5, the point forecast"


def test_cells_survive_json():
    for cell in cells(load_config(REPOSITORY / "config/quick.yaml")):
        assert Cell.from_dict(yaml.safe_load(yaml.safe_dump(cell.as_dict()))) == cell


def test_combinations_that_make_no_sense_are_skipped_with_a_reason():
    config = SMALL | {
        "models": ["seasonal_naive", "patchtst"],
        "lookbacks": [12, 96],
        "precisions": ["fp32", "fp16"],
    }
    skips = {(c.model, c.lookback, c.precision): c.skip for c in cells(Study.from_config(config))}
    assert skips["seasonal_naive", 12, "fp32"] == "the lookback 12 is shorter than the season 24"
    assert skips["patchtst", 12, "fp32"] == "the lookback 12 is shorter than a patch of 16 steps"
    assert skips["patchtst", 96, "fp32"] is None
    assert skips["patchtst", 96, "fp16"] == "fp16 training needs a CUDA device"


def test_the_readme_of_config_explains_every_key():
    text = (REPOSITORY / "config/README.md").read_text()
    for name in ("config", "datasets"):
        schema = read_yaml(shipped(f"workflow/schemas/{name}.schema.yaml"))
        blocks = [schema, *schema["$defs"].values(), *schema.get("properties", {}).values()]
        blocks += [part for block in blocks for part in block.get("properties", {}).values()]
        keys = {key for block in blocks for key in block.get("properties", {})}
        missing = sorted(key for key in keys if f"`{key}`" not in text)
        assert not missing, f"config/README.md says nothing of {missing} ({name}.schema.yaml)"
