"""The denoising network against its own definition, and the window frames."""

import pytest
import torch

from forecaster.config import NetworkConfig
from forecaster.networks.csdi import CSDINetwork, TransformerLayer
from forecaster.networks.norms import frame


def test_attention_layer_is_torchs_own() -> None:
    torch.manual_seed(0)
    ours = TransformerLayer(8, 2, 16, 0.0)
    theirs = torch.nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0, activation="gelu", batch_first=True)
    theirs.self_attn.in_proj_weight.data = ours.qkv.weight.data
    theirs.self_attn.in_proj_bias.data = ours.qkv.bias.data
    for mine, other in ((ours.out, theirs.self_attn.out_proj), (ours.up, theirs.linear1), (ours.down, theirs.linear2)):
        other.load_state_dict(mine.state_dict())
    x = torch.randn(3, 7, 8)
    torch.testing.assert_close(ours(x), theirs(x), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("attend", [True, False])
def test_channels_hear_each_other_only_through_attention(attend: bool) -> None:
    torch.manual_seed(0)
    network = CSDINetwork(NetworkConfig(attend_channels=attend), 10, 3, 12, given_prior=True).eval()
    torch.nn.init.normal_(network.output.weight)
    y, c, h, t = *torch.randn(3, 2, 3, 12), torch.tensor([1, 9])
    changed = y.clone()
    changed[:, 0] += 1
    difference = (network(changed, c, h, t) - network(y, c, h, t)).abs().amax(dim=(0, 2))
    assert difference[0] > 1e-4
    assert bool((difference[1:] > 1e-6).all()) == attend


def test_step_is_heard() -> None:
    torch.manual_seed(0)
    network = CSDINetwork(NetworkConfig(), 10, 3, 12, given_prior=False).eval()
    torch.nn.init.normal_(network.output.weight)
    y, c, h = torch.randn(3, 1, 3, 12)
    assert not torch.allclose(network(y, c, h, torch.tensor([1])), network(y, c, h, torch.tensor([9])))
    # without the prior among its inputs the network cannot know it
    assert torch.equal(network(y, c, h, torch.tensor([1])), network(y, c, h + 1, torch.tensor([1])))


@pytest.mark.parametrize("norm", ["none", "last", "mean", "standard"])
def test_frames_invert_and_ignore_the_missing(norm: str) -> None:
    torch.manual_seed(0)
    past, mask = torch.randn(2, 3, 9) * 5 + 3, torch.ones(2, 3, 9)
    mask[0, 1, 4:] = 0
    window = frame(past, mask, norm)
    torch.testing.assert_close(window.invert(window.apply(past)), past)
    other = frame(torch.where(mask > 0, past, -99.0), mask, norm)
    torch.testing.assert_close(other.level, window.level)
    torch.testing.assert_close(other.scale, window.scale)


def test_frames_are_what_they_are_named() -> None:
    past, mask = torch.tensor([[[1.0, 2.0, 6.0, 7.0]]]), torch.tensor([[[1.0, 1.0, 1.0, 0.0]]])
    assert frame(past, mask, "last").level.item() == 6
    assert frame(past, mask, "mean").level.item() == 3
    assert frame(past, mask, "standard").scale.item() == pytest.approx((14 / 3 + 1e-5) ** 0.5)
    nothing = frame(past, torch.zeros_like(mask), "standard")
    assert nothing.level.item() == 0
    assert nothing.scale.isfinite().all()
