"""What an ascent gives back for one image."""

from dataclasses import dataclass, field, replace

from torch import Tensor


@dataclass(frozen=True)
class Enhanced:
    """Result for one image: (3, H, W) in [0, 1] on the CPU, and a value per evaluation, the starting point first.

    ``stages`` has the number of evaluations of every ascent, in their order. The note says what else is to be known.
    """

    image: Tensor
    quality: list[float] = field(default_factory=list)
    fidelity: list[float] = field(default_factory=list)
    objective: list[float] = field(default_factory=list)
    stages: tuple[int, ...] = ()
    note: str = ""

    @property
    def iterations(self) -> int:
        """Number of evaluations, without the starting point of every stage."""
        return sum(max(count - 1, 0) for count in self.stages or (len(self.quality),))

    def after(self, image: Tensor, quality: float, fidelity: float, objective: float) -> "Enhanced":
        """The result with one evaluation more; it holds the image with the highest objective."""
        newer = not self.objective or objective > max(self.objective)
        return replace(
            self,
            image=image.detach().to("cpu", copy=True) if newer else self.image,  # a view would keep its whole batch
            quality=[*self.quality, quality],
            fidelity=[*self.fidelity, fidelity],
            objective=[*self.objective, objective],
        )

    def noted(self, note: str) -> "Enhanced":
        """The same with a note more."""
        return replace(self, note="; ".join(filter(None, (self.note, note))))

    def then(self, later: "Enhanced") -> "Enhanced":
        """This ascent and a later one that began with its image."""
        return Enhanced(
            later.image,
            [*self.quality, *later.quality],
            [*self.fidelity, *later.fidelity],
            [*self.objective, *later.objective],
            (*self.stages, *later.stages),
        ).noted(self.note).noted(later.note)  # fmt: skip
