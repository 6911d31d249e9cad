"""Correlation over channels and lead times: white noise w → z of unit variance, and back.

The directions are products of a principal component of the channels and one of the lead times;
each has its own variance (George et al., NeurIPS 2018, do so with a gradient's covariance). With
V (K, r) and U (M, s) and variances Λ:

    z = D·S_√Λ(w),  S_T(w) = V·(T ∘ VᵀwU)·Uᵀ,  D: what makes the variance of each entry 1

S is the symmetric root, so that w has the places of z. Of many channels or lead times the first
components are kept, and the rest is one further direction, in which all have the same variance.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

# the largest number of components
_RANK = 256
# the share of the mean variance in that of each direction
_SHRINKAGE = 0.001
# the variance, in that of the mean, at which a direction counts for half in a loss
_HALF = 0.02


class Correlation(nn.Module):
    """A matrix of correlation over channels K and lead times M.

    ``variances`` (r + 1, s + 1): those of the directions, the last of each for the rest.
    ``sizes`` (K, M): the diagonal of D. Before ``fit`` it is the identity.
    """

    channels: Tensor
    leads: Tensor
    variances: Tensor
    sizes: Tensor

    def __init__(self, channels: int, length: int) -> None:
        super().__init__()
        r, s = min(channels, _RANK), min(length, _RANK)
        self.register_buffer("channels", torch.eye(channels, r))
        self.register_buffer("leads", torch.eye(length, s))
        self.register_buffer("variances", torch.ones(r + 1, s + 1))
        self.register_buffer("sizes", torch.ones(channels, length))

    def fit(self, z: Float[Tensor, "R K M"]) -> None:
        """Take the correlation of R paths of unit variance, shrunk a little towards none."""
        self.channels.copy_(_components(torch.einsum("rkm,rlm->kl", z, z), self.channels.shape[1]))
        self.leads.copy_(_components(torch.einsum("rkm,rkn->mn", z, z), self.leads.shape[1]))
        found = self._variances(z)
        mean = (z**2).mean()
        # paths that are all 0 are as those of no correlation
        known = (1 - _SHRINKAGE) * found + _SHRINKAGE * mean
        self.variances.copy_(known if float(mean) > 0 else torch.ones_like(known))
        self.sizes.copy_(self._diagonal().rsqrt())

    def colour(self, w: Float[Tensor, "n K M"]) -> Float[Tensor, "n K M"]:
        """White noise → z."""
        return self._stretch(w, self.variances.sqrt()) * self.sizes

    def whiten(self, z: Float[Tensor, "n K M"]) -> Float[Tensor, "n K M"]:
        """z → white noise, the inverse of ``colour``."""
        return self._stretch(z / self.sizes, self.variances.rsqrt())

    def weigh(self, w: Float[Tensor, "n K M"]) -> Float[Tensor, "n K M"]:
        """White noise with less of the directions in which z hardly varies.

        A direction of variance λ has the weight λ/(λ + c) in a squared error, c a share of the mean
        variance: most directions of smooth series are next to nothing in z.
        """
        half = _HALF * self.variances[:-1, :-1].mean()
        return self._stretch(w, (self.variances / (self.variances + half)).sqrt())

    def _stretch(
        self, x: Float[Tensor, "n K M"], by: Float[Tensor, "R S"]
    ) -> Float[Tensor, "n K M"]:
        """S_T(x), T = ``by``."""
        v, u = self.channels, self.leads
        in_channels, in_leads = v.T @ x, x @ u
        in_both = in_channels @ u
        out = v @ (in_both * by[:-1, :-1]) @ u.T
        other_channels, other_leads = in_leads - v @ in_both, in_channels - in_both @ u.T
        if _partial(u):
            out = out + v @ (other_leads * by[:-1, -1:])
        if _partial(v):
            out = out + (other_channels * by[-1:, :-1]) @ u.T
        if _partial(u) and _partial(v):
            out = out + (x - v @ in_channels - other_channels @ u.T) * by[-1, -1]
        return out

    def _variances(self, z: Float[Tensor, "R K M"]) -> Float[Tensor, "R1 S1"]:
        """The mean square in each direction."""
        v, u = self.channels, self.leads
        (channels, r), (length, s) = v.shape, u.shape
        in_channels, in_leads = v.T @ z, z @ u
        in_both = in_channels @ u
        squares = torch.zeros_like(self.variances)
        squares[:r, :s] = (in_both**2).mean(0)
        # what lies in some components of the one kind, and none of the other
        squares[:r, s] = ((in_channels**2).sum(2) - (in_both**2).sum(2)).mean(0) / max(
            length - s, 1
        )
        squares[r, :s] = ((in_leads**2).sum(1) - (in_both**2).sum(1)).mean(0) / max(channels - r, 1)
        rest = (z**2).sum((1, 2)) - (in_channels**2).sum((1, 2))
        rest = rest - (in_leads**2).sum((1, 2)) + (in_both**2).sum((1, 2))
        squares[r, s] = rest.mean() / max((channels - r) * (length - s), 1)
        return squares.clamp(min=0)

    def _diagonal(self) -> Float[Tensor, "K M"]:
        """The variance of each entry of S_√Λ(w)."""
        left, right = (
            torch.cat([basis**2, 1 - (basis**2).sum(1, keepdim=True)], 1).clamp(min=0)
            for basis in (self.channels, self.leads)
        )
        return left @ self.variances @ right.T


def _partial(basis: Float[Tensor, "n r"]) -> bool:
    return basis.shape[1] < basis.shape[0]


def _components(covariance: Float[Tensor, "n n"], rank: int) -> Float[Tensor, "n r"]:
    """The first principal components, the largest one last."""
    return torch.linalg.eigh(covariance.double()).eigenvectors[:, -rank:].to(covariance)
