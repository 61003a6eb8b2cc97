"""What tensors would be reduced to."""

from smdebug.exceptions import SMDebugValueError

REDUCTIONS, NORMS = ("min", "max", "mean", "std", "variance", "sum", "prod"), ("l1", "l2")


class ReductionConfig:
    """Names of reductions and norms, also of absolute values."""

    def __init__(
        self,
        reductions: list[str] | None = None,
        abs_reductions: list[str] | None = None,
        norms: list[str] | None = None,
        abs_norms: list[str] | None = None,
        save_raw_tensor: bool = False,
        save_shape: bool = False,
    ) -> None:
        self.reductions, self.abs_reductions = reductions or [], abs_reductions or []
        self.norms, self.abs_norms = norms or [], abs_norms or []
        self.save_raw_tensor, self.save_shape = save_raw_tensor, save_shape
        for name, allowed in (
            ("reductions", REDUCTIONS), ("abs_reductions", REDUCTIONS), ("norms", NORMS), ("abs_norms", NORMS),
        ):  # fmt: skip
            if not set(getattr(self, name)) <= set(allowed):
                raise SMDebugValueError(f"{name} can only be one of {','.join(allowed)}")
