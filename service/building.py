"""Builds the pipeline of a Config: its sinks are entered, and lanes, dead letters and routes tied together."""

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import AsyncExitStack, contextmanager
from dataclasses import replace

from service import plugins
from service.codecs.selector import Selector
from service.config import Config
from service.config.receiving import reached
from service.config.settings import RouteConfig
from service.delivery.deadletter import DeadLetters
from service.delivery.entry import Terms
from service.delivery.fallback import FallbackLane
from service.delivery.lane import Lane
from service.delivery.pipeline import Pipeline
from service.delivery.route import Leg, Route
from service.delivery.spans import SYSTEMS, Spans, Writes
from service.errors import ConfigError
from service.event import uuid7
from service.journal.journals import Journals
from service.receiving.contract import Source
from service.receiving.handover import Handover
from service.receiving.sampling import sampling
from service.sinks.contract import ProbeError, Sink
from service.telemetry.meter import Meter


async def build(
    config: Config, meter: Meter, stack: AsyncExitStack, heir: str | None = None, spans: Spans | None = None
) -> Pipeline:
    """The pipeline of `config`; its sinks are left when `stack` unwinds. `heir`: the sink that gets what the journal
    holds for routes and sinks that are no more, as dead letters. `spans`: where the calls are recorded.

    Raises ConfigError with every mistake that the sinks tell when they are entered, each with its YAML path,
    or if the journal cannot be used.
    """
    sinks: dict[str, Sink] = {}
    for name in sorted(config.started):
        settings = config.sinks[name]
        sinks[name] = plugins.load("sinks", settings.type)(name, settings)
    await _enter(sinks, stack)
    lanes = {name: Lane(name, sink, config.sinks[name], meter) for name, sink in sinks.items()}
    for lane in lanes.values():
        if spans is not None:
            lane.attempt = Writes(spans, lane.name, lane.settings).write
        if (fallback := lane.settings.fallback) is not None:
            lane.fallback = FallbackLane(lanes[fallback], lanes[fallback].settings.format)
    buried = {route.dead_letter.sink for route in config.routes.values() if route.dead_letter}
    buried |= {source.dead_letter for source in config.sources.values() if source.dead_letter}
    letters = {name: DeadLetters(lanes[name]) for name in sorted(buried | ({heir} if heir else set()))}
    routes = {name: _route(name, route, config, lanes, letters) for name, route in config.routes.items()}
    journals = await Journals.open(config, routes, meter, letters[heir] if heir else None)
    stack.push_async_callback(journals.close)
    routes |= {name: replace(routes[name], keeper=keeper) for name, keeper in journals.keepers.items()}
    journals.begin()
    return Pipeline(routes, lanes, letters.values(), journals)


def tracing(config: Config, meter: Meter, stack: AsyncExitStack) -> Spans | None:
    """What records spans, until `stack` unwinds; None where nothing does. Only on the event loop."""
    settings = config.tracing
    if not settings.on or settings.endpoint is None:
        return None
    from service.otlp import OtlpTracer  # with all of OpenTelemetry, which is an extra

    def dropped(spans: int) -> None:
        meter.spans_dropped += spans

    headers = {name: value.get_secret_value() for name, value in settings.headers.items()}
    resource = {"service.name": settings.service_name, "service.instance.id": uuid7()}
    tracer = OtlpTracer(settings.endpoint, headers, resource, dropped)
    stack.push_async_callback(tracer.close)
    return Spans(tracer, settings.sample)


def sources(config: Config, pipeline: Pipeline, meter: Meter, spans: Spans | None = None) -> dict[str, Source]:
    """The sources of `config` by name, none of them entered. Only on the event loop."""
    found: dict[str, Source] = {}
    for name, settings in config.sources.items():
        handover = Handover(
            name,
            pipeline,
            config.codecs[name],
            meter,
            targets=reached(settings, config.routes),
            dead_letters=pipeline.letters(settings.dead_letter) if settings.dead_letter else None,
            dedupe=settings.dedupe,
            spans=spans,
            system=SYSTEMS.get(settings.type, settings.type),
            sampling=sampling(config.logs.sample_rejected, config.logs.values),
        )
        found[name] = plugins.load("sources", settings.type)(name, settings, handover)
    return found


@contextmanager
def placed(place: str) -> Iterator[None]:
    """Raises a ConfigError of what is done here with this YAML path before each mistake."""
    try:
        yield
    except ConfigError as error:
        raise ConfigError(_placed(error, place)) from error


def _placed(error: ConfigError, place: str) -> list[str]:
    return [each if each.startswith((f"{place}:", f"{place}.")) else f"{place}: {each}" for each in error.mistakes]


async def _enter(sinks: Mapping[str, Sink], stack: AsyncExitStack) -> None:
    """Enter all at once. Not before each has been entered or refused are they left again."""
    entering = (stack.enter_async_context(sink) for sink in sinks.values())
    ends = await asyncio.gather(*entering, return_exceptions=True)
    mistakes: list[str] = []
    for name, end in zip(sinks, ends, strict=True):
        place = f"sinks.{name}"
        if isinstance(end, ConfigError):
            mistakes += _placed(end, place)
        elif isinstance(end, ProbeError):
            mistakes.append(f"{place}: {end}")
        elif isinstance(end, BaseException):
            raise end
    if mistakes:
        raise ConfigError(mistakes)


def _route(
    name: str, settings: RouteConfig, config: Config, lanes: Mapping[str, Lane], letters: Mapping[str, DeadLetters]
) -> Route:
    graveyard = letters[settings.dead_letter.sink] if settings.dead_letter else None
    return Route(
        name=name,
        legs=tuple(
            Leg(
                lanes[to.sink],
                Terms(name, required=to.required, patient=False, graveyard=graveyard),
                to.format or config.sinks[to.sink].format,
            )
            for to in settings.to
        ),
        types=settings.types,
        schema=config.schemas.get(name),
        key=Selector(settings.key) if settings.key else None,
        id=Selector(settings.id) if settings.id else None,
        source=settings.source or "",
        max_event=config.max_event[name],
        dead_letters=graveyard,
        bury_invalid=settings.dead_letter is not None and settings.dead_letter.invalid,
        origins=frozenset(settings.cors),
    )
