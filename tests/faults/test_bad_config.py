"""Configs that nobody would write: accepted, or refused in one line that names the place; nothing else."""

import copy
import re

import pytest
import yaml
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from formerbench import allocation, config, grid
from formerbench.config import Study
from formerbench.data.registry import find
from formerbench.errors import StatedError
from formerbench.grid import Cell, cells
from formerbench.measurements import Measurement, measurements
from formerbench.models import MECHANISMS, MODELS

from ..project import STUDY

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
FOLDER = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.=-]*(/[A-Za-z0-9][A-Za-z0-9_.=-]*)*")
GENERATED, THROUGH_SNAKEMAKE = 1_000, 25
HOSTILE_NAMES = (
    "; touch hacked",
    "$(touch hacked)",
    "`touch hacked`",
    "a\ntouch hacked",
    "tiny\n",
    "../..",
    "/etc/passwd",
    "a/b",
    ".hidden",
    "-rf",
    "a b",
    "{wildcard}",
    "<b>x</b>",
    "ü",
    "",
    "x" * 65,
)
REFUSED = "refused in one line; nothing is executed"
RESULT = "accepted, or refused in one line that names the place"

# -- valid configs -----------------------------------------------------------------------------------------

names = st.from_regex(NAME, fullmatch=True).filter(lambda name: name != "reference")
lengths = st.lists(st.integers(1, 400), min_size=1, max_size=2, unique=True)
sizes = st.fixed_dictionaries({"lookbacks": lengths})
own_data = st.fixed_dictionaries(
    {"name": names.map("own-{:.50}".format), "path": st.just("mine.csv")},
    optional={
        "season": st.integers(1, 100),
        "target": st.text(),
        "encoding": st.sampled_from(["utf-8", "latin-1", "klingon"]),
        "columns": st.lists(st.text(), min_size=1, max_size=3, unique=True),
        "fill": st.sampled_from(["none", "forward", "interpolate"]),
        "split": st.just({"train": 30, "val": 10, "test": 10}),
    },
)
generated_data = st.fixed_dictionaries(
    {"name": names.map("made-{:.50}".format)},
    optional={"season": st.integers(1, 100), "horizons": lengths},
).flatmap(
    lambda entry: st.fixed_dictionaries(
        {"length": st.integers(100, 10_000)}, optional={"variates": st.integers(1, 9), "step": st.just("1d")}
    ).map(lambda parameters: entry | {"generate": parameters})
)
own_model = st.fixed_dictionaries(
    {"name": names.map("my-{:.50}".format), "class": st.just("my_models:Drift")},
    optional={"options": st.dictionaries(st.text(min_size=1), st.integers() | st.text(), max_size=2)},
)


def key(thing) -> str:
    return thing if isinstance(thing, str) else thing["name"]


valid = st.fixed_dictionaries(
    {
        "study": names,
        "models": st.lists(st.sampled_from(list(MODELS)) | own_model, min_size=1, max_size=3, unique_by=key),
        "datasets": st.lists(
            st.sampled_from(["ETTh1", "ILI", "synthetic"]) | own_data | generated_data,
            min_size=1,
            max_size=2,
            unique_by=key,
        ),
        "lookbacks": lengths,
    },
    optional={
        "title": st.text(),
        "horizons": lengths | st.just("registered"),
        "seeds": st.lists(st.integers(0, 2**32 - 1), min_size=1, max_size=2, unique=True),
        "devices": st.sampled_from([["cpu"], ["cuda"], ["cpu", "cuda"]]),
        "precisions": st.sampled_from([["fp32"], ["bf16"], ["fp16", "fp32"]]),
        "threads": st.integers(1, 64),
        "parallel": st.booleans(),
        "budget": st.fixed_dictionaries(
            {}, optional={"steps": st.integers(1), "seconds": st.floats(1e-3, 1e3)}
        ),
        "settings": st.fixed_dictionaries(
            {},
            optional={
                "all": st.just({"training": {"epochs": 3, "learning_rate": 0.01}}),
                "patchtst": st.just({"model": {"d_model": 32, "n_heads": 3}}),
            },
        ),
        "scaling": st.none()
        | st.fixed_dictionaries(
            {"lookback": sizes},
            optional={
                "longest": st.fixed_dictionaries({}, optional={"from": st.integers(1), "to": st.integers(1)}),
                "mechanism": sizes | st.just({"mechanisms": list(MECHANISMS)[:2], "lookbacks": [96]}),
                "variates": st.just({"lookback": 96, "n_variates": [3]}),
                "switches": sizes,
                "model": st.dictionaries(st.sampled_from(["d_model", "n_heads", "d_ff"]), st.integers(1, 99)),
            },
        ),
        "evidence": st.lists(st.text(), max_size=2),
        "mirror": st.none() | st.text(),
    },
)

