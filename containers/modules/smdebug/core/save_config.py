"""Which steps would be saved."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from smdebug.core.modes import ModeKeys
from smdebug.exceptions import SMDebugValueError

if TYPE_CHECKING:
    from collections.abc import Mapping

_INTERVAL = 500


class SaveConfigMode:
    """Steps of one mode: the listed ones, and every `save_interval`th from `start_step` to before `end_step`."""

    def __init__(
        self,
        save_interval: int | str | None = None,
        start_step: int | str | None = None,
        end_step: int | str | None = None,
        save_steps: list[int] | None = None,
    ) -> None:
        self.save_interval = _INTERVAL if save_interval is None else int(save_interval)
        self.start_step = 0 if start_step is None else int(start_step)
        self.end_step = None if end_step is None else int(end_step)
        self.save_steps = [] if save_steps is None else save_steps
        if not isinstance(self.save_steps, list) or not all(isinstance(step, int) for step in self.save_steps):
            raise SMDebugValueError(f"save_steps={self.save_steps} must be type(list(int))")

    def should_save_step(self, step_num: int) -> bool:
        """Return whether the step is one of them."""
        if step_num in self.save_steps:
            return True
        before_end = self.end_step is None or step_num < self.end_step
        return self.start_step <= step_num and before_end and step_num % self.save_interval == 0


class SaveConfig:
    """Steps of every mode: the same for all, or one SaveConfigMode each."""

    def __init__(
        self, mode_save_configs: Mapping[ModeKeys, SaveConfigMode | None] | None = None, **settings: Any
    ) -> None:
        given = dict.fromkeys(ModeKeys, SaveConfigMode(**settings)) if mode_save_configs is None else mode_save_configs
        for mode, value in given.items():
            if not isinstance(mode, ModeKeys) or not isinstance(value, SaveConfigMode | None):
                raise SMDebugValueError(
                    f"Each key,value in mode_save_configs={given} must be of type ModeKey,SaveConfigMode"
                )
        self.mode_save_configs = {mode: given.get(mode) for mode in ModeKeys}

    def get_save_config(self, mode: ModeKeys) -> SaveConfigMode:
        """Return the mode's. Raises SMDebugValueError where it has none."""
        config = self.mode_save_configs[mode]
        if config is None:
            raise SMDebugValueError(f"SaveConfig has nothing for {mode.name}")
        return config

    def should_save_step(self, mode: ModeKeys, step_num: int) -> bool:
        """Return whether the mode's step is one of them."""
        return self.get_save_config(mode).should_save_step(step_num)
