"""What holds for every state-space layer: its views agree with one another and with dense
matrices.
"""

import copy
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from ssm_oracles import LAYERS, make, random_input, steps, walk

from forecaster.ssm.s4 import S4

SHAPES = [
    (1, 1, 1, 1),
    (2, 3, 2, 1),
    (1, 2, 1, 2),
    (3, 1, 2, 7),
    (2, 2, 5, 64),
    (1, 3, 8, 101),
    (2, 2, 16, 300),
]  # B, H, N, L
EVERY = pytest.mark.parametrize("name", LAYERS)


def close(got: torch.Tensor, wanted: torch.Tensor, tolerance: float = 1e-10) -> None:
    scale = max(1.0, float(wanted.abs().max()))
    torch.testing.assert_close(got / scale, wanted / scale, rtol=0, atol=tolerance)


@EVERY
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@torch.no_grad()
def test_convolution_recurrence_and_dense_matrices_agree(name: str, shape: tuple[int, ...]) -> None:
    B, H, N, L = shape
    layer, u = make(name, H, N, seed=L), random_input(B, H, L)
    wanted = walk(layer, u)
    stepped, last = steps(layer, u, layer.initial(B))
    ran, state = layer.run(u)
    close(layer(u), wanted)
    close(stepped, wanted)
    close(ran, wanted)
    close(
        torch.view_as_real(state) if state.is_complex() else state,
        torch.view_as_real(last) if last.is_complex() else last,
    )


@EVERY
@pytest.mark.parametrize("N", [32, 64])
@torch.no_grad()
def test_views_agree_at_full_size(name: str, N: int) -> None:
    layer, u = make(name, 2, N), random_input(2, 2, 200)
    convolved = layer(u)
    close(convolved, walk(layer, u), 1e-9)  # the dense exponential itself is only that exact
    close(steps(layer, u, layer.initial(2))[0], convolved)


@EVERY
@torch.no_grad()
def test_a_sequence_can_be_cut_anywhere(name: str) -> None:
    layer, u = make(name, 2, 6), random_input(3, 2, 23)
    whole, last = layer.run(u)
    for cut in (1, 2, 11, 22):
        head, state = layer.run(u[..., :cut])
        tail, end = layer.run(u[..., cut:], state)
        close(torch.cat([head, tail], dim=-1), whole)
        assert torch.allclose(end, last, rtol=0, atol=1e-10)
        walked, end = steps(layer, u[..., cut:], state)
        close(walked, whole[..., cut:])
        assert torch.allclose(end, last, rtol=0, atol=1e-10)


@EVERY
@torch.no_grad()
def test_rate_two_is_the_step_doubled(name: str) -> None:
    layer, u = make(name, 3, 4), random_input(2, 3, 30)
    once = layer(u)
    doubled = copy.deepcopy(layer)
    for module in doubled.modules():
        if hasattr(module, "log_dt"):
            module.log_dt += torch.log(torch.tensor(2.0, dtype=torch.float64))
        if hasattr(module, "_cache"):
            module._cache.clear()
    close(layer(u, rate=2.0), doubled(u))
    close(layer.run(u, rate=2.0)[0], walk(layer, u, rate=2.0))
    close(steps(layer, u, layer.initial(2), rate=2.0)[0], doubled(u))
    assert not torch.allclose(once, doubled(u))
    close(layer(u), once)


@EVERY
@torch.no_grad()
def test_a_smooth_signal_sampled_twice_as_coarsely_gives_the_same_output(name: str) -> None:
    """Rescaling Δ alone serves another sampling interval, up to the order of the discretisation."""
    layer = make(name, 2, 4)
    t = torch.arange(1, 2001, dtype=torch.float64) / 2000
    u = torch.stack([torch.sin(7 * t), t * torch.cos(3 * t)])[None]
    fine, coarse = layer(u, rate=0.02), layer(u[..., 1::2], rate=0.04)
    assert (fine[..., 1::2] - coarse).abs().max() < 0.01 * fine.abs().max()
    assert (fine[..., 1::2] - layer(u[..., 1::2], rate=0.02)).abs().max() > 0.03 * fine.abs().max()


@EVERY
def test_gradients_are_the_dense_ones(name: str) -> None:
    layer, u = make(name, 2, 4), random_input(2, 2, 9).requires_grad_()
    weight = random_input(*layer(u).shape, seed=5)
    wanted = torch.autograd.grad((walk(layer, u) * weight).sum(), [u, *layer.parameters()])
    for path in (layer(u), layer.run(u, layer.initial(2))[0], steps(layer, u, layer.initial(2))[0]):
        found = torch.autograd.grad(
            (path * weight).sum(), [u, *layer.parameters()], retain_graph=True
        )
        for got, want in zip(found, wanted, strict=True):
            close(got, want, 1e-9)


