"""The training of an ensemble: its candidates, their weights, and the training on all rows."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from conftest import Cli

from forecaster.config.load import changed_config, find_config, load_config
from forecaster.config.schema import Columns, Config
from forecaster.data.problem import Problem, load_problem
from forecaster.data.tables import read_table
from forecaster.errors import UserError
from forecaster.inference.saved_model import load_model
from forecaster.models.ensemble import Ensemble, EnsembleConfig, Member
from forecaster.models.held_out import held_out_errors
from forecaster.models.mixture import Terms, terms_of
from forecaster.models.naive import SeasonalNaiveConfig
from forecaster.training.ensemble import _Course, earlier, refit_model, train_model
from forecaster.training.fit import fit, new_model, window_data
from forecaster.training.limit import Limit, limit_of
from forecaster.training.progress import Silent
from forecaster.training.refit import refit
from forecaster.workflows.settle import settle

QUICK = ("trainer.accelerator=cpu", "trainer.max_epochs=2", "trainer.epoch_batches=4")


@pytest.fixture(scope="module")
def weeks(tmp_path_factory) -> Path:
    """A week's season whose level is a random walk: last values matter, and so do phases."""
    draws, t = np.random.default_rng(0).normal(size=300), np.arange(300)
    values = 50 + 5 * np.sin(2 * np.pi * t / 7) + 0.3 * draws.cumsum()
    path = tmp_path_factory.mktemp("weeks") / "weeks.csv"
    days = pd.date_range("2023-01-01", periods=300)
    pd.DataFrame({"day": days, "value": values}).to_csv(path, index=False)
    return path


def problem_of(path: Path, *settings: str) -> tuple[Config, Problem]:
    data = [f"data.csv={path}", "data.horizon=7", "data.lookback=14", "data.seasons=[7]"]
    config = load_config(find_config("auto"), [*data, *QUICK, *settings])
    table = read_table(path, Columns())
    config, _ = settle(config, table)
    return config, load_problem(config.data, table)


def names_of(config: Config) -> list[str]:
    assert isinstance(config.model, EnsembleConfig)
    return [member.name for member in config.model.members]


def test_a_member_is_the_model_of_its_preset_trained_alone_also_on_all_rows(
    weeks: Path, tmp_path: Path
) -> None:
    config, problem = problem_of(weeks, "model.candidates=[nlinear]")
    found = train_model(config, problem, tmp_path / "ensemble", progress=Silent())
    assert isinstance(found.model, Ensemble)
    after = refit_model(
        found.model, found.config, problem, tmp_path / "ensemble", progress=Silent()
    )
    alone = load_config(find_config("nlinear"), QUICK)
    alone = alone.model_copy(update={"data": problem.config})
    model = new_model(alone, problem)
    fit(model, window_data(alone, problem), alone.trainer, tmp_path / "alone", progress=Silent())
    again = refit(model, alone, problem, tmp_path / "alone", progress=Silent())
    batch = problem.windows("test")[torch.arange(5)]
    assert torch.equal(found.model.predict(batch), model.predict(batch))
    assert torch.equal(after.model.predict(batch), again.model.predict(batch))
    assert (after.held_out_steps, after.steps) == (again.held_out_steps, again.steps)
    # its samples are made of its own errors, those of the model on all rows out of sample
    errors = held_out_errors(model, problem, alone.trainer)
    ours = found.model.errors[0]
    assert torch.equal(ours.errors[-len(errors.errors) :], errors.errors)  # after those of before
    assert torch.equal(ours.last(2).times, errors.times[-2:])
    assert isinstance(after.model, Ensemble)
    count = problem.count_windows("validation") + problem.count_windows("test")
    assert len(after.model.errors[0].errors) == count


def test_weights_are_of_validation_and_the_best_is_no_worse_than_any_candidate(
    weeks: Path, tmp_path: Path
) -> None:
    """Repeating the last value misses the season, which the others have."""
    config, problem = problem_of(weeks, "model.candidates=[seasonal-naive,nlinear]")
    assert isinstance(config.model, EnsembleConfig)
    flat = Member(name="flat", model=SeasonalNaiveConfig(season=1))
    model = config.model.model_copy(update={"members": (flat, *config.model.members)})
    found = train_model(
        config.model_copy(update={"model": model}), problem, tmp_path, progress=Silent()
    )
    by_name = {row.name: row for row in found.leaderboard}
    assert [row.name for row in found.leaderboard][-1] == "flat"
    assert by_name["flat"].weight == 0
    assert "flat" not in names_of(found.config)
    assert sum(row.weight for row in found.leaderboard) == pytest.approx(1)
    assert found.crps is not None
    assert found.crps <= min(row.crps for row in found.leaderboard if row.crps is not None)


