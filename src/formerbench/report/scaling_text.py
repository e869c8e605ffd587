"""The findings of the scaling study in sentences, each computed from the rows."""

import pandas as pd

from formerbench.analysis.crossovers import Duel
from formerbench.analysis.fits import PowerLaw
from formerbench.analysis.leaderboard import BASELINES
from formerbench.analysis.theory import complexity
from formerbench.report.groups import Group
from formerbench.report.matrix import against, exponent
from formerbench.report.palette import Style
from formerbench.report.text import listed, three_digits

_LOST = {"oom": "out of memory", "timeout": "out of time"}
_DOING = {"train_step": "in training", "inference": "in inference"}


def duration(ms: float) -> str:
    """ "12.3 ms", "1.23 s"."""
    return f"{three_digits(ms)} ms" if ms < 1000 else f"{three_digits(ms / 1e3)} s"


def capital(sentence: str) -> str:
    """With a capital first letter, the others as they are."""
    return sentence[:1].upper() + sentence[1:]


def answers(groups: list[Group]) -> list[str]:
    """Three to four sentences: who wins, who departs from theory, who ends first."""
    measured = [group for group in groups if len(group.good("time_ms"))]
    if not measured:
        return _nothing(groups)
    home = [group for group in measured if group.home == measured[0].home]
    found = [f"{home[0].place}: {_fastest(home[0])}", *(capital(_fastest(group)) for group in home[1:])]
    found.append(departures(home))
    found.append(first_to_end([group for group in groups if group.home == home[0].home]))
    found += [f"{group.place}: {_fastest(group)}" for group in _other_places(measured, home[0])]
    return [sentence for sentence in found if sentence]


def _nothing(groups: list[Group]) -> list[str]:
    if not groups:
        return []
    counts = pd.concat([group.rows for group in groups])["status"].value_counts()
    ended = listed([f"{n} {status}" for status, n in counts.items()])
    return [f"No measurement at any length of lookback has ended with a time: {ended}."]


def _other_places(measured: list[Group], first: Group) -> list[Group]:
    """The first group of each of at most two further places of the same origin."""
    others = {}
    for group in measured:
        if group.place != first.place and group.rows["evidence"].iloc[0] == first.rows["evidence"].iloc[0]:
            others.setdefault(group.place, group)
    return list(others.values())[:2]


def _fastest(group: Group) -> str:
    """Who is fastest and who is leanest at the longest length that any subject reached."""
    rows = group.good("time_ms")
    longest = int(rows["lookback"].max())
    here = rows[rows["lookback"] == longest].sort_values(["time_ms", "subject"])
    labels = {style.name: style.label for style in group.styles}
    doing = _DOING.get(group.phase, group.phase)
    if len(here) == 1:
        return f"at {longest:,} steps of lookback, only {labels[here['subject'].iloc[0]]} ran {doing}."
    first, second = here.iloc[0], here.iloc[1]
    tied = group.winners("time_ms")[int(first["point"])][1]
    ratio = three_digits(second["time_ms"] / first["time_ms"])
    lead = f"{ratio} times as fast as {labels[second['subject']]}"
    if second["subject"] in tied:
        lead = f"level with {listed([labels[name] for name in tied])} within noise"
    words = f"at {longest:,} steps of lookback {labels[first['subject']]} is the fastest {doing} "
    words += f"({duration(first['time_ms'])}, {lead})"
    others = here[~here["subject"].isin(BASELINES)]
    if first["subject"] in BASELINES and len(others):
        name, time = labels[others["subject"].iloc[0]], duration(others["time_ms"].iloc[0])
        words += f", {name} the fastest transformer ({time})"
    lean = here[here[group.memory].notna()].sort_values([group.memory, "subject"])
    if len(lean):
        name, memory = lean["subject"].iloc[0], three_digits(lean[group.memory].iloc[0])
        same = name == first["subject"]
        words += (
            f" and the leanest ({memory} MB)" if same else f", and {labels[name]} the leanest ({memory} MB)"
        )
    return words + "."


