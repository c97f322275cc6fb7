"""The body of an answer, read up to a bound: whoever answers may be broken, and our memory is not theirs."""

import aiohttp


async def read_body(response: aiohttp.ClientResponse, *, most_bytes: int) -> bytes:
    """The whole body. Raises ClientPayloadError where it has more bytes; and whatever aiohttp raises."""
    body = bytearray()
    async for chunk in response.content.iter_any():
        body += chunk
        if len(body) > most_bytes:
            raise aiohttp.ClientPayloadError(f"the body has more than {most_bytes} bytes")
    return bytes(body)
