"""Numbers and sentences of the report: as many digits as the noise allows, and no more claims than rows."""

from math import floor, isinf, log10

import pandas as pd

from formerbench.analysis.leaderboard import BASELINES, Score, Verdict, percent_above
from formerbench.report.palette import Style

_FEWEST_DECIMALS = {"mse": 2, "mae": 2, "mase": 2, "smape": 1}
_MOST_DECIMALS = 5
_ONE_SEED_DECIMALS = {"mse": 3, "mae": 3, "mase": 3, "smape": 1}


def score_text(score: Score, metric: str = "mse") -> str:
    """Mean and s.d. with matching digits, "0.372 ± 0.002"; the mean alone where the noise is not known."""
    if not score.sd:
        plain = f"{score.mean:.{_ONE_SEED_DECIMALS[metric]}f}"
        return f"{plain} ± 0" if score.sd == 0 and score.n > 1 else plain
    decimals = min(max(_decimals(score.sd), _FEWEST_DECIMALS[metric]), _MOST_DECIMALS)
    noise = f"{score.sd:.{decimals}f}"
    if float(noise) == 0:
        noise = f"<{10**-decimals:.{decimals}f}"
    return f"{score.mean:.{decimals}f} ± {noise}"


def _decimals(sd: float) -> int:
    """Decimals that show one digit of the s.d., two where the first is a 1 (0.0014 is not 0.001)."""
    place = -floor(log10(sd))
    return place + 1 if round(sd * 10**place, 6) < 2 else place


def percent(value: float) -> str:
    """Whole percent, or one decimal below 10 %; the space does not break."""
    if isinf(value):
        return "∞\u00a0%"
    return f"{value:.1f}\u00a0%" if abs(value) < 9.95 else f"{value:.0f}\u00a0%"


def signed_percent(value: float) -> str:
    """As :func:`percent` with a sign: + is better than the reference."""
    return ("+" if value > 0 else "−" if value < 0 else "") + percent(abs(value))


def three_digits(value: float) -> str:
    """Three significant digits without an exponent, thousands parted by a comma; "" for NaN."""
    if value == 0 or value != value:
        return "0" if value == 0 else ""
    decimals = max(0, 2 - floor(log10(abs(value))))
    return f"{value:,.{min(decimals, 5)}f}"


def count(value: int, singular: str, plural: str | None = None) -> str:
    """ "1 cell", "2,785 windows"."""
    return f"{value:,} {singular if value == 1 else plural or singular + 's'}"


def listed(words: list[str]) -> str:
    """ "a", "a and b", "a, b and c"."""
    return words[0] if len(words) == 1 else ", ".join(words[:-1]) + " and " + words[-1]


def answers(verdicts: list[Verdict], styles: dict[str, Style]) -> list[str]:
    """The answer: one paragraph for each data set and horizon, or a summary where there are many."""
    if not verdicts:
        return ["No cell has ended with a score yet, so there is no answer."]
    if len(verdicts) > 2:
        return _summary(verdicts, styles)
    return [" ".join(_single(verdict, styles)) for verdict in verdicts]


def _single(verdict: Verdict, styles: dict[str, Style]) -> list[str]:
    best, label = verdict.best, styles[verdict.best["model"]].label
    first = (
        f"On {verdict.dataset}, {verdict.horizon} steps ahead, {label} with a lookback of "
        f"{best['lookback']} is the most accurate: MSE {score_text(best['mse'])}"
    )
    if verdict.skill is not None and best["model"] != "seasonal_naive":
        first += f", {percent(verdict.skill)} below seasonal naive"
    sentences = [first + "."]
    if verdict.second is not None:
        sentences.append(_lead(verdict, styles))
    return [*sentences, *_baseline(verdict, styles)]


def _lead(verdict: Verdict, styles: dict[str, Style]) -> str:
    next_best = f"{styles[verdict.second['model']].label} ({score_text(verdict.second['mse'])})"
    if verdict.lead < 0.05 and not verdict.tied:  # reads as 0.0 %
        return f"{next_best} is level with it: less than 0.1 % apart."
    if verdict.tied is None:
        lead = f"It leads {next_best} by {percent(verdict.lead)}."
        return f"{lead} One seed: no noise estimate, so this may be luck."
    lead = f"Its lead of {percent(verdict.lead)} over {next_best}"
    if verdict.tied:
        return f"{lead} is within the seed noise: take the cheaper one."
    return f"{lead} is larger than the seed noise."


