"""What running a result beside the model that it was made of has shown."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["AgainstModel"]


@dataclass(frozen=True)
class AgainstModel:
    """What running the network beside its model showed, on noise; `seconds` is how long it took.

    `difference` is the largest one on those `windows`, over the largest output; `crops` the same
    on crops of a larger image, if they are not said to be equal. `unseen` of the `outputs` hardly
    vary from input to input, which shows nothing; `why` says what kept the two from being run.

    >>> print(AgainstModel(windows=9, dtype="float64", difference=2.1e-15, outputs=10, seconds=0.4))
    derived, and seen on 9 windows: within 2.1e-15 in float64 (0.4 s)
    >>> print(AgainstModel(windows=3, outputs=1, unseen=1))
    derived, not seen: its output varies hardly from input to input
    """

    windows: int = 0
    dtype: str = ""
    difference: float = 0.0
    crops: float | None = None
    outputs: int = 0
    unseen: int = 0
    seconds: float = 0.0
    why: str = ""

    def __str__(self) -> str:
        if self.why or self.unseen == self.outputs:
            all_of_them = "every output varies" if self.outputs > 1 else "its output varies"
            flat = f"{all_of_them} hardly from input to input"
            return f"derived, not seen: {self.why or flat}"
        where = " at the window" if self.crops is not None else ""
        text = (
            f"derived, and seen on {self.windows} windows{where}: within {self.difference:.1e} in "
            f"{self.dtype} ({self.seconds:.1f} s)"
        )
        if self.unseen:
            text += f"; {self.unseen} of {self.outputs} outputs hardly vary, and are not seen"
        if self.crops is not None:
            text += (
                f"; crops of a larger image are off by up to {self.crops:.2g} of the largest output"
            )
        return text
