"""The application: routes, middleware and the context that they share."""

import asyncio
import importlib.metadata
import pkgutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from celery import Celery
from fastapi import FastAPI
from fastapi.routing import APIRoute
from starlette.middleware import Middleware
from starlette.middleware.body_limit import RequestBodyLimitMiddleware
from starlette.middleware.trustedhost import TrustedHostMiddleware

from api import readiness, retention, routes
from api.auth import Authentication, Guesses
from api.context import Context
from api.http import documentation, openapi, problems
from api.http.concurrency import ConcurrencyLimit
from api.http.csrf import LOOPBACK, SameOrigin
from api.http.methods import Methods
from api.http.middleware import ResponseGuard
from api.metrics import Instruments
from api.wakeups import PUBLISH_SECONDS, WakeUps
from core.data.storage import origins
from core.data.storage.cache import Cache
from core.data.storage.purge import purge
from core.data.storage.stores import open_store
from core.datasets import erased_digests
from core.db.engine import make_engine
from core.db.session import reading
from core.errors import ChainruleError
from core.models import Models
from core.queue import make_celery
from core.retention import Retention
from core.settings import Settings

MAX_BODY_BYTES = 256 * 2**10
"""Maximum size of a request body. Routes may set their own limit."""

MAX_REQUESTS = 1000
"""Maximum number of requests that are served at once, event streams among them."""

CACHE_BYTES = 4 * 2**30
"""Maximum size of the disk cache of models and dataset versions (least recently used)."""

PURGE_SECONDS = 20.0

ROUTERS = tuple(
    importlib.import_module(f"{routes.__name__}.{module.name}").router
    for module in pkgutil.iter_modules(routes.__path__)
)
"""The router of every module in `api.routes`."""


def create_app(settings: Settings) -> FastAPI:
    """Create the app that serves version 1 of the REST API. No connection is opened yet."""
    context = make_context(settings)
    app = FastAPI(
        title="Chainrule",
        version=importlib.metadata.version("chainrule-server"),
        description=openapi.DESCRIPTION,
        lifespan=_lifespan,
        middleware=_middleware(settings, context.instruments),
        redirect_slashes=False,
        docs_url=None,
        redoc_url=None,
        separate_input_output_schemas=True,
        generate_unique_id_function=_operation_id,
    )
    app.state.context = context
    app.state.methods = Methods(app)
    problems.install(app)
    openapi.install(app)
    for router in ROUTERS:
        app.include_router(router)
    app.include_router(documentation.router)
    return app


def make_context(settings: Settings) -> Context:
    """Create the shared context of the endpoints."""
    instruments = Instruments()
    celery = _celery(settings)
    engine = make_engine(settings.resolved_database_url)
    store = open_store(settings.resolved_store_url)
    readable = origins.prefixes(settings.dataset_urls)
    cache = Cache(settings.data_dir / "cache" / "api", CACHE_BYTES, readable=readable)
    probes = {
        "database": readiness.database(engine),
        "store": readiness.store(store),
        "data": readiness.undamaged(store),
        "broker": readiness.broker(celery),
        "mlflow": readiness.mlflow(settings.mlflow_url),
        "workers": readiness.workers(engine),
    }
    return Context(
        settings=settings,
        engine=engine,
        store=store,
        models=Models(store, cache),
        cache=cache,
        wakeups=WakeUps(celery, instruments),
        instruments=instruments,
        prober=readiness.Prober(probes),
        dataset_urls=readable,
    )


def _celery(settings: Settings) -> Celery | None:
    if not settings.broker_url.get_secret_value():
        return None
    return make_celery(settings, publish_seconds=PUBLISH_SECONDS)


def _middleware(settings: Settings, instruments: Instruments) -> list[Middleware]:
    """The middleware, outermost first."""
    stack = [
        Middleware(ResponseGuard, instruments=instruments),
        Middleware(ConcurrencyLimit, limit=MAX_REQUESTS),
    ]
    token = settings.api_token.get_secret_value()
    if not token:
        # Without a token every client is trusted, so requests of foreign pages must be refused.
        hosts = {*LOOPBACK, settings.host}
        stack += [
            Middleware(TrustedHostMiddleware, allowed_hosts=sorted(hosts), www_redirect=False),
            Middleware(SameOrigin),
        ]
    return [
        *stack,
        Middleware(Authentication, token=token, guesses=Guesses(settings.token_guesses_per_minute)),
        Middleware(RequestBodyLimitMiddleware, max_body_size=MAX_BODY_BYTES),
    ]


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    context: Context = app.state.context
    purging = asyncio.create_task(_purge(context))
    yield
    context.closing.set()
    purging.cancel()
    context.wakeups.close()
    context.prober.close()
    context.engine.dispose()


async def _purge(context: Context) -> None:
    """Remove erased dataset versions from this server's cache, and old uploads, periodically."""
    uploads = Retention(context.storage, retention.own(context, context.kept_days))

    def once() -> None:
        with suppress(ChainruleError, OSError):
            uploads.advance()
        with suppress(ChainruleError), reading(context.engine) as session:
            purge(context.cache, erased_digests(session))

    while True:
        await asyncio.to_thread(once)
        await asyncio.sleep(PURGE_SECONDS)


def _operation_id(route: APIRoute) -> str:
    """The name of the endpoint function; generated clients use it as the method name."""
    return route.name
