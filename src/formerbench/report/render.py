"""Renders the report of a study: HTML files that need nothing but themselves."""

from collections.abc import Iterable
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined

from formerbench.analysis.tables import read, read_evidence, read_scores
from formerbench.paths import write_text
from formerbench.report import sources
from formerbench.report.accuracy import accuracy
from formerbench.report.claims import claims
from formerbench.report.context import Content, dataset_page, inlined, shared
from formerbench.report.decision import decision
from formerbench.report.model import model, model_names, model_page
from formerbench.report.overview import overview
from formerbench.report.scaling import scaling


def render(tables: Path, report: Path, evidence: Iterable[Path] = ()) -> Path:
    """Write the pages of a study into the folder ``report``.

    They are ``index.html``, ``accuracy.html``, ``scaling.html``, ``decision.html``, ``claims.html``,
    ``provenance.html``, ``dataset-<name>.html`` and ``model-<name>.html``; they link to the tables
    as ``../tables/*``. The same tables give the same bytes.

    Args:
        tables: the study's tables, as :mod:`formerbench.analysis.tables` describes them.
        report: folder of the pages; made where it does not exist.
        evidence: further folders of tables, whose measurements and scores are shown and judged apart from the
            study's own; a folder may lack ``scaling.csv`` or ``accuracy.csv``.

    Returns:
        The path of ``index.html``.

    Raises:
        StatedError: a table is missing or is not of this version.
    """
    folders = [Path(folder) for folder in evidence]
    others = [found for folder in folders if (found := read_evidence(folder)) is not None]
    scores = [(folder.name, found) for folder in folders if (found := read_scores(folder)) is not None]
    content = Content(read(tables), tuple(others), tuple(scores))
    environment = _environment()
    everywhere = shared(content)
    pages = {
        "index.html": ("index.html.j2", lambda: overview(content)),
        "accuracy.html": ("accuracy.html.j2", lambda: accuracy(content)),
        "scaling.html": ("scaling.html.j2", lambda: scaling(content)),
        "decision.html": ("decision.html.j2", lambda: decision(content)),
        "claims.html": ("claims.html.j2", lambda: claims(content)),
        "provenance.html": ("provenance.html.j2", lambda: sources.provenance(content)),
    }
    for name in content.dataset_names:
        pages[dataset_page(name)] = ("dataset.html.j2", lambda name=name: sources.dataset(content, name))
    for name in model_names(content):
        pages[model_page(name)] = ("model.html.j2", lambda name=name: model(content, name))
    for file, (template, variables) in pages.items():
        here = _SECTIONS.get(template, file)
        html = environment.get_template(template).render(everywhere | variables(), here=here)
        write_text(Path(report) / file, html)
    return Path(report) / "index.html"


# The place of the first page that lists the pages of these templates.
_SECTIONS = {"dataset.html.j2": "index.html#data", "model.html.j2": "index.html#models"}


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("formerbench.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        finalize=_unturned,
    )
    environment.globals["css"] = inlined("report.css")
    environment.globals["js"] = inlined("table.js", "filter.js")
    return environment


# Characters that set the direction of what follows them: a name with one would turn the words after it.
_TURNS = dict.fromkeys((0x061C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A)))


def _unturned(value):
    """What an expression of a template gives, without characters that turn its neighbours."""
    return value.translate(_TURNS) if isinstance(value, str) else value
