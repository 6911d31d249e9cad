"""The denoising networks and conditions against their own definitions, and the window frames."""

import pytest
import torch

from forecaster.config.parts import build
from forecaster.delta.layer import DeltaRule
from forecaster.errors import UserError
from forecaster.models.diffusion.config import DiffusionConfig
from forecaster.networks.base import NetworkShape
from forecaster.networks.conditions import ConditionShape, HistoryConfig, MixupConfig
from forecaster.networks.convolution import ConvolutionConfig
from forecaster.networks.layers import TransformerLayer
from forecaster.networks.mixer import MixerConfig
from forecaster.networks.norms import window_scale
from forecaster.networks.perceptron import PerceptronConfig
from forecaster.networks.residual import BothWays, ResidualNetworkConfig
from forecaster.ssm.s4 import S4


def test_attention_layer_is_torchs_own() -> None:
    torch.manual_seed(0)
    ours = TransformerLayer(8, 2, 16, 0.0)
    theirs = torch.nn.TransformerEncoderLayer(
        8, 2, 16, dropout=0.0, activation="gelu", batch_first=True
    )
    theirs.self_attn.in_proj_weight.data = ours.qkv.weight.data
    theirs.self_attn.in_proj_bias.data = ours.qkv.bias.data
    for mine, other in (
        (ours.out, theirs.self_attn.out_proj),
        (ours.up, theirs.linear1),
        (ours.down, theirs.linear2),
    ):
        other.load_state_dict(mine.state_dict())
    x = torch.randn(3, 7, 8)
    torch.testing.assert_close(ours(x), theirs(x), rtol=1e-5, atol=1e-5)


def network(config, features: int = 3, variates: int = 3, length: int = 12):
    torch.manual_seed(0)
    made = build(config, NetworkShape(10, variates, length, features)).eval()
    torch.nn.init.normal_(made.output.weight)
    return made


@pytest.mark.parametrize("time", ["attention", "s4", "delta"])
@pytest.mark.parametrize("attend", [True, False])
def test_channels_hear_each_other_only_through_attention(attend: bool, time: str) -> None:
    made = network(ResidualNetworkConfig(attend_channels=attend, time=time))
    x, t = torch.randn(2, 3, 12, 3), torch.tensor([1, 9])
    other = x.clone()
    other[:, 0] += 1
    difference = (made(other, t) - made(x, t)).abs().amax(dim=(0, 2))
    assert difference[0] > 1e-4
    assert bool((difference[1:] > 1e-6).all()) == attend


NETWORKS = [
    ResidualNetworkConfig(),
    ResidualNetworkConfig(time="s4"),
    ResidualNetworkConfig(time="delta"),
    ConvolutionConfig(),
    PerceptronConfig(),
    MixerConfig(),
]


@pytest.mark.parametrize("config", NETWORKS, ids=lambda c: f"{c.name}-{getattr(c, 'time', '')}")
def test_every_network_starts_at_nothing_and_hears_its_step_and_its_features(config) -> None:
    torch.manual_seed(0)
    x, first, last = torch.randn(2, 3, 12, 3), torch.tensor([1, 1]), torch.tensor([9, 9])
    assert not build(config, NetworkShape(10, 3, 12, 3))(x, first).any()
    made = network(config)
    out = made(x, first)
    assert out.shape == (2, 3, 12)
    assert not torch.allclose(out, made(x, last))
    for feature in range(3):
        other = x.clone()
        other[..., feature] += torch.randn(12)
        assert not torch.allclose(out, made(other, first))


def test_perceptron_sees_one_time_step_at_a_time() -> None:
    made, x, t = network(PerceptronConfig()), torch.randn(2, 3, 12, 3), torch.tensor([1, 9])
    other = x.clone()
    other[:, :, 4] += 1
    difference = (made(other, t) - made(x, t)).abs().amax(dim=(0, 1))
    assert difference[4] > 1e-4
    assert difference[:4].max() == difference[5:].max() == 0


@pytest.mark.parametrize("kind", [S4, DeltaRule])
def test_causal_layers_look_both_ways(kind: type) -> None:
    torch.manual_seed(0)
    layer, x = BothWays(kind(4, 8), kind(4, 8), 4, 0.0), torch.randn(2, 9, 4)
    other = x.clone()
    other[:, 5] += torch.randn(4)
    difference = (layer(other) - layer(x)).abs().amax(dim=(0, 2))
    assert (difference > 1e-6).all()


def test_conditions_are_what_they_are_named() -> None:
    torch.manual_seed(0)
    past, mask, y_0 = torch.randn(2, 3, 10), torch.ones(2, 3, 10), torch.randn(2, 3, 4)
    mask[0, 0, :5] = 0
    history = build(HistoryConfig(steps=6), ConditionShape(10, 4))(past, mask, y_0)
    assert torch.equal(history[:, :, :6, 0], past[..., -6:])
    assert torch.equal(history[:, :, :6, 1], mask[..., -6:])
    assert not history[:, :, 6:].any()
    mixup = build(MixupConfig(), ConditionShape(10, 4))
    encoded = mixup.eval()(past, mask, y_0)[..., 0]
    torch.testing.assert_close(encoded, mixup.layer(past))
    mixed = mixup.train()(past, mask, y_0)[..., 0]
    low, high = torch.minimum(encoded, y_0), torch.maximum(encoded, y_0)
    assert ((mixed >= low - 1e-6) & (mixed <= high + 1e-6)).all()
    assert not torch.allclose(mixed, encoded)
    with pytest.raises(UserError, match=r"model\.label"):
        DiffusionConfig(condition=HistoryConfig(), label=2)


@pytest.mark.parametrize("norm", ["none", "last", "mean", "standard"])
def test_frames_invert_and_ignore_the_missing(norm: str) -> None:
    torch.manual_seed(0)
    past, mask = torch.randn(2, 3, 9) * 5 + 3, torch.ones(2, 3, 9)
    mask[0, 1, 4:] = 0
    window = window_scale(past, mask, norm)
    torch.testing.assert_close(window.invert(window.apply(past)), past)
    other = window_scale(torch.where(mask > 0, past, -99.0), mask, norm)
    torch.testing.assert_close(other.level, window.level)
    torch.testing.assert_close(other.scale, window.scale)


def test_frames_are_what_they_are_named() -> None:
    past, mask = torch.tensor([[[1.0, 2.0, 6.0, 7.0]]]), torch.tensor([[[1.0, 1.0, 1.0, 0.0]]])
    assert window_scale(past, mask, "last").level.item() == 6
    assert window_scale(past, mask, "mean").level.item() == 3
    assert window_scale(past, mask, "standard").scale.item() == pytest.approx(
        (14 / 3 + 1e-5) ** 0.5
    )
    nothing = window_scale(past, torch.zeros_like(mask), "standard")
    assert nothing.level.item() == 0
    assert nothing.scale.isfinite().all()
