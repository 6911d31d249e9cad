"""Windows over constructed series, where every value tells its place."""

import itertools
import pickle

import numpy as np
import pytest
import torch

from forecaster.data.splits import Borders, share_borders, tail_borders
from forecaster.data.windows import Windows, cut_windows, evenly_spaced, ordered_loader
from forecaster.training.data_module import Share, WindowData


def counting(length: int, channels: int = 2) -> np.ndarray:
    """Row i holds i, i + 0.5, …"""
    return np.arange(length)[:, None] + 0.5 * np.arange(channels)


@pytest.mark.parametrize("part", ["train", "validation", "test"])
def test_windows_are_every_stretch_of_the_part(part: str) -> None:
    border = Borders(60, 80, 100)
    windows = cut_windows([counting(100)], [border], part, 10, 4, [1000])
    batch = windows[torch.arange(len(windows))]
    first, end = border.part(part)
    first = max(first, 10)
    assert batch.future[:, 0, 0].tolist() == list(range(first, end - 4 + 1))
    for i, t in enumerate(range(first, end - 4 + 1)):
        assert batch.past[i, 0].tolist() == list(range(t - 10, t))
        assert batch.future[i, 1].tolist() == [t + 0.5, t + 1.5, t + 2.5, t + 3.5]
    assert batch.past_mask.all()
    assert batch.future_mask.all()
    assert batch.time.tolist() == list(range(1000 + first, 1000 + end - 4 + 1))


def test_protocol_counts_every_window() -> None:
    borders = [Borders(8640, 11520, 14400)]
    counts = [
        len(cut_windows([np.zeros((17420, 1))], borders, p, 336, 96, [0]))
        for p in ("train", "validation", "test")
    ]
    assert counts == [8640 - 336 - 96 + 1, 2880 - 96 + 1, 2880 - 96 + 1]


def test_series_of_unequal_length_do_not_run_into_each_other() -> None:
    short, long = counting(9), 1000 + counting(50)
    borders = [Borders(7, 8, 9), Borders(30, 40, 50)]
    windows = cut_windows([short, long], borders, "train", 8, 2, [0, 0])
    batch = windows[torch.arange(len(windows))]
    from_short = batch.future[:, 0, 0] < 1000
    assert from_short.any()
    assert (~from_short).any()
    # a history is not observed where the series had not begun, and counts up to the target
    # elsewhere
    for past, mask, future in zip(
        batch.past[from_short, 0], batch.observed[from_short, 0], batch.future[from_short, 0]
    ):
        t = int(future[0])
        assert mask.tolist() == [0.0] * (8 - t) + [1.0] * t
        assert past[8 - t :].tolist() == list(range(t))
        assert (past >= 0).all()
        assert (past < t).all()
    assert (batch.past[~from_short] >= 1000).all()
    assert batch.past_mask[~from_short].all()


@pytest.mark.parametrize("rows", [14, 15, 40])
def test_a_training_window_has_its_whole_history_where_there_is_one(rows: int) -> None:
    """As many rows as a window is long give that window, and no other."""
    windows = cut_windows([counting(rows)], [Borders(rows, rows, rows)], "train", 10, 4, [0])
    batch = windows[torch.arange(len(windows))]
    assert windows.rows.tolist() == list(range(10, rows - 3))
    assert batch.past_mask.all()
    assert batch.future_mask.all()


