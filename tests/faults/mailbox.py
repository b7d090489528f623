"""A mail server on loopback that keeps what it is sent."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from email import message_from_bytes, policy
from email.message import EmailMessage

from tests.served import HOST


class Mailbox:
    """The mails that came, in their order."""

    def __init__(self) -> None:
        self.mails: list[EmailMessage] = []
        self.url = ""

    async def _take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            writer.write(b"220 mailbox\r\n")
            while line := await reader.readline():
                match line.split(b" ")[0].strip().upper():
                    case b"DATA":
                        writer.write(b"354 go on\r\n")
                        self._keep(await reader.readuntil(b"\r\n.\r\n"))
                    case b"QUIT":
                        break
                writer.write(b"250 fine\r\n")
            writer.write(b"221 bye\r\n")
            await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # whoever was sending it was killed
        finally:
            writer.close()

    def _keep(self, raw: bytes) -> None:
        mail = message_from_bytes(raw.removesuffix(b".\r\n"), policy=policy.default)
        assert isinstance(mail, EmailMessage)
        self.mails.append(mail)


@asynccontextmanager
async def mailbox() -> AsyncIterator[Mailbox]:
    """Take mails until the block ends."""
    box = Mailbox()
    server = await asyncio.start_server(box._take, HOST, 0)
    box.url = f"smtp://{HOST}:{server.sockets[0].getsockname()[1]}"
    try:
        yield box
    finally:
        server.close()
