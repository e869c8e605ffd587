"""The registry: what it holds, how it refuses, and that reading it stays light."""

import json
import os
import subprocess
import sys
from dataclasses import fields

import pytest
import yaml

from formerbench.data.registry import Entry, find, load_registry, splits
from formerbench.errors import StatedError
from formerbench.paths import shipped

OWN = {"name": "mine", "path": "mine.csv"}
TEST_WINDOWS = {  # n_test - horizon + 1, as every paper of the field counts them
    "ETTh1": (2785, 2689, 2545, 2161),
    "ETTh2": (2785, 2689, 2545, 2161),
    "ETTm1": (11425, 11329, 11185, 10801),
    "ETTm2": (11425, 11329, 11185, 10801),
    "Weather": (10444, 10348, 10204, 9820),
}


def test_holds_the_nine_public_data_sets_and_a_synthetic_one():
    registry = load_registry()
    names = "ETTh1 ETTh2 ETTm1 ETTm2 Electricity Traffic Weather Exchange ILI synthetic"
    assert list(registry) == names.split()
    assert registry["ETTh1"].sha256.startswith("f18de3ad269cef59")
    assert registry["ETTh1"].accepted[registry["ETTh1"].sha256_variants["crlf"]] == "crlf"
    assert (registry["Electricity"].rows, registry["Electricity"].variates) == (26304, 321)
    assert registry["ILI"].horizons == (24, 36, 48, 60)
    assert registry["synthetic"].kind == "generated"


@pytest.mark.parametrize(
    "name", [name for name, entry in load_registry().items() if entry.kind == "download"]
)
def test_every_download_is_known_in_full(name):
    entry = load_registry()[name]
    assert len(entry.accepted) == 1 + len(entry.sha256_variants)
    assert all(source.startswith("https://") for source in entry.sources)
    assert entry.licence
    assert entry.attribution
    assert splits(entry, entry.rows)["test"][1] <= entry.rows


@pytest.mark.parametrize("name", TEST_WINDOWS)
def test_splits_give_the_known_numbers_of_test_windows(name):
    entry = find(name)
    first, end = splits(entry, entry.rows)["test"]
    assert tuple(end - first - horizon + 1 for horizon in entry.horizons) == TEST_WINDOWS[name]


def test_splits_by_counts_and_by_fractions():
    assert splits(find("ETTh1"), 17420) == {"train": (0, 8640), "val": (8640, 11520), "test": (11520, 14400)}
    assert splits(find("ILI"), 966) == {"train": (0, 676), "val": (676, 773), "test": (773, 966)}


@pytest.mark.parametrize(
    ("rule", "rows"), [({"train": 90, "val": 10, "test": 1}, 100), ({"train": 0.7, "test": 0.2}, 4)]
)
def test_too_few_rows_for_the_splits(rule, rows):
    with pytest.raises(StatedError, match=f"its {rows} rows are too few"):
        splits(find(OWN | {"split": rule}), rows)


def test_schema_and_entry_have_the_same_keys_and_each_is_described():
    schema = yaml.safe_load(shipped("workflow/schemas/datasets.schema.yaml").read_text(encoding="utf-8"))
    properties = schema["$defs"]["entry"]["properties"]
    assert list(properties) == [field.name for field in fields(Entry)]
    assert all(rule["description"] for rule in properties.values())
    assert all(rule["description"] for rule in properties["generate"]["properties"].values())


def test_the_shipped_file_fits_its_schema_as_a_whole():
    from jsonschema import Draft202012Validator

    schema = yaml.safe_load(shipped("workflow/schemas/datasets.schema.yaml").read_text(encoding="utf-8"))
    Draft202012Validator.check_schema(schema)
    content = yaml.safe_load(shipped("config/datasets.yaml").read_text(encoding="utf-8"))
    for name, entry in content["datasets"].items():
        Draft202012Validator(schema["$defs"]["entry"]).validate({"name": name} | entry)


