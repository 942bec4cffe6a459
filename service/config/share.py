"""What one of several workers may take: the budgets of the service, divided. Everything else each has in full."""

from dataclasses import replace

from service.config.effective import Config


def share(config: Config, workers: int, worker: int = 0) -> Config:
    """The configuration of one of `workers` processes, the one of number `worker`. What they take together is at most
    what `config` allows, but that each may take one of what is counted.

    Each sink divides its own settings (`SinkConfig.share`). What is derived from `server.memory` follows it.
    """
    server = config.server
    return replace(
        config,
        server=server.model_copy(
            update={
                "memory": server.memory // workers,
                "max_requests": max(1, server.max_requests // workers),
                "max_connections": max(1, server.max_connections // workers),
            }
        ),
        journal=config.journal.model_copy(update={"max_bytes": config.journal.max_bytes // workers}),
        quotas=config.quotas.share(workers),
        worker=worker,
        sinks={name: sink.share(workers) for name, sink in config.sinks.items()},
        sources={name: source.share(workers, worker) for name, source in config.sources.items()},
    )
