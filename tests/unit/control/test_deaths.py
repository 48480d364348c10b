"""What follows a worker's death."""

from evener.control.deaths import Deaths, Verdict

AT_ONCE = Verdict(previous=False, wait=0.0)


def test_the_same_plan_follows_at_once() -> None:
    assert Deaths().died(now=1000.0, generation=7, started=10.0, born=10.0) == AT_ONCE


def test_two_deaths_soon_after_the_same_plan_bring_the_previous_one() -> None:
    deaths = Deaths()
    assert deaths.died(now=4.9, generation=7, started=0.0, born=0.0) == AT_ONCE
    assert deaths.died(now=9.0, generation=7, started=5.0, born=5.0) == Verdict(
        previous=True, wait=0.0
    )


def test_a_death_after_five_seconds_is_not_held_against_the_plan() -> None:
    deaths = Deaths()
    deaths.died(now=1.0, generation=7, started=0.0, born=0.0)
    assert deaths.died(now=7.0, generation=7, started=2.0, born=2.0) == AT_ONCE
    assert deaths.died(now=8.0, generation=7, started=7.1, born=7.1) == AT_ONCE


def test_two_plans_that_kill_one_worker_each_are_not_suspected() -> None:
    deaths = Deaths()
    deaths.died(now=1.0, generation=7, started=0.0, born=0.0)
    assert deaths.died(now=2.0, generation=8, started=1.0, born=1.0) == AT_ONCE


def test_five_deaths_in_ten_seconds_bring_growing_pauses() -> None:
    deaths = Deaths()
    now, waits = 0.0, []
    for generation in range(12):
        now += 0.5
        verdict = deaths.died(now, generation, started=now - 0.5, born=now - 0.5)
        waits.append(verdict.wait)
        now += verdict.wait
    assert waits == [0, 0, 0, 0, 1, 2, 4, 8, 16, 30, 30, 30]
    assert deaths.count == 12


def test_a_worker_that_lived_ends_the_pauses() -> None:
    deaths = Deaths()
    for at in range(5):
        deaths.died(now=float(at), generation=at, started=float(at), born=float(at))
    assert deaths.died(now=30.0, generation=9, started=15.0, born=15.0).wait == 0.0


def test_a_worker_that_lived_ends_the_pauses_whatever_it_was_reloaded_with() -> None:
    deaths = Deaths()
    for at in range(5):
        deaths.died(now=float(at), generation=at, started=float(at), born=float(at))
    assert deaths.died(now=99.0, generation=9, started=98.0, born=5.0).wait == 0.0
    assert deaths.died(now=99.5, generation=9, started=99.0, born=99.0).wait == 0.0


def test_deaths_far_apart_bring_no_pause() -> None:
    deaths = Deaths()
    waits = [
        deaths.died(now=3.0 * at, generation=at, started=0.0, born=0.0).wait for at in range(1, 12)
    ]
    assert waits == [0.0] * 11
