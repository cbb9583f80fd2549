"""Checks of everything that comes to the page's server from outside: addresses, and the bodies of requests."""

import json
import re
import secrets
from typing import Any, NoReturn, cast, get_args

from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .trials import Side

UNKNOWN = "There is nothing at this address. Please use the link exactly as it was given to you."
LARGEST_BODY = 8192
NUMBERS = ("screenWidth", "screenHeight", "windowWidth", "windowHeight", "pixelRatio", "colourDepth")
TEXTS = ("agent", "language")


class Guard:
    """Lets only requests for /s/TOKEN and below reach ``app``, and adds security headers to every response.

    Args:
        app: the application behind the guard.
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


async def receive_answer(request: Request) -> tuple[Side, float | None]:
    """The choice, and the seconds that it took if they were measured; anything else raises an HTTPException."""
    body = await _body(request)
    choice, seconds = body.get("choice"), body.get("seconds")
    if choice not in get_args(Side):
        raise HTTPException(400, "choice must be left or right")
    if seconds is not None and not (_is_number(seconds) and seconds >= 0):
        raise HTTPException(400, "seconds must be a number that is not negative, or null")
    return cast(Side, choice), None if seconds is None else float(seconds)


async def receive_facts(request: Request) -> dict[str, Any]:
    """The facts about the screen in NUMBERS and TEXTS; others are dropped, wrong ones raise an HTTPException."""
    body = await _body(request)
    numbers = {name: body[name] for name in NUMBERS if name in body}
    texts = {name: body[name] for name in TEXTS if name in body}
    if not all(map(_is_number, numbers.values())):
        raise HTTPException(400, f"{', '.join(NUMBERS)} must be numbers")
    # the first character must be a letter or digit: a spreadsheet would take a sign for the start of a formula
    if not all(isinstance(text, str) and re.fullmatch(r"(\w[ -~]{0,299})?", text, re.ASCII) for text in texts.values()):
        raise HTTPException(400, f"{', '.join(TEXTS)} must be short texts in ASCII")
    return numbers | texts


async def _body(request: Request) -> dict[str, Any]:
    data = bytearray()
    async for part in request.stream():
        data += part
        if len(data) > LARGEST_BODY:
            raise HTTPException(413, f"at most {LARGEST_BODY} bytes can be sent here")
    try:
        body = json.loads(data, parse_constant=_refuse)
    except (ValueError, RecursionError):
        raise HTTPException(400, "the body is not JSON") from None
    if not isinstance(body, dict):
        raise HTTPException(400, "the body is not a JSON object")
    return body


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e9
