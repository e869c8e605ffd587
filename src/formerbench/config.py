"""A study's config: read, checked against its schema, and completed with the schema's defaults."""

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

from formerbench.errors import StatedError, nearest
from formerbench.models import MODELS
from formerbench.paths import shipped

CONFIG_SCHEMA = "workflow/schemas/config.schema.yaml"
# The largest whole number and the largest number of a config; sizes multiply, and must stay numbers.
LARGEST, LARGEST_REAL = 10**15, 1e38


@dataclass(frozen=True)
class ModelEntry:
    """A model of a study: its name, and the class and options of a user's own one."""

    name: str
    class_path: str | None  # None for a model of this package
    options: dict


@dataclass(frozen=True)
class Study:
    """A checked config; the attributes are the keys of ``workflow/schemas/config.schema.yaml``."""

    study: str
    title: str
    notice: str
    datasets: tuple[str | dict, ...]
    models: tuple[ModelEntry, ...]
    lookbacks: tuple[int, ...] | str
    horizons: tuple[int, ...] | str
    seeds: tuple[int, ...]
    devices: tuple[str, ...]
    precisions: tuple[str, ...]
    threads: int
    parallel: bool
    budget: dict
    settings: dict
    scaling: dict | None
    mirror: str | None
    evidence: tuple[str, ...]

    @classmethod
    def from_config(cls, config: Mapping) -> "Study":
        """Check ``config`` (as YAML gives it) and complete it.

        Raises:
            StatedError: one line that names the key, what was wanted and what came.
        """
        config = plain(config, "config")
        check(config, read_yaml(shipped(CONFIG_SCHEMA)), "config")
        if config["study"] == "reference":
            raise StatedError("config: study: 'reference' is where committed tables are; take another name")
        _refuse_nothing_to_do(config)
        models = [{"name": m} if isinstance(m, str) else m for m in config["models"]]
        config["models"] = [ModelEntry(m["name"], m.get("class"), m.get("options", {})) for m in models]
        _refuse_taken(config["models"])
        _refuse_twice("models", [model.name for model in config["models"]])
        _refuse_twice("datasets", [d if isinstance(d, str) else d["name"] for d in config["datasets"]])
        frozen = {key: tuple(value) if isinstance(value, list) else value for key, value in config.items()}
        return cls(**frozen)

    def for_tables(self) -> dict:
        """What the tables say of the study, as plain values; where files came from is not part of it."""
        kept = {key: value for key, value in asdict(self).items() if key not in ("mirror", "evidence")}
        return json.loads(json.dumps(kept))


def load_config(path: Path) -> Study:
    """Read and check a study's config file (YAML).

    Raises:
        StatedError: no such file, no YAML, or a config that the schema refuses.
    """
    return Study.from_config(read_yaml(path))


def read_yaml(path: Path) -> dict:
    """Read a YAML file that holds a mapping.

    Raises:
        StatedError: no such file, or something else in it.
    """
    import yaml

    try:
        content = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise StatedError(f"there is no file {path}") from error
    except yaml.YAMLError as error:
        raise StatedError(f"{path} is not YAML: {' '.join(str(error).split())}") from error
    except (OSError, ValueError, RecursionError) as error:  # such as a 13th month, or text that is not UTF-8
        raise StatedError(f"{path} cannot be read: {error}") from error
    if not isinstance(content, dict):
        raise StatedError(f"{path} should hold keys and values, but holds {type(content).__name__}")
    return content


def plain(content, what: str) -> dict:
    """A copy of plain JSON types; YAML reads dates as such.

    Raises:
        StatedError: what no study can use: a mapping that holds itself, a number without an end, text that
            is no Unicode.
    """
    try:
        copy = json.loads(json.dumps(content, default=str))
    except (TypeError, ValueError, RecursionError) as error:
        raise StatedError(f"{what}: plain keys and values are expected: {error}") from error
    if not isinstance(copy, dict):
        raise StatedError(f"{what}: keys and values are expected, but {type(content).__name__} came")
    _refuse_unusable(copy, what)
    return copy


