"""Failures as JSON, {"error", "reason", "remedy"?}; no traceback ever leaves the process."""

import logging

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from src.core.errors import ServiceError

log = logging.getLogger("backend")


def log_failure(error: ServiceError) -> None:
    """Log a failure with its cause; what the cause says may quote the user, so only its kind is logged."""
    cause = error.__cause__
    fields = {"code": error.code, "status": error.status, "cause": type(cause).__name__ if cause else None}
    # A cause that nobody foresaw needs its place in the code.
    trace = cause if error.status == 500 else None
    log.log(logging.ERROR if trace else logging.WARNING, "failure", extra={"fields": fields}, exc_info=trace)


def _answer(error: ServiceError) -> JSONResponse:
    return JSONResponse(error.body, error.status, error.headers)


async def _service_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, ServiceError)
    log_failure(error)
    return _answer(error)


async def _invalid(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    reasons = (f"{'.'.join(str(part) for part in fault['loc'])}: {fault['msg']}" for fault in error.errors())
    return _answer(ServiceError(422, "invalid_request", "; ".join(reasons)))


async def _http(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    code = {400: "invalid_request", 404: "not_found", 405: "method_not_allowed"}.get(
        error.status_code, "http_error"
    )
    return JSONResponse({"error": code, "reason": error.detail}, error.status_code, error.headers)


async def _unforeseen(request: Request, error: Exception) -> JSONResponse:
    # Starlette logs the exception itself after this answer.
    return _answer(
        ServiceError(500, "internal_error", "unexpected failure; the log names it by the request id")
    )


def install(app: FastAPI) -> None:
    """Make the application answer every failure as JSON."""
    app.add_exception_handler(ServiceError, _service_error)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(Exception, _unforeseen)
