"""The page for observers, as an ASGI application. These addresses exist below /s/TOKEN, and no others:

    GET  /                           the page, before an observer has a name
    GET  /state                      question and number of trials
    POST /observers                  facts about the screen; returns the name of a new observer
    GET  /o/OBSERVER                 the page, which continues the observer's session
    GET  /o/OBSERVER/state           question, number of trials, the next one
    GET  /o/OBSERVER/t/NUMBER/PLACE.png
    POST /o/OBSERVER/t/NUMBER        {"choice": "left" or "right", "seconds": number or null}

No address names a contestant or a file: the store tells the pictures of a trial.
"""

import base64
import hashlib
import logging
import re
import secrets
from collections import Counter
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from mslique import UserError, degrade_by, read_image

from ..run.pictures import png_bytes
from .definition import Study
from .guard import UNKNOWN, Guard, receive_answer, receive_facts
from .options import Plan
from .store import Store
from .trials import DEGRADED, ORIGINAL, Cell, Side, Trial, draw

logger = logging.getLogger("uvicorn.error")  # the one that `serve` shows
NEVER_KEEP = {"Cache-Control": "no-store"}
PLAINLY_WORSE = (("rescale", 0.75), ("gaussian_blur", 0.5), ("jpeg", 0.875))
"""The worse side of a catch trial: shrunk to a quarter and enlarged again, blurred by 2 pixels, JPEG of quality 10."""


def application(study: Study, plan: Plan, question: str | None = None) -> Starlette:
    """The application that shows a study and takes the answers; a session that has begun keeps its old ``plan``."""
    page = files("dlmap.study").joinpath("page.html").read_text(encoding="utf-8")
    handlers = _Handlers(study, plan, question or study.question, page)
    observer = "/s/{token}/o/{observer}"
    routes = [
        Route("/s/{token}", handlers.page),
        Route("/s/{token}/state", handlers.preview),
        Route("/s/{token}/observers", handlers.begin, methods=["POST"]),
        Route(observer, handlers.resumed_page),
        Route(observer + "/state", handlers.state),
        Route(observer + "/t/{number}", handlers.answer, methods=["POST"]),
        Route(observer + "/t/{number}/{place}.png", handlers.picture),
    ]
    app = Starlette(
        routes=routes,
        middleware=[Middleware(Guard, token=study.token, policy=_policy(page))],
        exception_handlers={ClientDisconnect: lambda request, error: Response(status_code=400), UserError: _unable},
    )
    app.router.redirect_slashes = False  # a redirect would contain the wrong scheme and host behind a proxy
    return app


def _unable(request: Request, error: Exception) -> Response:
    """The answers or a picture cannot be read or written: the log says why, the page tries again."""
    logger.error("%s", error)
    return PlainTextResponse("The study cannot go on now. Please tell those who run it.", 503)


class _Handlers:
    """One method for each address. Starlette runs the methods that are not coroutines in threads."""

    def __init__(self, study: Study, plan: Plan, question: str, page: str) -> None:
        self.study, self.plan, self.question, self.html = study, plan, question, page
        self.store = Store(study.answers)
        self.example = self._draw(Counter(), np.random.default_rng(0))

    def page(self, request: Request) -> Response:
        return HTMLResponse(self.html, headers=NEVER_KEEP)

    def preview(self, request: Request) -> Response:
        return JSONResponse(self._state(self.example, set()), headers=NEVER_KEEP)

    async def begin(self, request: Request) -> Response:
        """The study's seed, the observer's random name and the trials of earlier observers determine the trials."""
        facts, observer = await receive_facts(request), secrets.token_hex(8)
        rng = np.random.default_rng([self.study.seed, int(observer, 16)])
        await run_in_threadpool(self.store.begin, observer, facts, lambda taken: self._draw(taken, rng))
        return JSONResponse({"observer": observer}, status_code=201, headers=NEVER_KEEP)

    def resumed_page(self, request: Request) -> Response:
        self._trials(request)  # raises an error if the observer is unknown
        return self.page(request)

    def state(self, request: Request) -> Response:
        observer, trials = self._trials(request)
        return JSONResponse(self._state(trials, self.store.answered(observer)), headers=NEVER_KEEP)

    async def answer(self, request: Request) -> Response:
        choice, seconds = await receive_answer(request)
        return await run_in_threadpool(self._record, request, choice, seconds)

    def _record(self, request: Request, choice: Side, seconds: float | None) -> Response:
        observer, trials = self._trials(request)
        recorded = self.store.record(observer, _number(request, trials), choice, seconds)
        status = {"status": "recorded" if recorded else "already"}
        return JSONResponse(status | self._state(trials, self.store.answered(observer)), headers=NEVER_KEEP)

    def picture(self, request: Request) -> Response:
        _, trials = self._trials(request)
        place = request.path_params["place"]
        if place not in ("left", "right", "original"):
            raise HTTPException(404, UNKNOWN)
        try:
            data = picture(self.study, trials[_number(request, trials)], place)
        except FileNotFoundError:
            raise HTTPException(404, "A picture of this study is gone. Please tell those who run it.") from None
        return Response(data, media_type="image/png", headers={"Cache-Control": "private, max-age=3600"})

    def _draw(self, taken: Counter[Cell], rng: np.random.Generator) -> list[Trial]:
        return draw(self.study.contestants, self.study.photos, taken, rng, self.plan)

    def _trials(self, request: Request) -> tuple[str, list[Trial]]:
        observer = request.path_params["observer"]
        trials = self.store.trials(observer)
        if not trials:
            raise HTTPException(404, UNKNOWN)
        return observer, trials

    def _state(self, trials: list[Trial], answered: set[int]) -> dict[str, Any]:
        """What the page needs to know of a session; ``next`` is the first open trial, None at the end."""
        return {
            "question": self.question,
            "total": len(trials),
            "practice": sum(trial.kind == "practice" for trial in trials),
            "breakEvery": self.plan.break_every,
            "next": next((number for number in range(len(trials)) if number not in answered), None),
        }


def _number(request: Request, trials: list[Trial]) -> int:
    text = request.path_params["number"]
    if not re.fullmatch(r"[0-9]{1,6}", text) or int(text) >= len(trials):
        raise HTTPException(404, UNKNOWN)
    return int(text)


def picture(study: Study, trial: Trial, place: str) -> bytes:
    """The PNG at a place of a trial ("left", "right", "original"): an output, the original, or its worse version."""
    name = ORIGINAL if place == "original" else getattr(trial, place)
    if name == DEGRADED:
        return degraded(study.original(trial.photo))
    return study.picture(name, trial.photo).read_bytes()


@lru_cache(maxsize=32)
def degraded(path: Path) -> bytes:
    """The plainly worse version of a photograph, as PNG; always the same."""
    image, rng = read_image(path), np.random.default_rng(0)
    for name, severity in PLAINLY_WORSE:
        image = degrade_by(name, image, severity, rng)
    return png_bytes(image)


def _policy(page: str) -> str:
    """The content security policy that allows only the page's own script and style."""
    rules = ["default-src 'self'", "img-src blob: data:", "base-uri 'none'", "form-action 'none'"]
    for element in ("script", "style"):
        for text in re.findall(f"<{element}>(.*?)</{element}>", page, re.DOTALL):
            digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
            rules.append(f"{element}-src 'sha256-{digest}'")
    return "; ".join([*rules, "frame-ancestors 'none'"])
