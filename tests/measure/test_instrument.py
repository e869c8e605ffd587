"""The instrument finds known times, memory and work, and no end of a measurement is an error of its own."""

import json

import pytest

from formerbench.cli import main
from formerbench.measure.profile import Profiler
from formerbench.measure.sandbox import Sandbox
from formerbench.measure.work import Work
from formerbench.results import SCALING_COLUMNS

from ..project import REPOSITORY


@pytest.fixture(scope="module", autouse=True)
def probes_are_found():
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(REPOSITORY))
        yield


@pytest.fixture(scope="module")
def sandbox():
    with Sandbox(memory_budget_mb=1500, time_budget_s=60) as sandbox:
        yield sandbox


def work(probe, phase="inference", batch_size=2, **options):
    return Work(
        subject=f"tests.measure.probes:{probe}",
        lookback=8,
        horizon=4,
        n_variates=1,
        batch_size=batch_size,
        phase=phase,
        options=options,
    )


def row(sandbox, *args, repeat_for=0.5, **options):
    return Profiler(sandbox, repeat_for).row(work(*args, **options))[0]


@pytest.mark.parametrize(
    ("probe", "options"),
    [("OneBlock", {}), ("Spike", {"seconds": 0.05}), ("SmallBlocks", {"count": 4096})],
)
def test_memory_is_seen_within_two_percent(sandbox, probe, options):
    found = row(sandbox, probe, mb=512, **options)
    assert found["status"] == "ok"
    assert found["peak_memory_mb"] == pytest.approx(512, rel=0.02)
    assert found["peak_tensor_mb"] == pytest.approx(512, rel=0.02)


def test_a_smaller_phase_after_a_larger_one_does_not_see_it(sandbox):
    assert row(sandbox, "OneBlock", mb=600)["peak_memory_mb"] > 590
    assert row(sandbox, "SmallBlocks", mb=512, count=4096)["peak_memory_mb"] == pytest.approx(512, rel=0.02)


def test_the_instrument_takes_no_memory_of_its_own_in_the_phase(sandbox):
    assert row(sandbox, "OneBlock", mb=0)["peak_memory_mb"] < 0.5


def test_a_sleep_is_timed_within_two_percent(sandbox):
    found = row(sandbox, "Sleep", seconds=0.2)
    assert found["time_ms"] == pytest.approx(200, rel=0.02)
    assert found["repeats"] >= 3


def test_steps_of_100_ms_are_measured_with_less_than_a_percent_of_overhead(sandbox):
    _, (times_ms,) = Profiler(sandbox, 3.0).row(work("Sleep", seconds=0.1))
    assert 100 <= min(times_ms) < 101


def test_a_slow_call_is_warmed_up_and_repeated_all_the_same(sandbox):
    _, (times_ms,) = Profiler(sandbox, 0.1).row(work("Sleep", seconds=0.2))
    assert len(times_ms) == 3


def test_a_trial_is_one_repeat(sandbox):
    found, (times_ms,) = Profiler(sandbox, 0.1, processes=2).row(work("Sleep", seconds=0.2), trial=True)
    assert (found["status"], len(times_ms)) == ("ok", 1)
    assert found["flops"] is None


def test_work_and_share_of_the_peak(sandbox):
    peak = sandbox.machine("cpu", "fp32", 1)["flop_per_s"]
    found, _ = Profiler(sandbox, 0.5, peak).row(work("Product", n=512))
    assert found["flops"] == 2 * 512**3
    assert 0.05 < found["share_of_peak"] <= 1.2


def test_an_allocation_over_the_budget_is_oom(sandbox):
    found = row(sandbox, "Spike", mb=1700, seconds=0.5)
    assert (found["status"], found["reached"]) == ("oom", "inference")
    assert found["reason"] == "needed more than 1500 MB"
    assert found["time_ms"] is None


def test_memory_that_does_not_exist_is_oom(sandbox):
    found = row(sandbox, "OneBlock", mb=2**40)
    assert found["status"] == "oom"
    assert "allocate memory" in found["reason"]


def test_more_time_than_the_budget_is_timeout():
    with Sandbox(memory_budget_mb=1000, time_budget_s=4) as sandbox:
        found = row(sandbox, "Sleep", seconds=30)
    assert (found["status"], found["reason"]) == ("timeout", "took more than 4 s")
    assert found["reached"] == "inference"


def test_a_child_that_kills_itself_is_a_row_and_the_next_one_runs(sandbox):
    found = row(sandbox, "Killed")
    assert (found["status"], found["reason"]) == ("oom", "killed from outside by signal 9")
    assert row(sandbox, "Sleep", seconds=0.01)["status"] == "ok"


def test_an_error_of_a_model_is_a_row(sandbox):
    found = row(sandbox, "Wrong")
    assert (found["status"], found["reason"]) == ("failed", "ValueError: as planned")


def test_a_fork_computes_with_several_threads_after_another_has(sandbox):
    for _ in range(2):
        several = Work(**work("Product", n=1024).as_dict() | {"threads": 2})
        assert Profiler(sandbox, 0.2).row(several)[0]["status"] == "ok"


def test_rows_have_the_columns_of_the_scaling_table(sandbox):
    found, times_ms = Profiler(sandbox, 0.2, processes=2, study="s").row(
        Work(
            subject="itransformer",
            lookback=48,
            horizon=8,
            n_variates=3,
            batch_size=2,
            phase="train_step",
            options={"d_model": 16, "n_heads": 2, "dropout": 0.0},
        )
    )
    assert list(found) == list(SCALING_COLUMNS)
    assert (found["status"], found["attention_kernel"], found["d_model"]) == ("ok", "flash", 16)
    assert found["repeats"] == sum(len(one) for one in times_ms)
    assert len(times_ms) == 2
    assert found["n_parameters"] > 1000
    json.dumps(found, allow_nan=False)


def test_profile_prints_a_table_or_rows(capsys):
    arguments = ["profile", "fedformer", "--lookback", "96", "--d-model", "16", "--seconds", "0.2"]
    assert main([*arguments, "--json", "--phase", "inference"]) == 0
    (found,) = json.loads(capsys.readouterr().out)
    assert (found["subject"], found["lookback"], found["phase"]) == ("fedformer", 96, "inference")
    assert main([*arguments, "--memory-budget-mb", "0.1"]) == 1
    text = capsys.readouterr().out
    assert "fedformer train_step, L=96 H=96 D=7 B=8, cpu fp32: oom, needed more than 0.1 MB" in text
