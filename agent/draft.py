"""As much of an answer as is composed so far."""

from collections.abc import AsyncIterator

from agent.answer import Answer, Citation
from agent.job_entry import Progress

FENCE = "```"


class Draft:
    def __init__(self) -> None:
        self.text = ""
        self.citations: tuple[Citation, ...] = ()
        self.progress: Progress | None = None

    async def read(self, pieces: AsyncIterator[str | Progress | Citation]) -> None:
        """Take what comes, to its end."""
        async for piece in pieces:
            if isinstance(piece, Progress):
                self.progress = piece
            elif isinstance(piece, Citation):
                self.citations = (*self.citations, piece)
            else:
                self.text += piece

    @property
    def answer(self) -> Answer:
        return Answer(self.text, citations=self.citations, is_generated=True)

    def cut_short(self, shown: str, words: str) -> Answer:
        """What is ``shown`` of the text, and after it why there is no more."""
        if not shown:
            return Answer(words)
        closed = (
            f"{shown}\n{FENCE}" if shown.count(FENCE) % 2 else shown
        )  # or the words were part of the code
        text = "\n\n".join(filter(None, (closed, words)))
        return Answer(text, citations=self.citations, is_generated=True)
