"""The line before the generator: some texts are written at once, the other requests wait.

A request that waits holds no thread, and one whose client leaves ends with its present step, which
is one token. The text is written as fast as it can be, however slowly its client reads, so that no
client keeps others waiting.
"""

import asyncio
import threading
from collections.abc import AsyncGenerator

import anyio

from rookery.core.protocols import GenerationOptions, Generator, TextChunk

AT_ONCE = 16
"""As many as share a pass of the network; each holds a thread while it is written."""


class Line:
    """The requests of one generator, first come, first served."""

    def __init__(self, generator: Generator, at_once: int = AT_ONCE):
        self._generator = generator
        self._places = anyio.CapacityLimiter(at_once)

    async def pieces(self, prompt: str, options: GenerationOptions) -> AsyncGenerator[TextChunk]:
        """Yield a continuation piece by piece; closing this iterator ends the generation."""
        loop = asyncio.get_running_loop()
        written: asyncio.Queue[TextChunk | None] = asyncio.Queue()
        has_left = threading.Event()

        def write() -> None:
            for piece in self._generator.generate(prompt, options):
                if has_left.is_set():
                    return
                loop.call_soon_threadsafe(written.put_nowait, piece)

        async def work() -> None:
            try:
                await anyio.to_thread.run_sync(write, limiter=self._places)
            finally:
                written.put_nowait(None)

        task = asyncio.create_task(work())
        try:
            while (piece := await written.get()) is not None:
                yield piece
            await task  # raises what the generator raised
        finally:
            has_left.set()
            task.cancel()
