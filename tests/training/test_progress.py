"""What a monitor prints: a bar on a terminal, elsewhere a line every ten seconds at most."""

import io
import pickle
import sys
from itertools import pairwise

import pytest
from training.test_limit import Clock

from forecaster.training import progress
from forecaster.training.plan import Part
from forecaster.training.progress import Silent, Terminal


def test_a_line_every_ten_seconds_at_most(capsys: pytest.CaptureFixture[str]) -> None:
    clock = Clock()
    monitor, told = Terminal(clock), []
    with monitor.overall([Part("model", 100, 4)]):
        monitor.start("model", 100, 4)
        for step in range(1, 101):
            clock.now += 0.75
            monitor.advance(step, f"epoch {step // 25 + 1} of 4")
            if line := capsys.readouterr().err:
                told.append((clock.now - 100, line))
    times = [time for time, _ in told]
    assert len(told) == 7
    assert times[0] >= 10
    assert all(later - earlier >= 10 for earlier, later in pairwise(times))
    assert told[0][1] == "model, epoch 1 of 4: 14 % done, at most 65 s left\n"


def test_one_work_within_another_is_a_part_of_it(capsys: pytest.CaptureFixture[str]) -> None:
    clock = Clock()
    monitor = Terminal(clock)
    with monitor.overall([Part("first", 10, 1), Part("second", 10, 1)]):
        with monitor.overall([Part("first", 10, 1)]):
            monitor.start("first", 10, 1)
            clock.now += 20
            monitor.advance(10)
        monitor.start("second", 10, 1)
        clock.now += 20
        monitor.advance(5)
    assert capsys.readouterr().err.splitlines() == [
        "first: 50 % done, at most 20 s left",
        "second: 66 % done, at most 20 s left",
    ]
    monitor.start("after", 10, 1)  # no work goes on: nothing is told
    clock.now += 20
    monitor.advance(5)
    assert capsys.readouterr().err == ""


class Screen(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_shows_one_bar_and_is_left_clean(monkeypatch: pytest.MonkeyPatch) -> None:
    screen, monitor = Screen(), Terminal()
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "90")

    def work() -> None:
        with monitor.overall([Part("model", 10, 2)]):
            monitor.start("model", 10, 2)
            monitor.advance(5, "epoch 1 of 2")
            copy = pickle.loads(pickle.dumps(monitor))  # for another process, which has no bar
            assert copy._bar is None
            monitor.hide()
            monitor.advance(6, "epoch 2 of 2")
            assert "model, epoch 2 of 2" in screen.getvalue()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        work()
    assert monitor._bar is None
    assert screen.getvalue().count("\x1b[?25l") == screen.getvalue().count("\x1b[?25h") == 2
    assert sys.stderr is screen


def test_silence(capsys: pytest.CaptureFixture[str]) -> None:
    monitor: progress.Monitor = Silent()
    with monitor.overall([Part("model", 10, 2)]):
        monitor.start("model", 10, 2)
        monitor.advance(5, "epoch 1 of 2")
        monitor.skip("model")
        monitor.hide()
        monitor.say("a line")
    assert capsys.readouterr() == ("", "")