def test_a_candidate_that_fails_is_left_out_with_its_reason(weeks: Path, tmp_path: Path) -> None:
    config, problem = problem_of(weeks, "model.candidates=[seasonal-naive,nlinear]")
    assert isinstance(config.model, EnsembleConfig)
    naive, linear = config.model.members
    wild = linear.model_copy(
        update={"trainer": linear.trainer.model_copy(update={"learning_rate": 1e30})}
    )

    def trained(*members: Member):
        model = EnsembleConfig(members=members)
        folder = tmp_path / str(len(members))
        settled = config.model_copy(update={"model": model})
        return train_model(settled, problem, folder, progress=Silent())

    found = trained(wild, naive)
    assert names_of(found.config) == ["seasonal-naive"]
    fault = found.leaderboard[-1].fault
    assert fault is not None
    assert fault.startswith("training diverged")
    with pytest.raises(
        UserError, match=r"no candidate could be trained \(nlinear: training diverged"
    ):
        trained(wild)


class _Stopped(Silent):
    """Ctrl-C when the first candidate is trained."""

    def say(self, text: str) -> None:
        if text.startswith("candidate nlinear"):
            raise KeyboardInterrupt


def test_an_interrupted_training_goes_on_with_the_next_candidate(
    weeks: Path, tmp_path: Path
) -> None:
    config, problem = problem_of(weeks, "model.candidates=[nlinear,rlinear]")
    whole = train_model(config, problem, tmp_path / "whole", progress=Silent())
    folder = tmp_path / "interrupted"
    with pytest.raises(KeyboardInterrupt):
        train_model(config, problem, folder, progress=_Stopped())
    [done] = (folder / "nlinear").rglob("done.ckpt")
    before = done.stat().st_mtime_ns
    assert not (folder / "rlinear").exists()
    again = train_model(config, problem, folder, progress=Silent())
    assert done.stat().st_mtime_ns == before
    assert [row.crps for row in again.leaderboard] == [row.crps for row in whole.leaderboard]
    batch = problem.windows("test")[torch.arange(5)]
    assert torch.equal(again.model.predict(batch), whole.model.predict(batch))


def test_few_validation_rows_are_not_what_weights_are_of(weeks: Path, tmp_path: Path) -> None:
    """A horizon of 7 in 30 rows is not enough; half of the rows are learnt from, then 70 %."""
    config, problem = problem_of(weeks, "model.candidates=[nlinear]")
    early = earlier(config, problem)
    assert early is not None
    [border] = early.borders
    assert (border.train, border.validation, border.test) == (150, 240, 300)
    rows = problem.table.series[0].values
    assert early.scaling[0].mean == pytest.approx(rows[:150].mean(0))
    found = train_model(config, problem, tmp_path, progress=Silent())
    assert (tmp_path / "early" / "nlinear").is_dir()
    assert isinstance(found.model, Ensemble)
    alone = load_config(find_config("nlinear"), QUICK).model_copy(update={"data": problem.config})
    model = new_model(alone, problem)
    fit(model, window_data(alone, problem), alone.trainer, tmp_path / "alone", progress=Silent())
    batch = problem.windows("test")[torch.arange(5)]
    assert torch.equal(found.model.member(0).predict(batch), model.predict(batch))

    # the errors of both trainings are what samples are made of
    before, after = early.count_windows("validation"), problem.count_windows("validation")
    assert len(found.model.errors[0].errors) == before + after

    # of ten such series there are enough
    many = replace(problem, borders=problem.borders * 10)
    assert earlier(config, many) is None
    named = problem.config.model_copy(update={"dataset": "etth1"})
    assert earlier(config, replace(problem, config=named)) is None


