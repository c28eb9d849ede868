"""When a supervised process that ended is started again."""

from __future__ import annotations

from dataclasses import dataclass

FIRST_DELAY_SEC = 0.5
LONGEST_DELAY_SEC = 30.0
HEALTHY_AFTER_SEC = 60.0


@dataclass(frozen=True)
class Restarts:
    """`total` restarts ever, `in_a_row` those since the process last ran for a healthy while."""

    total: int = 0
    in_a_row: int = 0

    def after_exit(self, ran_sec: float) -> Restarts:
        """The count once a process that ran for `ran_sec` is started again."""
        healthy = ran_sec >= HEALTHY_AFTER_SEC
        return Restarts(self.total + 1, 1 if healthy else self.in_a_row + 1)

    @property
    def delay_sec(self) -> float:
        """How long to wait before the restart that was just counted."""
        # The exponent is bounded, so that a process failing for weeks costs no huge numbers.
        doublings = min(self.in_a_row - 1, 16)
        return min(LONGEST_DELAY_SEC, FIRST_DELAY_SEC * 2.0**doublings)