@EVERY
def test_gradients_flow_through_the_state(name: str) -> None:
    layer, u = make(name, 2, 4), random_input(1, 2, 10)
    weight = random_input(*layer(u).shape, seed=5)
    parameters = list(layer.parameters())
    wanted = torch.autograd.grad((layer(u) * weight).sum(), parameters)
    head, state = layer.run(u[..., :6])
    tail, _ = layer.run(u[..., 6:], state)
    found = torch.autograd.grad((torch.cat([head, tail], dim=-1) * weight).sum(), parameters)
    for got, want in zip(found, wanted, strict=True):
        close(got, want, 1e-9)


@EVERY
@torch.no_grad()
def test_single_precision_keeps_four_digits(name: str) -> None:
    torch.manual_seed(0)
    layer, u = LAYERS[name](3, 64), random_input(2, 3, 150)
    convolved, (stepped, _) = layer(u.float()), steps(layer, u.float(), layer.initial(2))
    scale = float(stepped.abs().max())
    assert convolved.dtype == stepped.dtype == torch.float32
    assert (convolved - stepped).abs().max() < 2e-4 * scale
    assert (copy.deepcopy(layer).double()(u) - convolved).abs().max() < 5e-4 * scale


@EVERY
def test_saved_weights_are_real_and_bring_the_layer_back(name: str) -> None:
    layer, other, u = make(name, 2, 6), make(name, 2, 6, seed=9), random_input(1, 2, 12)
    saved = layer.state_dict()
    assert saved
    assert not any(value.is_complex() for value in saved.values())
    assert not torch.allclose(layer(u), other(u))
    other.load_state_dict(saved)
    assert torch.equal(layer(u), other(u))


@EVERY
def test_start_follows_the_seed(name: str) -> None:
    def start(seed: int) -> dict[str, torch.Tensor]:
        torch.manual_seed(seed)
        return LAYERS[name](2, 6).state_dict()

    assert all(torch.equal(a, b) for a, b in zip(start(3).values(), start(3).values(), strict=True))
    assert not torch.equal(start(3)["C"], start(4)["C"])


@EVERY
def test_every_tensor_lives_on_the_layers_device(name: str) -> None:
    """On the device without data, a constant left behind on the CPU would be refused."""
    layer, u = LAYERS[name](2, 6).to("meta"), torch.empty(3, 2, 20, device="meta")
    y, state = layer.run(u, layer.initial(3))
    assert layer(u).shape == y.shape
    assert layer.step(u[..., 0], state)[0].shape == y.shape[:2]


@pytest.mark.slow
def test_layers_compile_without_a_break() -> None:
    """In a process of its own, since the shape checks cannot be compiled."""
    code = """
import torch
from ssm_oracles import make, random_input

for name in ("lssl", "s4", "s4d-legs", "s5"):
    layer, u = make(name, 2, 4), random_input(1, 2, 10)
    compiled = torch.compile(layer, backend="eager", fullgraph=True)
    torch.testing.assert_close(compiled(u), layer(u))
"""
    here = Path(__file__).parent
    subprocess.run(
        [sys.executable, "-c", code],
        cwd=here,
        env={**os.environ, "PYTHONPATH": str(here.parents[1])},
        check=True,
    )


@pytest.mark.parametrize("name", ["s4d-legs", "s4d-lin", "s4-ptd", "s5", "s5-ptd"])
@torch.no_grad()
def test_diagonal_layers_fade_whatever_is_learnt(name: str) -> None:
    layer = make(name, 2, 6)
    for parameter in layer.parameters():
        parameter += 3 * torch.randn_like(parameter)
    assert (layer.eigenvalues().real < 0).all()
    _, state = layer.run(random_input(1, 2, 10), layer.initial(1))
    assert (
        layer.run(torch.zeros(1, 2, 10**4, dtype=torch.float64), state, rate=1e9)[1].abs().max()
        == 0
    )


@EVERY
def test_training_recovers_a_delay(name: str) -> None:
    """A layer learns by its convolution what it then repeats step by step."""
    torch.manual_seed(0)
    layer, u = LAYERS[name](1, 16), random_input(8, 1, 60).float()
    target = torch.nn.functional.pad(u, (3, 0))[..., :60]
    outputs = layer(u).shape[1]
    optimiser = torch.optim.Adam(layer.parameters(), lr=0.02)
    losses = []
    for _ in range(60):
        optimiser.zero_grad()
        loss = (layer(u) - target.expand(-1, outputs, -1)).square().mean()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.8 * losses[0]
    with torch.no_grad():
        torch.testing.assert_close(
            steps(layer, u, layer.initial(8))[0], layer(u), rtol=1e-3, atol=1e-3
        )


def test_wrong_rates_and_steps_are_refused() -> None:
    with pytest.raises(ValueError, match=r"rate .* positive, not -1\.0"):
        make("s4d-legs", 1, 2)(random_input(1, 1, 3), rate=-1.0)
    with pytest.raises(ValueError, match=r"dt_min = 0\.1 and dt_max = 0\.01"):
        S4(1, 2, dt_min=0.1, dt_max=0.01)
