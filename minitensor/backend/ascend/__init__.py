"""The Ascend accelerator, simulated: `device` says what it is, `lock` keeps a card to one process at a time."""

from __future__ import annotations

from minitensor.backend.ascend.device import AscendBackend, cards
from minitensor.backend.ascend.lock import Holder, holder

__all__ = ["AscendBackend", "Holder", "cards", "holder"]
