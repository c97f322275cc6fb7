"""What a user is told whose turn could not be taken just now, so that they are not left without a word."""

import asyncio
from collections import OrderedDict

from agent.answer import Answer
from agent.conversation import conversation_of
from agent.incoming import IncomingActivity
from agent.ports import ChannelError, Connector

SORRY = Answer(
    "I am having trouble just now, and will try again."
    " If you hear nothing from me in a minute, please ask me once more."
)
TELLING_LASTS_SECONDS = 2.0
MOST_REMEMBERED = 1000


class Troubles:
    """Tells each user once, as far as this process knows: the channel delivers a turn again that failed."""

    def __init__(self, connector: Connector) -> None:
        self._connector = connector
        self._told: OrderedDict[str, None] = OrderedDict()

    async def tell(self, incoming: IncomingActivity) -> None:
        """Tell it to who said something; where the channel does not take it, nothing can be told."""
        if incoming.type != "message" or incoming.turn_key in self._told:
            return
        self._told[incoming.turn_key] = None
        if len(self._told) > MOST_REMEMBERED:
            self._told.popitem(last=False)
        try:
            async with asyncio.timeout(TELLING_LASTS_SECONDS):
                await self._connector.send(
                    SORRY.to_activity(),
                    at=conversation_of(incoming).place,
                    reply_to_id=incoming.incoming_id,
                )
        except (ChannelError, TimeoutError):
            return
