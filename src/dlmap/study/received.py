"""What a browser sends, checked: anything unexpected is refused with a status of 4xx."""

import json
import re
from typing import Any, NoReturn, cast, get_args

from starlette.exceptions import HTTPException
from starlette.requests import Request

from .answers import Side

LARGEST_BODY = 8192
NUMBERS = ("screenWidth", "screenHeight", "windowWidth", "windowHeight", "pixelRatio", "colourDepth")
TEXTS = ("agent", "language")


async def receive_answer(request: Request) -> tuple[Side, float | None]:
    """The choice and the seconds that it took, if they were measured."""
    body = await _body(request)
    choice, seconds = body.get("choice"), body.get("seconds")
    if choice not in get_args(Side):
        raise HTTPException(400, "choice must be left or right")
    if seconds is not None and not (_is_number(seconds) and seconds >= 0):
        raise HTTPException(400, "seconds must be a number that is not negative, or null")
    return cast(Side, choice), None if seconds is None else float(seconds)


async def receive_facts(request: Request) -> dict[str, Any]:
    """Facts about the screen: those that are known; others are not kept."""
    body = await _body(request)
    numbers = {name: body[name] for name in NUMBERS if name in body}
    texts = {name: body[name] for name in TEXTS if name in body}
    if not all(map(_is_number, numbers.values())):
        raise HTTPException(400, f"{', '.join(NUMBERS)} must be numbers")
    # no sign in front: a spreadsheet would take the text for a formula
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
        raise HTTPException(400, "what was sent is not JSON") from None
    if not isinstance(body, dict):
        raise HTTPException(400, "what was sent is not a JSON object")
    return body


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e9
