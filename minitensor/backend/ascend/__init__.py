"""The simulated Ascend accelerator: `device` describes it, `lock` gives a card to one process."""

from __future__ import annotations

from minitensor.backend.ascend.device import AscendBackend, cards
from minitensor.backend.ascend.lock import Holder, holder

__all__ = ["AscendBackend", "Holder", "cards", "holder"]