def _refuse_unusable(value, where: str) -> None:
    if isinstance(value, dict):
        for key, part in value.items():
            if not key.isprintable():
                raise StatedError(f"{where}: the key {key!r} holds a character that is no text")
            _refuse_unusable(part, f"{where}: {key}")
    elif isinstance(value, list):
        for i, part in enumerate(value):
            _refuse_unusable(part, f"{where}: {i}")
    elif isinstance(value, str) and re.search("[\x00\ud800-\udfff]", value):
        raise StatedError(f"{where}: {value!r} holds a character that is no text")
    elif isinstance(value, int) and abs(value) > LARGEST:
        raise StatedError(f"{where}: a whole number came that is beyond {LARGEST:.0e}")
    elif isinstance(value, float) and not abs(value) <= LARGEST_REAL:  # NaN is not
        raise StatedError(f"{where}: {value} came, but a number up to {LARGEST_REAL:.0e} is wanted")


def check(content: dict, schema: dict, what: str) -> None:
    """Fill the schema's defaults into ``content`` and check it.

    Raises:
        StatedError: the first thing that is wrong, in one line; a mistyped key with the nearest valid one.
    """
    from jsonschema.exceptions import best_match

    fill_defaults(content, schema)
    error = best_match(_strict()(schema).iter_errors(content))
    if error is None:
        return
    # Of alternatives, such as a name or a mapping, only the one of the right type is worth a message.
    while error.validator == "anyOf" and (deeper := [e for e in error.context if e.validator != "type"]):
        error = best_match(deeper)
    where = ": ".join([what, *(str(part) for part in error.absolute_path)])
    if error.validator == "additionalProperties":
        valid = error.schema["properties"]
        wrong = next(key for key in error.instance if key not in valid)
        raise StatedError(
            f"{where}: unknown key '{wrong}'{nearest(wrong, valid)}; there are: {', '.join(valid)}"
        )
    raise StatedError(f"{where}: {error.message}")


@cache
def _strict():
    """A validator to which 96.0 is no whole number, as a path would show it, and ``$`` is the very end."""
    from jsonschema import Draft202012Validator, ValidationError, validators

    def whole(_, value) -> bool:
        return isinstance(value, int) and not isinstance(value, bool)

    def pattern(_validator, wanted, value, _schema):
        if isinstance(value, str) and not re.search(re.sub(r"\$$", r"\\Z", wanted), value):
            yield ValidationError(f"{value!r} does not match {wanted!r}")

    types = Draft202012Validator.TYPE_CHECKER.redefine("integer", whole)
    return validators.extend(Draft202012Validator, {"pattern": pattern}, type_checker=types)


def fill_defaults(content: dict, schema: dict) -> None:
    """Set every missing key of ``content`` that has a ``default`` in the schema, nested ones too."""
    for key, rule in schema.get("properties", {}).items():
        if key not in content and "default" in rule:
            content[key] = json.loads(json.dumps(rule["default"]))
        if isinstance(content.get(key), dict):
            fill_defaults(content[key], rule)


def _refuse_nothing_to_do(config: dict) -> None:
    datasets, lookbacks = bool(config["datasets"]), bool(config["lookbacks"])
    if datasets != lookbacks:
        there, missing = ("datasets", "lookbacks") if datasets else ("lookbacks", "datasets")
        raise StatedError(f"config: '{missing}' is a required property beside '{there}'")
    if not datasets and config["scaling"] is None:
        raise StatedError("config: nothing to do; give 'datasets' and 'lookbacks', or 'scaling', or both")
    if config["scaling"] is not None and config["parallel"]:
        raise StatedError("config: scaling: jobs that run side by side have no times; set 'parallel: false'")


def _refuse_taken(models: list[ModelEntry]) -> None:
    for model in models:
        if model.class_path and model.name in MODELS:
            raise StatedError(
                f"config: models: '{model.name}' is a model of formerbench; give {model.class_path} a name "
                "of its own"
            )


def _refuse_twice(key: str, names: list[str]) -> None:
    for name in names:
        if names.count(name) > 1:
            raise StatedError(f"config: {key}: '{name}' is listed twice")