def test_own_file_gets_the_defaults():
    entry = find(OWN)
    assert (entry.kind, entry.delimiter, entry.encoding, entry.date_column, entry.fill) == (
        "file",
        ",",
        "utf-8",
        "date",
        "none",
    )
    assert entry.split == {"train": 0.7, "test": 0.2}
    assert entry.horizons == (96, 192, 336, 720)


def test_as_dict_is_json_and_tells_entries_apart():
    assert find(OWN).as_dict() == json.loads(json.dumps(find(dict(OWN)).as_dict()))
    assert find(OWN).as_dict() != find(OWN | {"fill": "forward"}).as_dict()
    for entry in [*load_registry().values(), find(OWN)]:
        assert Entry.from_dict(json.loads(json.dumps(entry.as_dict()))) == entry
    assert find(find("Weather").as_dict() | {"name": "Copy"}).sources == find("Weather").sources


def test_generated_entry_knows_its_size():
    entry = find({"name": "toy", "generate": {"length": 400, "variates": 3, "step": "1d", "seasons": [7]}})
    assert (entry.rows, entry.variates, entry.step, entry.season) == (400, 3, "1d", 7)
    assert entry.generate["seed"] == 1


@pytest.mark.parametrize(
    ("dataset", "words"),
    [
        ("ETTh3", r"no data set 'ETTh3' \(did you mean 'ETTh"),
        (OWN | {"delimeter": ";"}, r"unknown key 'delimeter' \(did you mean 'delimiter'\?\)"),
        ({"name": "toy", "generate": {"lenght": 9}}, r"unknown key 'lenght' \(did you mean 'length'\?\)"),
        (OWN | {"name": "../up"}, r"'\.\./up' does not match"),
        ({"name": "mine"}, "one of `sources`, `path` and `generate`"),
        (OWN | {"generate": {}}, r"\['path', 'generate'\] came"),
        (OWN | {"split": {"train": 0.8, "test": 0.2}}, "leave nothing for val"),
        (OWN | {"split": {"train": 0.8, "val": 5, "test": 10}}, "not of type 'integer'"),
        (OWN | {"decimal": ","}, "are both ','"),
        (OWN | {"path": "a/" + "ü" * 128 + ".csv"}, "at most 255 bytes; one of 260 came"),
        (OWN | {"step": "1 hour"}, "does not match"),
        (OWN | {"name": "Weather"}, "belongs to a registered data set"),
        ({"name": "web", "sources": ["https://a.org/x.csv"]}, "needs mirror_path, sha256, bytes"),
        ({"name": "web", "sources": ["http://a.org/x.csv"]}, "does not match"),
        ({"path": "mine.csv"}, "'name' is a required property"),
    ],
)
def test_a_wrong_entry_is_refused_in_one_line(dataset, words):
    with pytest.raises(StatedError, match=words) as refused:
        find(dataset)
    assert "\n" not in str(refused.value)


def test_a_registry_of_another_shape_is_refused(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("ETTh1: {rows: 3}\n")
    with pytest.raises(StatedError, match="one key `datasets`"):
        load_registry(path)
    path.write_text("datasets: {a: 3}\n")
    with pytest.raises(StatedError, match="data set a: keys and values were expected"):
        load_registry(path)


def test_another_registry_is_read_anew_when_it_changes(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("datasets: {a: {path: a.csv}}\n")
    assert list(load_registry(path)) == ["a"]
    path.write_text("datasets: {b: {path: b.csv}}\n")
    os.utime(path, ns=(1, 1))
    assert list(load_registry(path)) == ["b"]


def test_reading_the_registry_imports_nothing_heavy():
    code = (
        "import sys, formerbench.data, formerbench.data.registry as r; r.find('ETTh1');"
        "print(sorted({'torch', 'pandas', 'polars', 'snakemake', 'pooch'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
