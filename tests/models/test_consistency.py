"""The bridge in one call: what consistency learns, its steps, its teacher, and its commands."""

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from bridges import Kept, same, trained
from conftest import Cli
from torch import Tensor, nn

from forecaster.config.load import find_config, load_config
from forecaster.config.parts import build
from forecaster.config.schema import Config
from forecaster.data.problem import Problem, load_problem
from forecaster.data.windows import Batch, Windows
from forecaster.diffusion.consistency import Arc
from forecaster.diffusion.drawing import Draws, WindowNoise
from forecaster.diffusion.process import Process
from forecaster.diffusion.schedules import BridgeConfig, bridge
from forecaster.errors import UserError
from forecaster.models.base import Shape
from forecaster.models.diffusion.config import DiffusionConfig
from forecaster.models.diffusion.consistency import ConsistencyObjective, ConsistencyObjectiveConfig
from forecaster.models.diffusion.forecaster import Diffusion
from forecaster.models.diffusion.objectives import Ends
from forecaster.training.progress import Silent
from forecaster.training.refit import refit

K, L, H, T = 2, 14, 3, 30
MEAN, DEVIATION = 0.8, 0.5

# --- Gaussian data, whose consistency function is known


class Affine(nn.Module):
    """f(x, t) = x + sin θ_t·(p_t·x + q_t), of data N(.8, .5²) that it never runs out of."""

    label = 0

    def __init__(self, mean: float = MEAN, deviation: float = DEVIATION, steps: int = T) -> None:
        super().__init__()
        self.arc = Arc(Process(bridge(BridgeConfig(steps=steps))))
        self.mean, self.deviation = mean, deviation
        self.slopes, self.shifts = (nn.Parameter(torch.zeros(steps + 1)) for _ in range(2))
        self.teacher: Callable[[Tensor, Tensor], Tensor] | None = None

    @property
    def steps(self) -> int:
        return self.arc.steps

    def end(self, x: Tensor, t: Tensor) -> Tensor:
        slope, shift = (each[t][:, None, None] for each in (self.slopes, self.shifts))
        return x + self.arc.angle(t, x).sin() * (slope * x + shift)

    def ends(self, batch: Batch, seeds: list[int]) -> Ends:
        y_0 = self.mean + self.deviation * torch.randn(len(batch), K, H)
        return Ends(self.arc, y_0, torch.ones_like(y_0), self.end, self.teacher, lambda e: e)

    def expected(self, x: Tensor, t: Tensor) -> Tensor:
        """E[n_t | x_t] of the data."""
        angle = self.arc.angle(t, x)
        variance = (self.deviation * angle.cos()) ** 2 + angle.sin() ** 2
        gain = angle.cos() * self.deviation**2 / variance
        data = self.mean + gain * (x - self.mean * angle.cos())
        return (data - angle.cos() * x) / angle.sin()

    def law(self) -> tuple[float, float]:
        """Mean and deviation of its samples."""
        last = torch.tensor([self.steps])
        zero, one = (float(self.end(torch.full((1, 1, 1), z), last).detach()) for z in (0.0, 1.0))
        return zero, abs(one - zero)

    def crps(self) -> float:
        """The expected CRPS of its samples."""
        mean, deviation = self.law()
        gap, spread = mean - self.mean, math.hypot(deviation, self.deviation)
        apart = spread * math.sqrt(2 / math.pi) * math.exp(-(gap**2) / (2 * spread**2))
        apart += gap * math.erf(gap / (spread * math.sqrt(2)))
        return apart - deviation / math.sqrt(math.pi)

    def _unused(self) -> None:
        raise NotImplementedError

    step_grids = step_errors = reverse_samples = reverse_point = _unused


def batch_of(count: int) -> Batch:
    rows = np.zeros((count + L + H, K), dtype=np.float32)
    return Windows([rows], [(L, len(rows))], L, H, [0])[torch.arange(count)]


def learnt(model: Affine, batches: int, until: float = 0.0, **settings: object) -> int:
    """The batches after which the CRPS is at most ``until``, or all."""
    config = ConsistencyObjectiveConfig.model_validate(settings)
    objective, batch = ConsistencyObjective(config), batch_of(32)
    optimiser = torch.optim.Adam(model.parameters(), 0.03)
    for count in range(1, batches + 1):
        loss = objective.loss(model, batch)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        if until and model.crps() <= until:
            return count
    return batches


def walked(model: Affine) -> tuple[float, float]:
    """The law in which the path of the data ends, by every step of the schedule."""
    slope, shift = 1.0, 0.0  # of x over the noise that it starts from
    for step in range(model.steps, 0, -1):
        t = torch.tensor([step])
        ends = [
            float(model.arc.step(x, model.expected(x, t), t, t - 1))
            for x in (torch.full((1, 1, 1), z) for z in (shift, shift + slope))
        ]
        slope, shift = ends[1] - ends[0], ends[0]
    return shift, slope


