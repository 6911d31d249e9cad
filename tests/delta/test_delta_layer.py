"""The layer's views agree, whatever its options; with set weights it does what it is made for."""

import copy
import math

import pytest
import torch
from torch import Tensor

from forecaster.delta.layer import DeltaOptions, DeltaRule

OPTIONS = {
    "deltanet": DeltaOptions(),
    "negative": DeltaOptions(heads=1, beta=2, convolution=1),
    "gated": DeltaOptions(heads=3, gate=True),
    "product": DeltaOptions(heads=2, beta=2, steps=2, convolution=3),
    "all": DeltaOptions(heads=6, gate=True, beta=2, steps=3, convolution=8),
}
EVERY = pytest.mark.parametrize("name", OPTIONS)
H, N = 6, 5


def make(name: str, seed: int = 0) -> DeltaRule:
    torch.manual_seed(seed)
    layer = DeltaRule(H, N, OPTIONS[name]).double()
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter += 0.3 * torch.randn_like(parameter)
    return layer


def random_input(*shape: int, seed: int = 1) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def steps(layer: DeltaRule, u: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
    outputs = []
    for t in range(u.shape[-1]):
        y, state = layer.step(u[..., t], state)
        outputs.append(y)
    return torch.stack(outputs, dim=-1), state


def close(got: Tensor, wanted: Tensor, near: float = 1e-10) -> None:
    torch.testing.assert_close(got, wanted, rtol=0, atol=near)


@EVERY
@pytest.mark.parametrize("length", [1, 3, 16, 37])
@torch.no_grad()
def test_chunks_and_steps_agree_and_a_sequence_can_be_cut_anywhere(name: str, length: int) -> None:
    layer, u = make(name), random_input(3, H, length)
    wanted, last = steps(layer, u, layer.initial(3))
    whole, end = layer.run(u)
    close(layer(u), wanted)
    close(whole, wanted)
    close(end, last)
    for cut in {1, 15, length - 1} & set(range(1, length)):
        head, state = layer.run(u[..., :cut])
        tail, end = layer.run(u[..., cut:], state)
        close(torch.cat([head, tail], dim=-1), whole)
        close(end, last)
        walked, end = steps(layer, u[..., cut:], state)
        close(walked, whole[..., cut:])
        close(end, last)


@EVERY
def test_gradients_are_those_of_the_steps_also_through_a_state(name: str) -> None:
    layer, u = make(name), random_input(2, H, 41).requires_grad_()
    weight, wanting = random_input(2, H, 41, seed=5), [u, *layer.parameters()]
    head, state = layer.run(u[..., :17])
    parts = torch.cat([head, layer.run(u[..., 17:], state)[0]], dim=-1)
    stepped = steps(layer, u, layer.initial(2))[0]
    wanted, *others = (
        torch.autograd.grad((y * weight).sum(), wanting, retain_graph=True)
        for y in (stepped, layer(u), parts)
    )
    assert all(gradient.abs().max() > 0 for gradient in wanted)
    for found in others:
        for got, want in zip(found, wanted, strict=True):
            close(got, want, 1e-9)


@EVERY
@torch.no_grad()
def test_single_precision_keeps_four_digits(name: str) -> None:
    layer, u = make(name), random_input(2, H, 300)
    single = copy.deepcopy(layer).float()(u.float())
    assert single.dtype == torch.float32
    assert (single - layer(u)).abs().max() < 2e-4 * layer(u).abs().max()


@EVERY
@torch.no_grad()
def test_a_value_is_read_at_its_own_time_and_later_only(name: str) -> None:
    layer, u = make(name), random_input(1, H, 50)
    other = u.clone()
    other[..., 20] += 1
    changed = (layer(other) - layer(u)).abs().amax(dim=(0, 1))
    assert changed[:20].max() == 0
    assert (changed[20:] > 0).all()


@EVERY
def test_every_tensor_lives_on_the_layers_device(name: str) -> None:
    """On the device without data, a constant left behind on the CPU would be refused."""
    layer, u = DeltaRule(H, N, OPTIONS[name]).to("meta"), torch.empty(3, H, 40, device="meta")
    y, state = layer.run(u, layer.initial(3))
    assert layer(u).shape == y.shape == u.shape
    assert layer.step(u[..., 0], state)[0].shape == u.shape[:2]


@torch.no_grad()
def test_initial_decays_are_spread_over_their_range() -> None:
    layer = DeltaRule(H, N, OPTIONS["all"], dt_min=1e-4, dt_max=1e-1)
    found = torch.nn.functional.softplus(layer.decay.bias)
    torch.testing.assert_close(found.log10(), -4 + 3 * (torch.arange(6) + 0.5) / 6)


def parity(options: DeltaOptions) -> DeltaRule:
    """β is all of its range at a one and nothing at a zero, k and q are constant, v is ½."""
    layer = DeltaRule(2, 1, options).double()
    for parameter in layer.parameters():
        parameter.zero_()
    layer.convolution.weight[:, 0, -1] = 1
    layer.query.bias.fill_(1)
    layer.key.bias.fill_(1)
    layer.value.bias.fill_(0.5)
    layer.beta.weight[0, 0], layer.beta.bias[0] = 2000, -1000
    return layer


@torch.no_grad()
def test_a_memory_stays_without_a_gate_and_fades_at_the_gates_pace() -> None:
    """β = 1 at the first row writes ½; β = 0 at all others leaves it to the gate."""
    u = torch.zeros(1, 2, 401, dtype=torch.float64)
    u[0, 0, 0] = 1
    layer = parity(DeltaOptions(heads=1, convolution=1))
    assert torch.equal(layer(u)[0, 0], torch.full((401,), 0.5).double())
    layer = parity(DeltaOptions(heads=1, gate=True, convolution=1))
    layer.decay.bias.fill_(math.log(math.expm1(0.01)))
    close(layer(u)[0, 0], 0.5 * torch.exp(-0.01 * torch.arange(401).double()))


@torch.no_grad()
def test_a_layer_with_negative_eigenvalues_tracks_parity_and_one_without_does_not() -> None:
    x = torch.randint(2, (1, 1, 1000), generator=torch.Generator().manual_seed(0)).double()
    u = torch.cat([x, torch.zeros_like(x)], dim=1)
    layer = parity(DeltaOptions(heads=1, beta=2, convolution=2))
    assert torch.equal(layer(u)[0, 0], x[0, 0].cumsum(0) % 2)
    for seed in range(8):  # any weights: on ones, each output goes one way once the rows are full
        layer = make("deltanet", seed)
        y = layer(torch.ones(1, H, 200).double())[0, :, 3:].diff(dim=-1)
        assert (y[:, 1:] * y[:, :-1] >= -1e-26).all()


def test_wrong_rates_and_heads_are_refused() -> None:
    layer, u = make("deltanet"), random_input(1, H, 3)
    for use in (lambda: layer(u, rate=2.0), lambda: layer.step(u[..., 0], layer.initial(1), 2.0)):
        with pytest.raises(ValueError, match=r"no step size, so the rate is 1, not 2\.0"):
            use()
    with pytest.raises(ValueError, match=r"heads 2 has to divide the number of features, 5"):
        DeltaRule(5, 5)
