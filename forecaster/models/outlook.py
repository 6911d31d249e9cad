"""What a model says of a batch of windows: its centre, and its paths or quantiles."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

from jaxtyping import Float
from torch import Tensor

# what the point forecast of a model is, by intent
Centre = Literal["mean", "median"]


@dataclass(frozen=True)
class Outlook:
    """A forecast of a batch of windows; ``median`` is None unless it is the point forecast.

    ``paths`` and ``quantiles`` are None unless asked for, or needed for the centre.
    """

    mean: Float[Tensor, "B K H"]
    median: Float[Tensor, "B K H"] | None = None
    paths: Float[Tensor, "B S K H"] | None = None
    quantiles: Float[Tensor, "B Q K H"] | None = None

    @property
    def point(self) -> Float[Tensor, "B K H"]:
        """The point forecast, which is written, drawn and scored."""
        return self.mean if self.median is None else self.median

    def restored(self, restore: Callable[[Tensor], Tensor]) -> "Outlook":
        """The same on another scale; a centre of paths is taken there, where they keep bounds."""

        def mapped(values: Tensor | None) -> Tensor | None:
            return None if values is None else restore(values)

        quantiles, median = mapped(self.quantiles), mapped(self.median)
        if self.paths is None:
            return Outlook(restore(self.mean), median, None, quantiles)
        if self.median is None:
            return Outlook(restore(self.mean), None, restore(self.paths), quantiles)
        return replace(centred_on(restore(self.paths)), quantiles=quantiles)


def centred_on(paths: Float[Tensor, "B S K H"]) -> Outlook:
    """Sample paths with their own mean and, as the point forecast, their median."""
    ranked, half = paths.sort(dim=1).values, paths.shape[1] // 2
    median = (ranked[:, half] + ranked[:, (paths.shape[1] - 1) // 2]) / 2
    return Outlook(paths.mean(1), median, paths)