# -- and what can happen to them ---------------------------------------------------------------------------

HUGE = (10**20, 10**400, -(10**400), 1e308, float("nan"), float("inf"))
WRONG = (None, True, -1, 0, 1, 96.0, 1.5, "96", "no", "\x00", "x" * 1000, b"bytes")
NESTED = ([], {}, [[]], [None], {"a": 1}, {"name": "x"}, ["ETTh1", "ETTh1"])
odd = st.sampled_from([*HUGE, *WRONG, *NESTED, *HOSTILE_NAMES]) | st.text(max_size=5)
odd_keys = st.sampled_from(["lookbak", "a\nb", "", "x" * 200, "__class__", "name", "class"]) | st.text()


def places(value, where=()):
    """The path of every part of a config, the whole left out."""
    parts = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for at, part in parts:
        yield (*where, at)
        yield from places(part, (*where, at))


@st.composite
def broken(draw):
    """A valid config to which one to three things happened; with none it stays valid."""
    content = copy.deepcopy(draw(valid))
    for _ in range(draw(st.integers(0, 3))):
        there = list(places(content))
        if not there:
            break
        *path, last = draw(st.sampled_from(there))
        parent = content
        for at in path:
            parent = parent[at]
        what = draw(st.sampled_from(["replace", "remove", "add"]))
        if what == "replace":
            parent[last] = draw(odd)
        elif what == "remove":
            del parent[last]
        elif isinstance(parent, dict):
            parent[draw(odd_keys)] = draw(odd)
        else:
            parent.append(copy.deepcopy(draw(odd)))
    return content


@pytest.fixture(scope="module", autouse=True)
def _files_are_read_once():
    """Reading the schemas takes most of the time of a check; a study is read each time."""
    read = {}

    def read_yaml(path, before=config.read_yaml):
        if path not in read or path.name == "study.yaml":
            read[path] = before(path)
        return copy.deepcopy(read[path])

    with pytest.MonkeyPatch.context() as patch:
        for module in (config, grid):
            patch.setattr(module, "read_yaml", read_yaml)
        yield


def planned(content) -> int:
    """Everything that the Snakefile makes of a config before a job starts; the number of jobs."""
    study = Study.from_config(content)
    assert NAME.fullmatch(study.study)
    entries = {entry.name: entry for entry in map(find, study.datasets)}
    for cell in (planned_cells := cells(study)):
        assert FOLDER.fullmatch(str(cell.folder)), cell.folder
        assert Cell.from_dict(yaml.safe_load(yaml.safe_dump(cell.as_dict()))) == cell
        assert allocation.cell_memory_mb(cell, entries[cell.dataset]) > 0
        assert allocation.cell_runtime_min(cell, entries[cell.dataset]) > 0
    for one in (planned_measurements := measurements(study)):
        assert FOLDER.fullmatch(str(one.folder)), one.folder
        assert Measurement.from_dict(one.as_dict()) == one
        assert allocation.measurement_memory_mb(one) > 0
        assert allocation.measurement_runtime_min(one) > 0
    return len(planned_cells) + len(planned_measurements)


def said_of(content) -> str | None:
    """The line in which a config is refused, or None."""
    try:
        planned(content)
    except StatedError as error:
        said = str(error)
    else:
        return None
    assert "\n" not in said
    assert re.match(r"config: |data set |model |unknown m|there is no data set |[\w.-]+: ", said), said
    return said


def examples(number: int, **more):
    """Generated configs, the same ones in every run."""
    stable = {"derandomize": True, "deadline": None, "database": None}
    return settings(max_examples=number, suppress_health_check=list(HealthCheck), **stable, **more)