def test_without_a_member_lost_in_the_second_training_the_others_share_its_weight(
    weeks: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config, problem = problem_of(weeks, "model.candidates=[seasonal-naive,nlinear,rlinear]")
    name = "forecaster.training.ensemble.greedy_weights"
    monkeypatch.setattr(name, lambda terms: torch.tensor([0.5, 0.3, 0.2]))
    trained, terms = _Course._trained, list[Terms]()

    def loses_one(self: _Course, member: Member, limit: Limit | None) -> object:
        if self.before and member.name == "nlinear":
            raise UserError("it is lost")
        return trained(self, member, limit)

    def noted(*args: torch.Tensor) -> Terms:
        terms.append(terms_of(*args))
        return terms[-1]

    monkeypatch.setattr(_Course, "_trained", loses_one)
    monkeypatch.setattr("forecaster.training.ensemble.terms_of", noted)
    found = train_model(config, problem, tmp_path, progress=Silent())
    rows = {row.name: row for row in found.leaderboard}
    assert (rows["nlinear"].weight, rows["nlinear"].fault) == (0, "it is lost")
    assert rows["seasonal-naive"].weight == pytest.approx(5 / 7)
    assert rows["rlinear"].weight == pytest.approx(2 / 7)
    kept = torch.tensor([5 / 7, 0.0, 2 / 7], dtype=torch.float64)
    assert found.crps == pytest.approx(terms[0].crps(kept))
    monkeypatch.setattr(name, lambda terms: torch.tensor([0.0, 1.0, 0.0]))
    with pytest.raises(UserError, match="no candidate could be"):
        train_model(config, problem, tmp_path / "alone", progress=Silent())


def test_one_validation_window_is_enough_after_an_early_training(tmp_path: Path) -> None:
    at = np.arange(120)
    months = pd.date_range("2000-01-01", periods=120, freq="MS")
    values = at + 10 * np.sin(2 * np.pi * at / 12) + np.cos(1.7 * at)
    path = tmp_path / "months.csv"
    pd.DataFrame({"month": months, "y": values}).to_csv(path, index=False)
    names = "model.candidates=[nlinear,quantile-linear]"
    config = load_config(find_config("auto"), [*QUICK, names], {"data.csv": str(path)})
    config, _ = settle(config, read_table(path, Columns()))
    problem = load_problem(config.data)
    assert problem.count_windows("validation") == 1
    found = train_model(config, problem, tmp_path / "checkpoints", progress=Silent())
    weights = {row.name: row.weight for row in found.leaderboard if row.weight}
    assert set(names_of(found.config)) == set(weights)


def test_a_column_that_begins_later_is_no_reason_not_to_train(tmp_path: Path) -> None:
    draws = np.random.default_rng(0).normal(size=(150, 2))
    days = pd.date_range("2023-01-01", periods=150)
    frame = pd.DataFrame({"day": days, "a": draws[:, 0], "b": draws[:, 1]})
    for change in (np.nan, 1.0):
        path = tmp_path / "late.csv"
        frame.assign(b=frame["b"].where(frame.index >= 80, change)).to_csv(path, index=False)
        config, problem = problem_of(path, "model.candidates=[nlinear]")
        assert earlier(config, problem) is None


def test_what_a_saved_ensemble_is_trained_with_again_is_what_it_was(weeks: Path) -> None:
    """Lookbacks of its members, and settings but for those that are asked for now."""
    table = read_table(weeks, Columns())
    config = load_config(find_config("auto"), ["trainer.max_epochs=7"], {"data.csv": str(weeks)})
    once, _ = settle(config, table)
    again = changed_config(once, "saved", ["trainer.seed=3"], {})
    twice, _ = settle(again, table)
    assert isinstance(once.model, EnsembleConfig)
    assert isinstance(twice.model, EnsembleConfig)
    lookbacks = [[m.lookback for m in each.model.members] for each in (once, twice)]  # type: ignore[attr-defined]
    assert lookbacks[0] == lookbacks[1]
    assert len(set(lookbacks[0])) > 1
    for member in twice.model.members:
        assert (member.trainer.seed, member.trainer.max_epochs) == (3, 7)


def test_the_lookback_is_that_of_the_members_that_are_kept(weeks: Path, tmp_path: Path) -> None:
    config, problem = problem_of(weeks, "model.candidates=[nlinear]")
    assert isinstance(config.model, EnsembleConfig)
    wide = config.data.model_copy(update={"lookback": 40})
    member = config.model.members[0].model_copy(update={"lookback": 14})
    model = config.model.model_copy(update={"members": (member,)})
    config = config.model_copy(update={"data": wide, "model": model})
    found = train_model(config, replace(problem, config=wide), tmp_path, progress=Silent())
    assert found.config.data.lookback == 14


def test_a_limit_of_time_leaves_out_what_is_too_slow_for_it(weeks: Path, tmp_path: Path) -> None:
    config, problem = problem_of(weeks, "model.candidates=[seasonal-naive,auto-ets]")
    found = train_model(config, problem, tmp_path, progress=Silent(), limit=limit_of(0.5))
    assert found.leaderboard[-1].name == "auto-ets"
    assert str(found.leaderboard[-1].fault).startswith("too slow: ")


def test_candidates_follow_seasons_and_the_number_of_series(weeks: Path, monkeypatch) -> None:
    config, _ = problem_of(weeks)
    local = ["seasonal-naive", "auto-theta", "auto-ets"]
    assert names_of(config) == [*local, "nlinear", "quantile-linear", "tide", "s2dbm"]
    config, _ = problem_of(weeks, "data.seasons=[7,364]", "model.candidates=fast")
    assert names_of(config) == [*local, "mstl", "nlinear", "quantile-linear", "s2dbm"]
    monkeypatch.setattr("forecaster.workflows.candidates._MOST_LOCAL", 0)
    config, _ = problem_of(weeks, "model.candidates=fast")
    assert names_of(config) == ["seasonal-naive", "nlinear", "quantile-linear", "s2dbm"]


def test_candidates_are_models_each_of_another_name(weeks: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"auto is an ensemble itself; name its candidates"):
        problem_of(weeks, "model.candidates=[nlinear, auto]")
    own = tmp_path / "nlinear.yaml"
    own.write_text("model: {name: linear}\n", encoding="utf-8")
    with pytest.raises(UserError, match="two are named nlinear; rename the file of one of them"):
        problem_of(weeks, f"model.candidates=[nlinear, {own}]")
    config, _ = problem_of(weeks, f"model.candidates=[{own}, rlinear]")
    assert names_of(config) == ["nlinear", "rlinear"]


def test_local_members_read_more_and_settings_given_replace_those_of_presets(weeks: Path) -> None:
    table = read_table(weeks, Columns())
    config = load_config(find_config("auto-fast"), ["trainer.seed=5"], {"data.csv": str(weeks)})
    settled, _ = settle(config, table)
    assert isinstance(settled.model, EnsembleConfig)
    by_name = {member.name: member for member in settled.model.members}
    assert by_name["nlinear"].lookback == 112
    assert by_name["auto-theta"].lookback == settled.data.lookback > 112
    assert by_name["nlinear"].trainer.seed == 5
    assert by_name["nlinear"].trainer.batch_size == 32  # its own
    assert by_name["nlinear"].trainer.max_epochs == 10  # of the 50 that it has otherwise
    assert by_name["s2dbm"].trainer.stage_epochs == 20
    more = load_config(
        find_config("auto-fast"), ["trainer.max_epochs=40"], {"data.csv": str(weeks)}
    )
    settled, _ = settle(more, table)
    assert isinstance(settled.model, EnsembleConfig)
    assert {member.trainer.max_epochs for member in settled.model.members} == {40}


def test_on_the_command_line_to_a_forecast(cli: Cli, weeks: Path, tmp_path: Path) -> None:
    candidates = "model.candidates=[seasonal-naive,auto-theta,nlinear]"
    given = ["--csv", weeks, "--horizon", 7, "--lookback", 14, "--set", candidates]
    model = tmp_path / "model"
    trained = cli("train", "auto", *given, "--set", QUICK[1], "--output", model, "--json")
    content = json.loads(trained.stdout)
    assert "tracking store" not in trained.stderr  # which takes the names of all losses
    names = {"seasonal-naive", "auto-theta", "nlinear"}
    assert {row["name"] for row in content["leaderboard"]} == names
    assert content["refit"] == "all"
    saved = load_model(model)
    assert isinstance(saved.core, Ensemble)
    kept = {row["name"] for row in content["leaderboard"] if row["weight"]}
    assert set(names_of(saved.config)) == kept

    # the same model after loading: the members' errors are saved with it
    twice = [tmp_path / "one.csv", tmp_path / "two.csv"]
    for path in twice:
        cli("forecast", "--model", model, "--csv", weeks, "--output", path)
    one, two = (pd.read_csv(path) for path in twice)
    assert one.equals(two)
    assert (one["0.05"] < one["mean"]).all()
    assert (one["mean"] < one["0.95"]).all()
