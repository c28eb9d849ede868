from __future__ import annotations

import signal
import threading
import time

import pytest

from the0.plugin.time_limit import TookTooLong, time_limit


def test_what_is_quick_is_let_be() -> None:
    before = signal.getitimer(signal.ITIMER_REAL)[0]
    with time_limit(60):
        pass
    assert before - 60 < signal.getitimer(signal.ITIMER_REAL)[0] <= before


def test_what_sleeps_is_cut_off() -> None:
    with pytest.raises(TookTooLong, match=r"0\.1 s"), time_limit(0.1):
        time.sleep(60)


def test_an_alarm_that_was_set_before_goes_on() -> None:
    before = signal.setitimer(signal.ITIMER_REAL, 500)
    handler = signal.getsignal(signal.SIGALRM)
    try:
        with time_limit(10):
            pass
        assert 400 < signal.getitimer(signal.ITIMER_REAL)[0] <= 500
        assert signal.getsignal(signal.SIGALRM) is handler
    finally:
        signal.setitimer(signal.ITIMER_REAL, *before)


def test_another_thread_has_no_limit() -> None:
    done = threading.Event()

    def work() -> None:
        with time_limit(0.01):
            time.sleep(0.1)
        done.set()

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert done.is_set()