@pytest.mark.parametrize("distilled", [False, True])
def test_what_is_learnt_of_gaussian_data_is_the_end_of_their_path(distilled: bool) -> None:
    model = Affine(steps=8)
    model.teacher = model.expected if distilled else None
    learnt(model, 400, discretisation="fixed")
    mean, deviation = walked(model)
    assert model.law() == pytest.approx((mean, deviation), abs=0.12)
    # within what steps of this length leave, that is the law of the data
    assert mean == pytest.approx(MEAN, abs=0.05)
    assert deviation == pytest.approx(DEVIATION, abs=0.15)


def test_adaptive_steps_need_fewer_batches_to_the_same_crps() -> None:
    """Twice as many of fixed steps are not enough."""
    goal = 1.03 * DEVIATION / math.sqrt(math.pi)
    needed = learnt(Affine(), 200, goal)
    assert needed < 200
    fixed = Affine()
    assert learnt(fixed, 2 * needed, goal, discretisation="fixed") == 2 * needed
    assert fixed.crps() > goal


@pytest.mark.parametrize("weight", [0.2, 3.0])
def test_of_white_noise_a_step_is_a_share_of_the_sine_of_the_angle(weight: float) -> None:
    """λ/(1 + λ)·sin θ: there f(x, t) = x, J = −n_t and E[nᵀ(x − y_0)] = −sin θ.

    A step to u is the shortest that is as long, or goes down to the data.
    """
    model = Affine(0.0, 1.0, steps=400)
    objective = ConsistencyObjective(ConsistencyObjectiveConfig(global_weight=weight))
    ends, t = model.ends(batch_of(4000), []), torch.arange(1, 401)
    u = objective.aims(ends, t)
    wanted = weight / (1 + weight) * model.arc.angles[t].sin()
    wanted = wanted.minimum((model.arc.angles[t] / 2).tan())
    found = model.arc.length(t, u, wanted)[:, 0, 0]
    less = model.arc.length(t, (u + 1).minimum(t - 1), wanted)[:, 0, 0]
    assert bool((found > 0.93 * wanted)[t > 8].all())
    assert bool((less < 1.07 * wanted)[t > 8].all())
    assert int(objective.batches) == 1


def test_steps_are_at_least_one_of_the_schedule_and_end_at_the_data() -> None:
    model, objective = Affine(), ConsistencyObjective(ConsistencyObjectiveConfig())
    ends, t = model.ends(batch_of(8), []), torch.arange(1, T + 1)
    objective.aims(ends, t)
    objective.speeds.fill_(1.0)
    for pull, wanted in ((-1.0, t - 1), (0.0, t - 1), (100.0, torch.zeros_like(t))):
        objective.pulls.fill_(pull)
        assert torch.equal(objective.aims(ends, t), wanted)
    fixed = ConsistencyObjective(ConsistencyObjectiveConfig(discretisation="fixed"))
    assert torch.equal(fixed.aims(ends, t), t - 1)
    assert int(fixed.batches) == 0


def test_the_table_is_renewed_every_twenty_batches() -> None:
    model, objective = Affine(), ConsistencyObjective(ConsistencyObjectiveConfig())
    batch, tables = batch_of(8), list[Tensor]()
    for _ in range(41):
        objective.loss(model, batch)
        tables.append(objective.speeds.clone())
    renewed = [n for n in range(1, 41) if not torch.equal(tables[n], tables[n - 1])]
    assert renewed == [20, 40]


# --- the forecaster

SHAPE = Shape(K, L, H, 7)
SMALL: dict[str, object] = {
    "schedule": {"name": "bridge", "steps": 6},
    "coordinates": "residual",
    "prior": {
        "name": "residual-copula",
        "base": {"name": "linear", "norm": "none"},
        "scale_power": 0.0,
        "spread": 1.0,
    },
    "prior_training": "first",
    "condition": {"name": "linear"},
    "given_prior": True,
    "network": {"name": "mixer", "width": 8, "layers": 1},
    "predicts": "end",
    "label": 0,
    "norm": "standard",
    "objective": {"name": "consistency"},
    "sampler": {"s": 2.0, "steps": 1, "point_steps": 1},
}


def seen(rows: int = 120) -> Windows:
    values = torch.randn(rows, K, generator=torch.Generator().manual_seed(3))
    return Windows([values.numpy()], [(L, rows)], L, H, [0])


def model_of(**changed: object) -> Diffusion:
    model = build(DiffusionConfig.model_validate({**SMALL, **changed}), SHAPE)
    assert isinstance(model, Diffusion)
    for stage in model.stages():
        stage.calibrate(seen(), seen())
        stage.eval()
    return model


