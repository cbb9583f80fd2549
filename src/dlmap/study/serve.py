"""Running the page for observers as a server of its own."""

import contextlib
import ipaddress
import socket
import sys

import uvicorn

from mslique import UserError

from .definition import Study
from .pictures import check_pictures
from .server import application
from .sessions import Plan, Sessions


def serve(study: Study, plan: Plan, question: str | None, host: str, port: int) -> None:
    """Show the page at ``host``:``port`` (0: any free one) and take answers until Ctrl-C or SIGTERM.

    Raises:
        UserError: a picture is missing, or the address cannot be had.
    """
    check_pictures(study)
    app = application(Sessions(study, plan, question))
    with _bound(host, port) as listener:
        sys.stderr.write(_announcement(study, host, listener.getsockname()[1]))
        sys.stderr.flush()
        # no access log: its lines would hold the token
        config = uvicorn.Config(
            app, log_level="warning", access_log=False, server_header=False, lifespan="off", timeout_graceful_shutdown=5
        )
        with contextlib.suppress(KeyboardInterrupt):
            uvicorn.Server(config).run(sockets=[listener])


def _bound(host: str, port: int) -> socket.socket:
    try:
        return socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except (OSError, OverflowError) as reason:
        raise UserError(
            f"the page cannot be shown at {host}, port {port}: {reason}; choose --host and --port"
        ) from None


def _announcement(study: Study, host: str, port: int) -> str:
    everywhere, loopback = _kind(host)
    name = socket.gethostname() if everywhere else f"[{host}]" if ":" in host else host
    lines = [f"The page for observers: http://{name}:{port}/s/{study.token}  (Ctrl-C ends it; no answer is lost)"]
    if not loopback:
        lines.append(
            f"warning: {host} can be reached from other machines, and what is sent is not encrypted: whoever sees the"
            " link can take part. Beyond a network that you trust, leave --host out and put a proxy with TLS before it."
        )
    return "".join(f"{line}\n" for line in lines)


def _kind(host: str) -> tuple[bool, bool]:
    """Whether ``host`` stands for all addresses, and whether it is this machine's alone."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False, host == "localhost"
    return address.is_unspecified, address.is_loopback
