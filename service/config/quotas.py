"""The settings of quotas: how much who may send, and to which route."""

from collections.abc import Collection, Iterator, Mapping
from typing import Final, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from service.units import ByteSize, Duration

EACH: Final = "*"
"""Stands for each principal, or each route, that is not named beside it."""


class Quota(BaseModel):
    """How fast events may come."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    events_per_second: float | None = Field(
        default=None, gt=0, allow_inf_nan=False, description="Events a second; no bound if absent."
    )
    bytes_per_second: ByteSize | None = Field(
        default=None, ge=1, description="Bytes of bodies a second; no bound if absent."
    )
    burst: Duration = Field(
        default=10.0, gt=0, description="What was not used of so long may be sent at once, beyond the rate."
    )

    def share(self, workers: int) -> Self:
        """What one of `workers` processes allows."""
        events, size = self.events_per_second, self.bytes_per_second
        return self.model_copy(
            update={
                "events_per_second": None if events is None else events / workers,
                "bytes_per_second": None if size is None else max(1, size // workers),
            }
        )


class PrincipalQuota(Quota):
    """The same of one principal."""

    routes: dict[str, Quota] = Field(
        default={}, description="And of these to a route, by its name; `*` is each other route."
    )

    def share(self, workers: int) -> Self:
        """What one of `workers` processes allows."""
        return super().share(workers).model_copy(update={"routes": _shares(self.routes, workers)})


class QuotasConfig(BaseModel):
    """How much who may send over HTTP. Of each mapping one entry holds: the one of that name, else `*`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    principals: dict[str, PrincipalQuota] = Field(
        default={}, description="What one principal may send, by its name; `*` is each other one."
    )
    routes: dict[str, Quota] = Field(
        default={}, description="What all together may send to a route, by its name; `*` is each other one."
    )

    def share(self, workers: int) -> "QuotasConfig":
        """What one of `workers` processes allows."""
        return QuotasConfig(principals=_shares(self.principals, workers), routes=_shares(self.routes, workers))


Q = TypeVar("Q", bound=Quota)


def of(quotas: Mapping[str, Q], name: str) -> Q | None:
    """The entry that holds for `name`; None if nothing does."""
    return quotas.get(name) or quotas.get(EACH)


def mistakes(quotas: QuotasConfig, routes: Collection[str]) -> Iterator[tuple[tuple[str, ...], str]]:
    """The path below `quotas` of each entry for a route that is none of `routes`, and what is wrong."""
    places: list[tuple[str, ...]] = [("routes", name) for name in quotas.routes]
    places += [
        ("principals", principal, "routes", name)
        for principal, quota in quotas.principals.items()
        for name in quota.routes
    ]
    for place in places:
        if place[-1] != EACH and place[-1] not in routes:
            yield place, f"there is no route {place[-1]!r}; `{EACH}` is each route that is not named"


def _shares(quotas: Mapping[str, Q], workers: int) -> dict[str, Q]:
    return {name: quota.share(workers) for name, quota in quotas.items()}
