"""What stands before the study's page: its token, and headers that protect its observers."""

import secrets

from starlette.datastructures import MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

UNKNOWN = "There is nothing at this address. Please use the link exactly as it was given to you."


class Guard:
    """Lets in only requests for /s/TOKEN and below, and gives every answer the headers of security.

    Args:
        app: what is guarded.
        token: of the study.
        policy: content security policy of the page.
    """

    def __init__(self, app: ASGIApp, token: str, policy: str) -> None:
        self.app = app
        self.token = token.encode()
        self.headers = {
            "Content-Security-Policy": policy,
            "Cross-Origin-Resource-Policy": "same-origin",
            "Referrer-Policy": "no-referrer",
            "X-Content-Type-Options": "nosniff",
            "X-Frame-Options": "DENY",
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(self.headers)
            await send(message)

        app = self.app if scope["type"] != "http" or self._knows(scope["path"]) else PlainTextResponse(UNKNOWN, 404)
        await app(scope, receive, send_guarded)

    def _knows(self, path: str) -> bool:
        _, first, token, *_ = (*path.split("/"), "", "", "")
        return first == "s" and secrets.compare_digest(token.encode(errors="replace"), self.token)
