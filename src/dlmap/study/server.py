"""The page for observers, as an ASGI application. Below /s/TOKEN there are, and nothing else is:

    GET  /                           the page; at its beginning an observer has no name yet
    GET  /state                      question and number of trials
    POST /observers                  screen facts; answers with the name of a new observer
    GET  /o/OBSERVER                 the page, which goes on where the observer has stopped
    GET  /o/OBSERVER/state           question, number of trials, the next one
    GET  /o/OBSERVER/t/NUMBER/PLACE.png
    POST /o/OBSERVER/t/NUMBER        {"choice": "left" or "right", "seconds": number or null}

No address names a contestant or a file: the pictures of a trial are looked up in the store.
"""

import base64
import hashlib
import re
from importlib.resources import files
from typing import cast, get_args

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from .answers import Side
from .design import Trial
from .guard import UNKNOWN, Guard
from .pictures import Place, picture
from .received import receive_answer, receive_facts
from .sessions import Sessions

NEVER_KEEP = {"Cache-Control": "no-store"}


def application(sessions: Sessions) -> Starlette:
    """The application that shows ``sessions`` and takes their answers."""
    page = files("dlmap.study").joinpath("page.html").read_text(encoding="utf-8")
    handlers = _Handlers(sessions, page)
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
        middleware=[Middleware(Guard, token=sessions.study.token, policy=_policy(page))],
        exception_handlers={ClientDisconnect: lambda request, error: Response(status_code=400)},
    )
    app.router.redirect_slashes = False  # a redirection would name the scheme and host that a proxy hides
    return app


class _Handlers:
    """One method an address. Those that are no coroutines run in threads."""

    def __init__(self, sessions: Sessions, page: str) -> None:
        self.sessions = sessions
        self.html = page

    def page(self, request: Request) -> Response:
        return HTMLResponse(self.html, headers=NEVER_KEEP)

    def preview(self, request: Request) -> Response:
        return JSONResponse(self.sessions.preview, headers=NEVER_KEEP)

    async def begin(self, request: Request) -> Response:
        facts = await receive_facts(request)
        observer = await run_in_threadpool(self.sessions.begin, facts)
        return JSONResponse({"observer": observer}, status_code=201, headers=NEVER_KEEP)

    def resumed_page(self, request: Request) -> Response:
        self._trials(request)
        return self.page(request)

    def state(self, request: Request) -> Response:
        observer, trials = self._trials(request)
        return JSONResponse(self.sessions.state(observer, trials), headers=NEVER_KEEP)

    async def answer(self, request: Request) -> Response:
        choice, seconds = await receive_answer(request)
        return await run_in_threadpool(self._record, request, choice, seconds)

    def _record(self, request: Request, choice: Side, seconds: float | None) -> Response:
        observer, trials = self._trials(request)
        recorded = self.sessions.store.record(observer, _number(request, trials), choice, seconds)
        status = {"status": "recorded" if recorded else "already"}
        return JSONResponse(status | self.sessions.state(observer, trials), headers=NEVER_KEEP)

    def picture(self, request: Request) -> Response:
        _, trials = self._trials(request)
        place = request.path_params["place"]
        if place not in get_args(Place):
            raise HTTPException(404, UNKNOWN)
        trial = trials[_number(request, trials)]
        try:
            data = picture(self.sessions.study, trial, cast(Place, place))
        except FileNotFoundError:
            raise HTTPException(404, "A picture of this study is gone. Please tell those who run it.") from None
        return Response(data, media_type="image/png", headers={"Cache-Control": "private, max-age=3600"})

    def _trials(self, request: Request) -> tuple[str, list[Trial]]:
        observer = request.path_params["observer"]
        trials = self.sessions.store.trials(observer)
        if not trials:
            raise HTTPException(404, UNKNOWN)
        return observer, trials


def _number(request: Request, trials: list[Trial]) -> int:
    text = request.path_params["number"]
    if not re.fullmatch(r"[0-9]{1,6}", text) or int(text) >= len(trials):
        raise HTTPException(404, UNKNOWN)
    return int(text)


def _policy(page: str) -> str:
    """The content security policy under which only the page's own script and style run."""
    rules = ["default-src 'self'", "img-src blob: data:", "base-uri 'none'", "form-action 'none'"]
    for element in ("script", "style"):
        for text in re.findall(f"<{element}>(.*?)</{element}>", page, re.DOTALL):
            digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
            rules.append(f"{element}-src 'sha256-{digest}'")
    return "; ".join([*rules, "frame-ancestors 'none'"])