def departures(groups: list[Group]) -> str:
    """Which measured exponents lie above the paper's order; how many below, and the farthest of these."""
    found = [one for quantity in ("time_ms", groups[0].memory) for one in _departures(groups, quantity)]
    known = [one for one in found if one["quantity"] == "time_ms"]
    if not known:
        return ""
    above = [one["words"] for one in found if one["verdict"] == "above"]
    below = sorted((one for one in known if one["verdict"] == "below"), key=lambda one: one["gap"])
    if above:
        first = f"Faster than the order of its paper grows {listed(above)}."
    else:
        first = "Nothing grows faster than the order of its paper."
    if not below:
        return first
    return (
        f"{first} {len(below)} of {len(known)} exponents of time lie below it: cheaper parts still count at "
        f"these lengths. Farthest is {below[0]['words']}."
    )


def _departures(groups: list[Group], quantity: str) -> list[dict]:
    found = []
    for group in groups:
        for style in group.styles:
            law, theory = group.fits.get((style.name, quantity)), complexity(style.name)
            if not isinstance(law, PowerLaw) or theory is None:
                continue
            order = theory.time if quantity == "time_ms" else theory.memory
            what = "time" if quantity == "time_ms" else "memory"
            words = f"the {what} of {style.label} {_DOING.get(group.phase, group.phase)}, "
            words += f"L^{exponent(law.exponent)} against {order.words}"
            gap = law.exponent - order.exponent(law.first, law.last)
            verdict = against(law, order)
            found.append({"quantity": quantity, "words": words, "verdict": verdict, "gap": gap})
    return found


def first_to_end(groups: list[Group]) -> str:
    """Who is the first to run out of memory or time."""
    labels = {style.name: style.label for group in groups for style in group.styles}
    rows = pd.concat([group.rows for group in groups])
    lost = rows[rows["status"].isin(list(_LOST))].sort_values(["lookback", "subject", "phase"])
    if lost.empty:
        return f"Nothing ran out of memory or time up to {int(rows['lookback'].max()):,} steps."
    first = lost.iloc[0]
    others = [name for name in dict.fromkeys(lost["subject"]) if name != first["subject"]]
    reason = f": {first['reason']}" if first["reason"] else ""
    words = f"{labels[first['subject']]} is the first to run {_LOST[first['status']]}, at "
    words += f"{int(first['lookback']):,} steps {_DOING.get(first['phase'], first['phase'])}{reason}"
    return words + (f"; later {listed([labels[name] for name in others])}." if others else ".")


def crossovers(group: Group) -> list[dict]:
    """{what, turns, throughout}: sentences of the pairs that change places, and of those that do not."""
    labels = {style.name: style.label for style in group.styles}
    found = []
    for quantity, word in (("time_ms", "faster"), (group.memory, "leaner")):
        pairs = group.duels(quantity)
        turned = [_turned(duel, labels, word, group.axes[0]) for duel in pairs if duel.turns]
        found.append(
            {
                "what": f"{group.phase_words}: {'time' if quantity == 'time_ms' else 'memory'}",
                "turns": turned,
                "throughout": _throughout(pairs, group.styles, labels, word) + _level(pairs, labels),
            }
        )
    return [one for one in found if one["turns"] or one["throughout"]]


def _turned(duel: Duel, labels: dict[str, str], word: str, axis: str) -> str:
    unit = "variates" if axis == "n_variates" else "steps"
    last = duel.turns[-1]
    where = f"about {_round(last.length)} {unit} on (between {last.after:,} and {last.before:,})"
    words = f"From {where}, {labels[last.cheaper]} is {word} than {labels[last.dearer]}"
    if len(duel.turns) > 1:
        places = listed([_round(turn.length) for turn in duel.turns[:-1]])
        words += f"; the two also change places at about {places}"
    return words + "."


def _round(length: float) -> str:
    """Two digits: the place lies between two measured lengths."""
    return f"{float(f'{length:.2g}'):,.0f}"


def _throughout(pairs: list[Duel], styles: list[Style], labels: dict[str, str], word: str) -> list[str]:
    found = []
    for style in styles:
        beaten = [duel.b if duel.a == style.name else duel.a for duel in pairs if duel.cheaper == style.name]
        if beaten:
            found.append(
                f"{style.label} is {word} throughout than {listed([labels[name] for name in beaten])}."
            )
    return found


def _level(pairs: list[Duel], labels: dict[str, str]) -> list[str]:
    level = [f"{labels[duel.a]} and {labels[duel.b]}" for duel in pairs if not duel.clear]
    return [f"Within noise at every length: {'; '.join(level)}."] if level else []
