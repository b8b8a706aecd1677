"""Ctrl-C at the right moment: after a step, never inside one."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class Interrupt:
    """Whether Ctrl-C was pressed."""

    requested = False

    def heed(self) -> None:
        """Raise KeyboardInterrupt when Ctrl-C was pressed."""
        if self.requested:
            raise KeyboardInterrupt


@contextmanager
def held_interrupts(*, alone: bool = True) -> Iterator[Interrupt]:
    """Turn the first Ctrl-C into `Interrupt.requested`, so that the loop can finish its step and save; a second one
    raises KeyboardInterrupt at once.

    Does nothing outside the main thread, where somebody has set a handler of their own, and unless the process is
    `alone`: several could not agree on the step to stop at, and their launcher ends them anyway.
    """
    interrupt = Interrupt()
    usual = signal.default_int_handler
    in_main_thread = threading.current_thread() is threading.main_thread()
    if not (alone and in_main_thread and signal.getsignal(signal.SIGINT) is usual):
        yield interrupt
        return

    def note(number: int, frame: FrameType | None) -> None:
        interrupt.requested = True
        signal.signal(signal.SIGINT, usual)

    signal.signal(signal.SIGINT, note)
    try:
        yield interrupt
    finally:
        signal.signal(signal.SIGINT, usual)
    interrupt.heed()  # it may have come after the loop last looked