@pytest.mark.slow
def test_a_generated_config_is_accepted_or_refused_in_one_line(reliability):
    seen = {"accepted": 0, "refused": 0}

    @examples(GENERATED)
    @given(broken())
    def every(content):
        seen["refused" if said_of(content) else "accepted"] += 1

    every()
    assert min(seen.values()) > GENERATED / 10, f"one-sided: {seen}"
    assert sum(seen.values()) >= GENERATED
    reliability("generated config", GENERATED, RESULT)


@pytest.mark.slow
def test_snakemake_says_the_same_of_generated_configs(project, monkeypatch, reliability):
    monkeypatch.chdir(project.root)  # a data set's size is looked up there
    seen = {True: 0, False: 0}

    @examples(THROUGH_SNAKEMAKE, phases=[Phase.generate])
    @given(broken())
    def every(content):
        seen[dry_run(project, content)] += 1

    every()
    assert min(seen.values()) >= 3, f"one-sided: {seen}"
    reliability("generated config in a dry-run of Snakemake", sum(seen.values()), RESULT)


def dry_run(project, content) -> bool:
    """Whether Snakemake takes the config, which it must where the package does; refused in the same line."""
    project.write(content)
    content = config.read_yaml(project.root / "study.yaml")  # as it comes out of YAML
    said = said_of(content)
    output = project.snakemake("-n", "--quiet", "all", ok=said is None)
    assert "Traceback" not in output
    if said is not None:
        assert [line for line in output.splitlines() if "error" in line.lower()] == [f"error: {said}"]
    return said is None


def test_hostile_names_are_refused_in_one_line(reliability):
    for name in HOSTILE_NAMES:
        for content in hostile(name):
            assert "does not match" in said_of(content), content
    reliability("hostile name of a study, data set or model", 3 * len(HOSTILE_NAMES), REFUSED)


def hostile(name: str) -> tuple[dict, dict, dict]:
    """The tiny study with ``name`` as its own, a data set's, and a model's."""
    (data,) = STUDY["datasets"]
    *others, mine = STUDY["models"]
    return (
        STUDY | {"study": name},
        STUDY | {"datasets": [data | {"name": name}]},
        STUDY | {"models": [*others, mine | {"name": name}]},
    )


@pytest.mark.slow
def test_hostile_names_reach_no_shell(project, reliability):
    tried = [hostile(name)[i % 3] for i, name in enumerate(HOSTILE_NAMES[:6])]
    for content in tried:
        assert not dry_run(project, content)
    assert not [*project.root.rglob("hacked"), *project.root.parent.glob("hacked")]
    reliability("hostile name in a dry-run of Snakemake", len(tried), REFUSED)


# Fault: the text of a config file that is none.
FAULTS = {
    "config file that is no YAML": (
        "study: [",
        "study: 'x",
        "\tstudy: x",
        "study: x: y",
        "a: &a [*b]",
        "? [a]\n: b",
        "!!python/object/apply:os.system ['touch hacked']",
    ),
    "config file without keys": ("", "- study", "study", "3"),
    "config file with impossible values": ("study: 2020-13-01", "study: " + "9" * 5000, "[" * 5000),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_file_that_is_no_config_is_refused_in_one_line(fault, tmp_path, monkeypatch, reliability):
    monkeypatch.chdir(tmp_path)
    for i, text in enumerate(FAULTS[fault]):
        path = tmp_path / f"{i}.yaml"
        path.write_text(text)
        with pytest.raises(StatedError, match=f"{i}.yaml") as refused:
            config.load_config(path)
        assert "\n" not in str(refused.value)
    for content in (b"study: \xff", b"study: \x00"):
        path.write_bytes(content)
        with pytest.raises(StatedError, match=f"{i}.yaml"):
            config.load_config(path)
    assert not (tmp_path / "hacked").exists()
    reliability(fault, len(FAULTS[fault]) + 2, REFUSED)


def test_a_config_without_a_name_does_not_run_the_default_study(project, reliability):
    content = {key: value for key, value in STUDY.items() if key != "study"}
    assert not dry_run(project, content)
    reliability("config without the name of its study", 1, REFUSED)
