"""The instrument against known sleeps and known allocations."""

import subprocess
import sys
import time

import pytest

from formerbench.measure.clock import StepClock, median_time_ms
from formerbench.measure.load import OtherLoad
from formerbench.measure.memory import PeakMemory

MB = 2**20


def test_the_clock_sees_a_sleep_and_nothing_around_it():
    clock = StepClock("cpu")
    for _ in range(3):
        time.sleep(0.05)
        with clock.step():
            time.sleep(0.1)
    assert len(clock.read()) == 3
    assert min(clock.read()) == pytest.approx(100, rel=0.02)
    assert clock.total_ms == sum(clock.read())


def test_the_median_leaves_the_warm_up_out():
    pauses = iter([0.2, 0.2, *[0.02] * 10])
    assert median_time_ms(lambda: time.sleep(next(pauses)), "cpu") == pytest.approx(20, rel=0.25)


@pytest.mark.parametrize("keep", [False, True])
def test_a_spike_is_seen_and_an_earlier_one_is_not(keep):
    """In a process of its own: 512 MB for 50 ms, after a larger allocation that came before."""
    code = f"""
import time, numpy as np
from formerbench.measure.memory import PeakMemory, keep_freed_memory
{"keep_freed_memory()" if keep else ""}
before = np.ones(800 * {MB}, dtype=np.uint8)
del before
memory = PeakMemory("cpu")
spike = np.ones(512 * {MB}, dtype=np.uint8)
time.sleep(0.05)
del spike
print(memory.mb())
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert float(done.stdout) == pytest.approx(512, rel=0.02)


def test_nothing_allocated_is_nothing():
    assert PeakMemory("cpu").mb() < 5


def test_the_c_library_keeps_freed_memory():
    code = f"""
import resource, numpy as np
from formerbench.measure.memory import keep_freed_memory
assert keep_freed_memory()
for _ in range(10):
    np.ones(64 * {MB}, dtype=np.uint8)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(10):
    np.ones(64 * {MB}, dtype=np.uint8)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    pages = 64 * MB // 4096
    assert int(done.stdout) < pages / 10


def test_the_work_of_others_makes_the_machine_busy():
    watched = OtherLoad()
    others = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(2)]
    time.sleep(1.5)
    busy = watched.busy()
    for other in others:
        other.kill()
        other.wait()
    assert busy


def test_ones_own_work_does_not():
    idle = OtherLoad()
    readings = iter([(0.0, 0.0, 0.0), (10.0, 10.0, 9.9)])
    idle._reading = lambda: next(readings)
    idle._began = idle._reading()
    assert not idle.busy()