@pytest.mark.parametrize("rows", [13, 12, 9, 8, 7, 6, 5])
def test_a_short_series_keeps_half_of_what_there_is_as_history(rows: int) -> None:
    """What there is before the last horizon, halved, is the shortest history; one row at least."""
    windows = cut_windows([counting(rows)], [Borders(rows, rows, rows)], "train", 10, 4, [0])
    known = windows[torch.arange(len(windows))].observed[:, 0].sum(1).tolist()
    room = rows - 4
    assert known == list(range(max(room // 2, 1), room + 1))
    assert max(known) < 10


def test_the_first_window_of_any_part_has_a_row_before_it() -> None:
    windows = Windows([counting(9)], [(0, 9)], 3, 2, [0])
    assert windows.rows.tolist() == [1, 2, 3, 4, 5, 6, 7]
    batch = windows[torch.tensor([0])]
    assert batch.observed[0, 0].tolist() == [0, 0, 1]
    assert batch.past[0, 0].tolist() == [0, 0, 0]
    assert batch.future[0, 0].tolist() == [1, 2]


def test_windows_tell_their_series_row_and_time() -> None:
    """Three series, the first with no window at all."""
    series = [counting(5), 100 + counting(20), 200 + counting(30)]
    borders = [Borders(2, 3, 5), Borders(12, 16, 20), Borders(20, 26, 30)]
    windows = cut_windows(series, borders, "test", 6, 4, [7, 1000, -50])
    assert windows.owners.tolist() == [1, 2]
    assert windows.rows.tolist() == [16, 26]
    assert windows.times.tolist() == [1016, -24]
    batch = windows[torch.tensor([1, 0])]
    assert batch.index.tolist() == [1, 0]
    assert batch.time.tolist() == [-24, 1016]
    assert batch.future[:, 0, 0].tolist() == [226, 116]


def test_a_batch_moves_as_one() -> None:
    windows = cut_windows([counting(40)], [Borders(40, 40, 40)], "train", 10, 4, [3])
    batch = windows[torch.arange(5)]
    moved = batch.to("cpu", torch.float64)
    assert len(moved) == 5
    for name in ("past", "past_mask", "future", "future_mask", "observed"):
        assert torch.equal(getattr(moved, name), getattr(batch, name).double())
    assert torch.equal(moved.index, batch.index)
    assert torch.equal(moved.time, batch.time)


def test_evenly_spaced_numbers_are_the_nearest_ones() -> None:
    for count, limit in ((17, 17), (17, 16), (17, 7), (17, 2), (10, 4)):
        found = evenly_spaced(count, limit).tolist()
        exact = [i * (count - 1) / (limit - 1) for i in range(limit)]
        assert all(abs(a - b) <= 0.5 for a, b in zip(found, exact, strict=True))
        assert (found[0], found[-1]) == (0, count - 1)
    assert evenly_spaced(3, None).tolist() == [0, 1, 2]


def test_missing_values_are_told_and_put_in() -> None:
    values = counting(40, 1)
    values[[5, 12], 0] = np.nan
    windows = cut_windows([values], [Borders(40, 40, 40)], "train", 10, 4, [0])
    batch = windows[torch.tensor([0])]  # history 0…9, future 10…13
    assert batch.observed[0, 0].tolist() == [1.0] * 5 + [0.0] + [1.0] * 4
    assert batch.past_mask.all()
    assert batch.past[0, 0, 5] == pytest.approx(5, abs=0.01)  # 0, 1, … is nearly a random walk
    assert batch.future_mask[0, 0].tolist() == [1.0, 1.0, 0.0, 1.0]
    assert batch.future[0, 0, 2] == 0


def test_an_epoch_visits_every_window_once_in_an_order_of_its_own() -> None:
    windows = cut_windows([counting(100)], [Borders(60, 80, 100)], "train", 10, 4, [0])
    data = WindowData(windows, windows, batch_size=7, seed=3)
    orders = []
    for epoch in (0, 1, 0):
        data.sampler.set_epoch(epoch)
        orders.append(torch.cat([batch.index for batch in data.train_dataloader()]).tolist())
    assert sorted(orders[0]) == list(range(len(windows)))
    assert orders[0] != orders[1]
    assert orders[0] == orders[2]


def test_an_epoch_of_so_many_batches_repeats_windows_or_stops_early() -> None:
    windows = cut_windows([counting(100)], [Borders(60, 80, 100)], "train", 10, 4, [0])
    data = WindowData(windows, windows, batch_size=7, seed=3)
    whole = [batch.index.tolist() for batch in data.train_dataloader()]
    found = {}
    for count in (3, 2 * len(whole) + 1):
        data.use_batches(count)
        data.use_share(Share())
        found[count] = [batch.index.tolist() for batch in data.train_dataloader()]
        assert len(found[count]) == len(data.train_dataloader()) == count
    assert found[3] == whole[:3]
    first, second = found[count][: len(whole)], found[count][len(whole) : -1]
    assert first == whole
    assert sorted(itertools.chain(*second)) == list(range(len(windows)))
    assert second != first
    data.use_batches(None)
    assert [batch.index.tolist() for batch in data.train_dataloader()] == whole


def test_ordered_loader_drops_no_window() -> None:
    windows = cut_windows([counting(100)], [Borders(60, 80, 100)], "test", 10, 4, [0])
    seen = torch.cat([batch.index for batch in ordered_loader(windows, 5)])
    assert seen.tolist() == list(range(17))
    assert len(ordered_loader(windows, 5)) == 4
    assert evenly_spaced(17, 3).tolist() == [0, 8, 16]
    assert evenly_spaced(2, 9).tolist() == [0, 1]


def test_borders_of_the_protocol_and_of_a_file() -> None:
    assert share_borders(7588, 0.7, 0.2) == Borders(5311, 6071, 7588)
    assert tail_borders(1000, 10) == Borders(700, 800, 1000)
    assert tail_borders(100, 30) == Borders(40, 70, 100)


@pytest.mark.parametrize(("devices", "batch_size"), [(2, 7), (3, 4), (64, 3)])
def test_devices_share_every_epoch_out(devices: int, batch_size: int) -> None:
    """Every window once, but for the first of the order, which fill the shares up; all take the
    same number of batches.
    """
    windows = cut_windows([counting(100)], [Borders(60, 80, 100)], "train", 10, 4, [0])
    whole = WindowData(windows, windows, batch_size, seed=3)
    order = torch.cat([batch.index for batch in whole.train_dataloader()]).tolist()
    data = [WindowData(windows, windows, batch_size, seed=3) for _ in range(devices)]
    for rank, each in enumerate(data):
        each.use_share(Share(rank, devices))
    steps = list(zip(*(each.train_dataloader() for each in data), strict=True))
    assert len(steps) == len(data[0].train_dataloader())
    met: list[int] = []
    for step in steps:  # what the devices see in one step is one stretch of the order
        together = sorted(int(i) for batch in step for i in batch.index)
        stretch = [order[n % len(order)] for n in range(len(met), len(met) + len(together))]
        assert together == sorted(stretch)
        assert len({len(batch) for batch in step}) == 1
        met += stretch
    assert set(met) == set(range(len(windows)))
    assert len(met) - len(windows) < devices
    scored = [torch.cat([batch.index for batch in each.val_dataloader()]).tolist() for each in data]
    assert {i for share in scored for i in share} == set(range(len(windows)))
    assert len({len(share) for share in scored}) == 1


def test_windows_reach_another_process_as_they_are_and_small() -> None:
    values = counting(400)
    values[7, 0] = np.nan
    windows = cut_windows([values], [Borders(300, 350, 400)], "train", 100, 40, [0])
    sent = pickle.dumps(windows)
    assert len(sent) < 3 * 500 * 2 * 8
    here, there = windows[torch.arange(9)], pickle.loads(sent)[torch.arange(9)]
    assert here.covariates is there.covariates is None
    for ours, theirs in zip(vars(here).values(), vars(there).values()):
        assert ours is None or torch.equal(ours, theirs)


def test_the_windows_of_other_parts_are_those_cut_anew_and_share_the_rows() -> None:
    series = [counting(30), counting(50)]
    parts = [[(5, 20), (5, 30)], [(20, 30), (30, 50)]]
    first, second = (Windows(series, part, 5, 3, [0, 100]) for part in parts)
    other = first.of(parts[1])
    assert other._data is first._data
    assert len(first) != len(other) == len(second)
    every = torch.arange(len(second))
    for name, value in vars(second[every]).items():
        if isinstance(value, torch.Tensor):
            assert torch.equal(getattr(other[every], name), value)
