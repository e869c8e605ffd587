"""What must not be in the project: code that runs data, shells that see names, things that are not pinned.

That a name or a cell of data cannot become HTML is tested in ``tests/report/test_hostile.py``.
"""

import ast
import re
from pathlib import Path

import pytest
import yaml

from formerbench.data.registry import load_registry

from ..project import REPOSITORY, STUDY

SOURCES = [*REPOSITORY.glob("src/**/*.py"), *REPOSITORY.glob("workflow/scripts/*.py")]
RULES = [REPOSITORY / "Snakefile", *REPOSITORY.glob("workflow/rules/*.smk")]
UNSAFE_MODULES = {
    "pickle",
    "cPickle",
    "dill",
    "marshal",
    "shelve",
    "joblib",
    "tarfile",
    "zipfile",
    "commands",
}
UNSAFE_CALLS = {"eval", "exec", "compile", "__import__", "os.system", "os.popen", "torch.load", "torch.save"}
UNSAFE_METHODS = {"extractall", "unpack_archive", "read_pickle", "to_pickle", "getoutput", "getstatusoutput"}
UNSAFE_METHODS |= {"unsafe_load", "full_load"}
UNSAFE_WORDS = {"shell": True, "allow_pickle": True, "verify": False, "autoescape": False}
# Fault: code that has it.
FAULTS = {
    "source that unpickles": (
        "import pickle",
        "from marshal import loads",
        "numpy.load(p, allow_pickle=True)",
    ),
    "source that loads weights as code": ("torch.load(path)", "torch.load(path, weights_only=False)"),
    "source that runs text": ("eval(text)", "exec(text)", "compile(text, '', 'exec')", "__import__(name)"),
    "source that starts a shell": (
        "os.system(line)",
        "subprocess.run(line, shell=True)",
        "subprocess.getoutput(line)",
        "os.popen(line)",
    ),
    "source that builds objects from YAML": (
        "yaml.load(text)",
        "yaml.load(text, Loader=yaml.Loader)",
        "yaml.unsafe_load(text)",
    ),
    "source that unpacks archives": ("tar.extractall(path)", "shutil.unpack_archive(p)", "import zipfile"),
    "source that writes HTML as it comes": ("Environment()", "Environment(autoescape=False)"),
    "source that trusts any server": ("requests.get(url, verify=False)",),
}


def unsafe(tree: ast.AST):
    """The line numbers of what runs data as code, or lets a shell or a page see it as it is."""
    for node in ast.walk(tree):
        match node:
            case ast.Import(names):
                found = any(name.name.partition(".")[0] in UNSAFE_MODULES for name in names)
            case ast.ImportFrom(module=str(module)):
                found = module.partition(".")[0] in UNSAFE_MODULES
            case ast.Call(func, _, keywords):
                found = _unsafe_call(ast.unparse(func), {word.arg: word.value for word in keywords})
            case _:
                continue
        if found:
            yield node.lineno


def _unsafe_call(name: str, words: dict) -> bool:
    given = {key: value.value for key, value in words.items() if isinstance(value, ast.Constant)}
    last = name.rpartition(".")[2]
    if last == "Environment" and given.get("autoescape") is not True:
        return True
    if name == "yaml.load" and "Safe" not in ast.unparse(words.get("Loader", ast.Constant(None))):
        return True
    return (
        name in UNSAFE_CALLS
        or last in UNSAFE_METHODS
        or any(key in given and given[key] is value for key, value in UNSAFE_WORDS.items())
    )


@pytest.mark.parametrize("fault", FAULTS)
def test_no_source_runs_data_as_code(fault, reliability):
    for code in FAULTS[fault]:
        assert list(unsafe(ast.parse(code))) == [1], f"the search does not see {code}"
    found = [f"{path}:{line}" for path in SOURCES for line in unsafe(ast.parse(path.read_text()))]
    assert not found
    reliability(fault, len(FAULTS[fault]), "seen by a search of the sources, which hold none")


def test_no_rule_has_a_command_line_and_no_page_text_that_is_not_escaped(reliability):
    for path in RULES:
        words = re.findall(r"\b(?:shell|run|eval|exec|os\.system|subprocess)\b\s*[:(.]", path.read_text())
        assert not words, path
    pages = [*REPOSITORY.glob("src/formerbench/report/templates/*.j2")]
    for page in pages:
        assert not re.search(r"\|\s*safe\b|autoescape\s+false", page.read_text()), page
    reliability("rule with a shell, or page without escapes", len(RULES) + len(pages), "there is none")


def test_every_download_is_encrypted_and_has_a_checksum(reliability):
    registered = [entry for entry in load_registry().values() if entry.kind == "download"]
    sources = [source for entry in registered for source in entry.sources]
    assert all(source.startswith("https://") for source in sources)
    assert all(re.fullmatch("[0-9a-f]{64}", entry.sha256) for entry in registered)
    reliability("source of data without https or checksum", len(sources), "there is none")


def test_every_package_and_action_is_pinned(reliability):
    lock = (REPOSITORY / "requirements.lock").read_text()
    blocks = re.findall(r"^(\S.*?)(?=^\S|\Z)", lock, flags=re.MULTILINE | re.DOTALL)
    packages = [block for block in blocks if not block.startswith("#")]
    assert len(packages) > 50
    for block in packages:
        assert re.match(r"[\w.-]+(\[[\w,-]+\])?==\S+", block), block
        assert re.search(r"--hash=sha256:[0-9a-f]{64}", block), block
    flows = [path.read_text() for path in (REPOSITORY / ".github/workflows").glob("*.yml")]
    actions = [action for text in flows for action in re.findall(r"uses: *(\S+)", text)]
    assert actions
    assert all(re.fullmatch(r"[\w./-]+@[0-9a-f]{40}", action) for action in actions), actions
    for text in flows:
        assert yaml.safe_load(text)["permissions"] == {"contents": "read"}
        assert "run: make audit" in text
    reliability("package or action without a pin", len(packages) + len(actions), "there is none")


@pytest.mark.slow
def test_hostile_columns_and_paths_reach_no_shell(project, reliability):
    """A whole study, from a file whose path and header are commands to the report."""
    columns = ("$(touch hacked)", "`touch hacked`", "; touch hacked #", "' || touch hacked '", "../../hacked")
    path = Path("my data; touch hacked; $(touch hacked) & `touch hacked`.csv")
    rows = (project.root / "mine.csv").read_text().splitlines()[1:]
    lines = [
        f"{row.partition(',')[0]},{','.join(str(i + j) for j in range(5))}" for i, row in enumerate(rows)
    ]
    (project.root / path).write_text("\n".join([",".join(["date", *columns]), *lines]) + "\n")
    data = STUDY["datasets"][0] | {"path": str(path), "target": columns[0]}
    project.write(STUDY | {"title": "$(touch hacked)", "datasets": [data]})
    project.snakemake()
    page = (project.root / "results/tiny/report/dataset-mine.html").read_text()
    assert "$(touch hacked)" in page
    assert not list(project.root.parent.rglob("hacked*"))
    reliability(
        "hostile column, path or title", len(columns) + 2, "the study runs to its end, nothing is executed"
    )