def test_untrained_it_draws_the_copula_in_one_call_and_its_point_is_the_mean() -> None:
    model, batch, calls = model_of().eval(), seen()[torch.tensor([3, 40])], list[int]()
    model.denoiser.network.register_forward_hook(lambda *args: calls.append(1))
    draws = Draws(5, [1, 2])
    chart = model.prior.chart(batch)
    noise = WindowNoise(draws, torch.arange(10), torch.zeros(10, K, H))(0)
    drawn = chart.of(torch.tensor([0] * 5 + [1] * 5)).path(noise).unflatten(0, (2, 5))
    torch.testing.assert_close(model.sample(batch, draws), drawn)
    assert calls == [1]
    torch.testing.assert_close(model.predict(batch), chart.mean(torch.zeros(2, K, H)))
    assert calls == [1, 1]
    model.sample(batch, Draws(5, [1, 2], steps=3))
    assert calls == [1] * 5


def test_the_loss_is_of_pairs_by_the_same_dropout() -> None:
    """With f and f⁻ of one mask each pair of a silent last layer is x_t − x_u; seeds repeat it."""
    model, batch = (
        model_of(network={"name": "mixer", "width": 8, "layers": 1, "dropout": 0.9}),
        seen(),
    )
    nn.init.normal_(model.denoiser.network.output.weight)
    ends = model.ends(batch[torch.arange(6)], list(range(6)))
    x, t = torch.randn(6, K, H), torch.full((6,), 4)
    with torch.random.fork_rng():
        first = ends.end(x, t)
    assert torch.equal(ends.end(x, t), first)
    assert not torch.equal(ends.end(x, t), first)  # another mask


def test_a_teacher_is_the_bridge_and_what_is_learnt_begins_with_its_weights() -> None:
    model = model_of(objective={"name": "consistency", "distilled": True})
    teacher = model.teacher
    assert teacher is not None
    assert model.prior is teacher.prior
    assert model.stages()[-1] is teacher
    assert model.point_model is model.prior
    assert teacher.config.predicts == "innovation"
    for weight in teacher.denoiser.parameters():
        nn.init.normal_(weight)
    model.prepare()
    for own, its in ((model.denoiser, teacher.denoiser), (model.condition, teacher.condition)):
        for weight, other in zip(own.parameters(), its.parameters(), strict=True):
            assert torch.equal(weight, other)
            assert weight is not other
    # nothing is saved twice, and all is loaded
    saved = model.state_dict()
    assert len({each.data_ptr() for each in saved.values() if each.numel()}) == sum(
        each.numel() > 0 for each in saved.values()
    )
    loaded = model_of(objective={"name": "consistency", "distilled": True})
    loaded.load_state_dict(saved)
    batch, draws = seen()[torch.tensor([1, 2])], Draws(3, [4, 5])
    assert torch.equal(loaded.eval().sample(batch, draws), model.eval().sample(batch, draws))


def test_a_teacher_is_shown_the_pinned_end_as_it_knows_it() -> None:
    """At y_T = h there is no noise to see: its answer does not depend on x_T."""
    model = model_of(objective={"name": "consistency", "distilled": True})
    assert model.teacher is not None
    nn.init.normal_(model.teacher.denoiser.network.output.weight)
    ends = model.ends(seen()[torch.arange(4)], list(range(4)))
    assert ends.teacher is not None
    one, other = (torch.randn(4, K, H) for _ in range(2))
    for step, equal in ((6, True), (5, False)):
        t = torch.full((4,), step)
        assert torch.equal(ends.teacher(one, t), ends.teacher(other, t)) == equal


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"predicts": "data"}, r"give both consistency and end, or neither"),
        ({"objective": {"name": "path"}}, r"give both consistency and end, or neither"),
        ({"coordinates": "series"}, r"model.predicts: .* give model.coordinates residual"),
        ({"sampler": {"s": 1.0, "steps": 1, "point_steps": 1}}, r"model.sampler.s: .*; give 2"),
        (
            {"objective": {"name": "consistency", "distilled": True}, "prior_folds": 2},
            r"model.prior_folds: .* give 1, or model.objective.distilled false",
        ),
    ],
)
def test_impossible_settings_are_refused(changed: dict[str, object], message: str) -> None:
    with pytest.raises(UserError, match=message):
        DiffusionConfig.model_validate({**SMALL, **changed})
    DiffusionConfig.model_validate({**SMALL, "objective": {"name": "consistency"}})
    if "prior_folds" in changed:
        DiffusionConfig.model_validate({**SMALL, "prior_folds": 2})


def test_there_is_no_variance_parameter_and_no_mean_error() -> None:
    model = model_of()
    with pytest.raises(UserError, match="s: a model that predicts an end has no variance"):
        model.sample_with(1.0)
    model.calibrate_steps(seen())
    assert model.denoiser.shifts is None
    assert model.step_shifts is None