def _baseline(verdict: Verdict, styles: dict[str, Style]) -> list[str]:
    """What the best baseline says about the transformers."""
    if verdict.best["model"] in BASELINES:
        return ["A baseline wins, so no transformer is worth its cost here."]
    if verdict.baseline is None:
        return ["No baseline was run, so nothing says whether a transformer is needed."]
    name = styles[verdict.baseline["model"]].label
    if verdict.baseline_tied:
        return [f"The baseline {name} is as good within the noise, so no transformer is worth its cost here."]
    if verdict.second is not None and verdict.baseline["model"] == verdict.second["model"]:
        return []
    gap = percent_above(verdict.baseline["mse"].mean, verdict.best["mse"].mean)
    return [f"The best baseline, {name}, has an MSE {percent(gap)} higher."]


def _summary(verdicts: list[Verdict], styles: dict[str, Style]) -> list[str]:
    total = len(verdicts)
    wins = pd.Series([styles[verdict.best["model"]].label for verdict in verdicts]).value_counts(sort=False)
    wins = sorted(wins.items(), key=lambda win: (-win[1], win[0]))
    (label, most), *others = wins
    where = f"{most} of {total}" if others else f"all {total}"
    leader = f"{label} is the most accurate model in {where} pairs of data set and horizon"
    first = listed([leader, *(f"{name} in {n}" for name, n in others)]) + "."
    skills = [verdict.skill for verdict in verdicts if verdict.skill is not None]
    if skills:
        first += f" The best model's MSE is {_span(skills)} below seasonal naive."
    return [first, _summary_of_leads(verdicts), _summary_of_baselines(verdicts)]


def _span(values: list[float]) -> str:
    """ "3.1 % to 5.2 %", or one number where both would read the same."""
    low, high = percent(min(values)), percent(max(values))
    return low if low == high else f"{low} to {high}"


def _summary_of_leads(verdicts: list[Verdict]) -> str:
    compared = [verdict for verdict in verdicts if verdict.second is not None]
    known = [verdict for verdict in compared if verdict.tied is not None]
    if not compared:
        return "Only one model has scores, so there is nothing to compare."
    if not known:
        return "One seed: no noise estimate, so a small lead may be luck."
    clear = sum(not verdict.tied for verdict in known)
    rest = "" if clear == len(known) else " Elsewhere take the cheaper of the two."
    unknown = len(compared) - len(known)
    if unknown:
        rest += f" In {unknown} more there is one seed: no noise estimate."
    return f"The lead over the next model is larger than the seed noise in {clear} of {len(known)}.{rest}"


def _summary_of_baselines(verdicts: list[Verdict]) -> str:
    won = [verdict for verdict in verdicts if verdict.best["model"] in BASELINES]
    level = [verdict for verdict in verdicts if verdict.baseline_tied]
    if not won and not level:
        if all(verdict.baseline is None for verdict in verdicts):
            return "No baseline was run, so nothing says whether a transformer is needed."
        gaps = [
            percent_above(v.baseline["mse"].mean, v.best["mse"].mean)
            for v in verdicts
            if v.baseline is not None
        ]
        known = any(verdict.baseline_tied is not None for verdict in verdicts)
        words = "No baseline wins or ties anywhere" if known else "No baseline wins anywhere"
        return f"{words}: the MSE of the best one is {_span(gaps)} higher."
    words = [f"wins in {len(won)}"] if won else []
    words += [f"ties in {len(level)}"] if level else []
    return f"A baseline {listed(words)} of {len(verdicts)}: there no transformer is worth its cost."


def advice(verdict: Verdict) -> str:
    """The answer for one data set and horizon in a few words, for the table of winners."""
    if verdict.best["model"] in BASELINES:
        return "a baseline wins: no transformer needed"
    if verdict.baseline_tied:
        return "a baseline ties: no transformer needed"
    if verdict.second is None:
        return "only model with a score"
    if verdict.tied is None:
        return "one seed: no noise estimate"
    return "within seed noise: take the cheaper" if verdict.tied else "clear lead"
