"""What all pages share: the study's tables, its models' styles, the title block, the banners."""

import hashlib
import re
from dataclasses import dataclass
from functools import cached_property
from importlib.resources import files

import pandas as pd
from markupsafe import Markup

from formerbench.analysis.leaderboard import TRANSFORMERS, Verdict, entries, verdicts
from formerbench.analysis.measured import machines, measured
from formerbench.analysis.tables import Evidence, Tables
from formerbench.report.palette import Style, mechanism_styles, styles, symbol
from formerbench.report.text import count, listed
from formerbench.results import PROVENANCE_COLUMNS

MB = 2**20


@dataclass(frozen=True)
class Content:
    """A study as the pages see it; everything is computed once from the tables.

    ``scores`` are the accuracy tables of folders of evidence, with their names.
    """

    tables: Tables
    evidence: tuple[Evidence, ...] = ()
    scores: tuple[tuple[str, pd.DataFrame], ...] = ()

    @property
    def accuracy(self) -> pd.DataFrame:
        return self.tables.accuracy

    @cached_property
    def measured(self) -> pd.DataFrame:
        """Measurements of the study, then of each folder of evidence, whose name is in ``evidence``."""
        frames = [
            measured(source.scaling, source.scaling_repeats).assign(evidence=getattr(source, "name", ""))
            for source in (self.tables, *self.evidence)
        ]
        # Empty frames have columns of any type, which would become the types of all.
        return pd.concat([f for f in frames if len(f)] or frames[:1], ignore_index=True)

    @cached_property
    def rows(self) -> pd.DataFrame:
        """Where and with what the study's cells and measurements ran."""
        columns = [*PROVENANCE_COLUMNS, "device", "threads"]
        frames = [frame[columns] for frame in (self.accuracy, self.tables.scaling) if len(frame)]
        return pd.concat(frames, ignore_index=True) if frames else self.accuracy[columns]

    @cached_property
    def entries(self) -> pd.DataFrame:
        return entries(self.accuracy)

    @cached_property
    def verdicts(self) -> list[Verdict]:
        place = {name: i for i, name in enumerate(self.dataset_names)}
        return sorted(verdicts(self.entries), key=lambda verdict: (place[verdict.dataset], verdict.horizon))

    @cached_property
    def styles(self) -> dict[str, Style]:
        own = self.measured[self.measured["experiment"] != "mechanism"]
        others = [model for _, scores in self.scores for model in scores["model"]]
        return styles([*TRANSFORMERS, *self.accuracy["model"], *own["subject"], *others])

    @cached_property
    def mechanisms(self) -> dict[str, Style]:
        return mechanism_styles(self.measured.loc[self.measured["experiment"] == "mechanism", "subject"])

    @cached_property
    def dataset_names(self) -> list[str]:
        """Data sets in the study's order; one that only the rows know comes last."""
        return list(
            dict.fromkeys([facts["name"] for facts in self.tables.datasets] + list(self.accuracy["dataset"]))
        )

    def facts(self, dataset: str) -> dict:
        """The data set's ``dataset.json``; empty where the study has none."""
        return next((facts for facts in self.tables.datasets if facts["name"] == dataset), {})


def inlined(*names: str) -> Markup:
    """The text of files of ``static``, for a page that needs nothing but itself."""
    static = files("formerbench.report") / "static"
    return Markup("\n".join((static / name).read_text(encoding="utf-8") for name in names))


def slug(name: str) -> str:
    """``name`` where it is fit for a file name and an id, else what is left of it and a digest."""
    if re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}", name):
        return name
    return re.sub(r"[^A-Za-z0-9_.-]+", "_", name)[:40] + "-" + hashlib.sha256(name.encode()).hexdigest()[:8]


def dataset_page(name: str) -> str:
    """File name of a data set's page."""
    return f"dataset-{slug(name)}.html"


def shared(content: Content) -> dict:
    """Variables of ``base.html.j2``, the same on every page."""
    study, rows = content.tables.study, content.rows
    drawn = [*content.styles.values(), *content.mechanisms.values()]
    return {
        "study": study["study"],
        "study_title": study.get("title") or study["study"],
        "pages": [
            {"href": "index.html", "title": "Overview"},
            {"href": "accuracy.html", "title": "Accuracy"},
            {"href": "scaling.html", "title": "Scaling"},
            {"href": "decision.html", "title": "Decision"},
            {"href": "claims.html", "title": "Claims"},
            *([{"href": "index.html#models", "title": "Models"}] if content.tables.inside else []),
            *([{"href": "index.html#data", "title": "Data sets"}] if content.dataset_names else []),
            {"href": "provenance.html", "title": "Provenance"},
        ],
        "symbols": [(style.key, style.colour, symbol(style)) for style in drawn],
        "banners": banners(content),
        "newest": minute(max(rows["started_at"], default="")),
        "machines": distinct(machines(rows)),
        "versions": distinct(versions(rows)),
        "commits": distinct(commits(rows)),
    }


def distinct(values: pd.Series) -> list[str]:
    """The distinct non-empty values, sorted."""
    return sorted(set(values[values != ""]))


def minute(timestamp: str) -> str:
    """An ISO time stamp as people write it, without seconds."""
    return timestamp.replace("T", " ")[:16]


def versions(rows: pd.DataFrame) -> pd.Series:
    """Words for the software of each row."""
    words = "formerbench " + rows["package_version"] + ", torch " + rows["torch_version"]
    words = words + ", Python " + rows["python_version"]
    return words.where(rows["package_version"] != "", "")


def commits(rows: pd.DataFrame) -> pd.Series:
    """Short commit of each row; "+" marks uncommitted changes."""
    return rows["git_commit"].str[:10] + rows["git_dirty"].map({True: "+"}).fillna("").astype(str)


def banners(content: Content) -> list[tuple[str, str]]:
    """(headline, sentence) of everything that a reader must know before believing a number."""
    study, rows = content.tables.study, content.accuracy
    found = []
    if study.get("notice"):
        found.append(("Note", study["notice"]))
    planned = int(study.get("planned_cells", len(rows)))
    if planned != len(rows):
        words = f"{len(rows):,} of {count(planned, 'planned cell')} are in the table."
        found.append(("Incomplete", words))
    made = [facts["name"] for facts in content.tables.datasets if facts.get("generated")]
    if made:
        words = f"{listed(made)}: it shows that the pipeline works, not how the models do on real series."
        found.append(("Generated data", words))
    if rows["git_dirty"].any():
        words = f"{count(int(rows['git_dirty'].sum()), 'cell')} ran code with uncommitted changes: "
        found.append(("Uncommitted code", words + "the commit alone does not give it back."))
    unwatched = int(rows.loc[rows["status"] == "ok", "busy"].isna().sum())
    if unwatched:
        words = f"for {count(unwatched, 'cell')} it is not known whether something else used the machine."
        found.append(("Unwatched machine", words))
    if rows["busy"].any():
        words = f"{count(int(rows['busy'].sum()), 'cell')} ran while something else used the machine: "
        found.append(("Busy machine", words + "the times may be too high; the errors are not affected."))
    for name, cells in rows.groupby("dataset"):
        files = distinct(cells["data_sha256"])
        if len(files) > 1:
            words = f"the cells of {name} used {len(files)} different data files: do not compare them."
            found.append(("Mixed data", words))
    return found