# --- training

TRAINED = (
    "trainer.accelerator=cpu",
    "trainer.max_epochs=2",
    "trainer.epoch_batches=4",
    "trainer.stage_epochs=2",
    "trainer.stage_batches=4",
    "trainer.validation_windows=20",
    "model.prior.base={name: linear, norm: none}",
    "model.network.width=8",
    "model.network.layers=1",
    "model.prior.paths=40",
    "model.prior.scale_power=0",
    "model.prior.spread=1",
    "model.schedule.steps=6",
)
DISTILLED = "model.objective.distilled=true"


def problem_of(folder: Path, *settings: str) -> tuple[Config, Problem]:
    """A week's season with noise."""
    days, noise = pd.date_range("2023-01-01", periods=200), np.random.default_rng(0)
    values = np.sin(2 * np.pi * np.arange(200) / 7) + 0.3 * noise.normal(size=200)
    path = folder / "weeks.csv"
    pd.DataFrame({"day": days, "value": values}).to_csv(path, index=False)
    data = [f"data.csv={path}", f"data.horizon={H}", f"data.lookback={L}"]
    config = load_config(find_config("s2dbm_consistency"), [*data, *TRAINED, *settings])
    return config, load_problem(config.data)


Fitted = tuple[Diffusion, Path]


@pytest.fixture(scope="module")
def distilled(tmp_path_factory: pytest.TempPathFactory) -> Fitted:
    """A model, and the folder of its file and of its ``checkpoints``."""
    folder, whole = tmp_path_factory.mktemp("distilled"), Kept()
    torch.manual_seed(0)
    model = trained(*problem_of(folder, DISTILLED), folder / "checkpoints", whole)
    assert whole.titles == ["prior", "teacher", "model"]
    return model, folder


@pytest.mark.parametrize(("part", "step"), [("teacher", 5), ("model", 6)])
def test_interrupted_anywhere_it_ends_with_the_same_weights(
    distilled: Fitted, tmp_path: Path, part: str, step: int
) -> None:
    config, problem = problem_of(tmp_path, DISTILLED)
    with pytest.raises(InterruptedError):
        trained(config, problem, tmp_path / "stopped", Kept((part, step)))
    assert same(trained(config, problem, tmp_path / "stopped"), distilled[0])


def test_a_teacher_is_what_s2dbm_would_be_and_is_trained_on_all_rows_too(
    distilled: Fitted, tmp_path: Path
) -> None:
    model, folder = distilled
    config, problem = problem_of(folder, DISTILLED)
    plain = load_config(
        find_config("s2dbm"),
        [f"data.csv={config.data.csv}", f"data.horizon={H}", f"data.lookback={L}", *TRAINED],
    )
    bridge_model = trained(plain, problem, tmp_path / "many")
    assert model.teacher is not None
    assert same(model.teacher, bridge_model)
    found = refit(model, config, problem, folder / "checkpoints", progress=Silent()).model
    assert isinstance(found, Diffusion)
    assert list(found.state_dict()) == list(model.state_dict())
    assert found.teacher is not None


@pytest.mark.parametrize(
    "settings",
    [(), pytest.param((DISTILLED,), marks=pytest.mark.slow)],
    ids=["scratch", "distilled"],
)
def test_the_preset_trains_and_forecasts_in_both_modes(
    cli: Cli, tmp_path: Path, settings: tuple[str, ...]
) -> None:
    problem_of(tmp_path)
    file, where = tmp_path / "weeks.csv", tmp_path / "model"
    short = ("trainer.score_windows=2", "trainer.point_windows=4")
    words = [word for each in (*TRAINED, *short, *settings) for word in ("--set", each)]
    usual = ["--csv", file, "--horizon", H, "--lookback", L, "--refit", "none"]
    cli("train", "s2dbm_consistency", *usual, *words, "--output", where)

    def forecast(*options: object) -> pd.DataFrame:
        cli("forecast", "--model", where, "--csv", file, "--output", tmp_path / "f.csv", *options)
        return pd.read_csv(tmp_path / "f.csv")

    once = forecast("--mode", "probabilistic")
    assert len(once) == H
    assert bool((once["0.05"] < once["0.95"]).all())
    if settings:
        return
    assert forecast("--mode", "probabilistic").equals(once)
    assert not forecast("--mode", "probabilistic", "--steps", 2)["0.95"].equals(once["0.95"])
    point = forecast("--mode", "point")
    assert point["mean"].equals(once["mean"])
    refused = cli("calibrate", where, "--csv", file, "--output", tmp_path / "other", status=1)
    assert refused.stderr.splitlines() == [
        f"error: {where}: its network leads to the end of a path in one call, and has no mean "
        "errors at the steps; give another model, as of: train s2dbm"
    ]
