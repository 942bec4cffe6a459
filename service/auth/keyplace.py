"""Where the API keys are: a file, a variable or a secret, read again while the service runs."""

import asyncio
import contextlib
import logging
import os
import random
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path
from time import time
from typing import Any, Final, Self

from service.auth.keys import LEAST_PEPPER, Keys, read_keys
from service.auth.watched import POLL_SECONDS, Watched
from service.aws import session
from service.aws.settings import AwsConfig
from service.config.auth import Auth
from service.errors import ConfigError
from service.telemetry.meter import Meter
from service.threads import off_loop

log = logging.getLogger(__name__)

WHAT: Final = "keys"
"""Label of the metrics."""
CALL_SECONDS: Final = 4.0
MOST_CHARACTERS: Final = 4 * 2**20
"""Of a list of keys: some ten thousand."""


class KeyPlace:
    """The keys that are taken now. Entered, it reads them again when they change; a bad version keeps the old one."""

    def __init__(
        self,
        auth: Auth,
        routes: frozenset[str],
        accepting: frozenset[str] | None,
        aws: AwsConfig,
        meter: Meter,
        changed: Callable[[], None],
    ) -> None:
        """`changed` is called when other keys than before are there. Raises ConfigError if a file or variable cannot be
        used; a secret is not asked for before this is entered."""
        self._auth = auth
        self._routes = routes
        self._accepting = accepting
        self._aws = aws
        self._meter = meter
        self._changed = changed
        self._read: tuple[str, tuple[bytes, ...]] | None = None
        self._failing = False
        self._first = asyncio.Event()
        self._stack = AsyncExitStack()
        self.now: Keys | None = None
        """None before a secret was read."""
        paths = [path for path in (auth.keys_file, auth.pepper_file) if path is not None]
        self._watched = Watched(paths, self._read_again, POLL_SECONDS) if paths else None
        peppers_of(auth)
        if auth.keys_secret is None:
            self._take(self._text_of_place())

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            if self._watched is not None:
                await stack.enter_async_context(self._watched)
            if self._auth.keys_secret is not None:
                asking = asyncio.create_task(self._ask(), name="secret of API keys")
                stack.push_async_callback(_ended, asking)
            else:
                self._first.set()
            self._stack = stack.pop_all()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def first(self) -> None:
        """Return after the first reading, whether or not it brought any."""
        await self._first.wait()

    def _text_of_place(self) -> str:
        auth = self._auth
        if auth.keys_variable is not None:
            text = os.environ.get(auth.keys_variable)
            if not text:
                raise ConfigError([f"server.auth.keys_variable: environment variable {auth.keys_variable} is not set"])
            return text
        assert auth.keys_file is not None
        return _read(auth.keys_file, "keys_file")

    def _take(self, text: str) -> bool:
        """Use the keys in `text`. Whether they are others. Raises ConfigError, and keeps the old ones."""
        peppers = peppers_of(self._auth)
        if (text, peppers) == self._read:
            return False
        if len(text) > MOST_CHARACTERS:
            raise ConfigError([f"{self._place}: has more than {MOST_CHARACTERS} characters"])
        self.now = read_keys(text, self._place, peppers, self._routes, self._accepting)
        self._read = text, peppers
        self._meter.auth_refreshed[WHAT] = time()
        return True

    @property
    def _place(self) -> str:
        auth = self._auth
        if auth.keys_secret is not None:
            return f"secret {auth.keys_secret}"
        return f"environment variable {auth.keys_variable}" if auth.keys_variable else str(auth.keys_file)

    async def _read_again(self) -> None:
        """A file has changed."""
        if self._auth.keys_secret is not None:
            if self._read is None:
                return
            text: str | None = self._read[0]
        else:
            text = None
        try:
            await self._renew(await off_loop(self._text_of_place) if text is None else text)
        except ConfigError as error:
            self._failed("; ".join(error.mistakes))

    async def _renew(self, text: str) -> None:
        if self._take(text):
            log.info("API keys were read", extra={"place": self._place, "keys": len(self.now or ())})
            self._changed()
        self._meter.auth_refreshed[WHAT] = time()
        self._failing = False

    def _failed(self, detail: str) -> None:
        self._meter.auth_refresh_failures[WHAT] += 1
        if not self._failing:
            kept = "the old ones are kept" if self.now is not None else "nobody is known before they are there"
            log.error(f"API keys cannot be read: {kept}", extra={"place": self._place, "detail": detail[:500]})  # noqa: G004
        self._failing = True

    # --- a secret

    async def _ask(self) -> None:
        """Read the secret again and again."""
        while True:
            try:
                await self._renew(await self._secret())
            except ConfigError as error:
                self._failed("; ".join(error.mistakes))
            except Exception as error:  # noqa: BLE001 - the SDK's are many; the old keys stay, and it is asked again
                self._failed(f"{type(error).__name__}: {error}")
            self._first.set()
            await asyncio.sleep(self._auth.keys_refresh * random.uniform(0.8, 1.0))

    async def _secret(self) -> str:
        name = self._auth.keys_secret
        assert name is not None
        async with session.client(
            "secretsmanager", acting(self._aws, name), concurrency=1, call_timeout=CALL_SECONDS
        ) as client:
            async with asyncio.timeout(2 * CALL_SECONDS):
                answer: dict[str, Any] = await client.get_secret_value(SecretId=name)
        text = answer.get("SecretString")
        if not isinstance(text, str):
            raise ConfigError([f"secret {name}: holds no text"])
        return text


def acting(aws: AwsConfig, secret: str) -> AwsConfig:
    """With what a secret is read: an ARN names its own region."""
    parts = secret.split(":")
    if parts[0] == "arn" and len(parts) > len(("arn", "partition", "service")):
        return aws.model_copy(update={"region": parts[3]})
    return aws


def peppers_of(auth: Auth) -> tuple[bytes, ...]:
    """The peppers, a line each, the one for new keys first.

    Raises ConfigError if there is none, or one is too short; none is ever quoted.
    """
    if auth.pepper_variable is not None:
        place, text = (
            f"pepper_variable: environment variable {auth.pepper_variable}",
            os.environ.get(auth.pepper_variable),
        )
        if not text:
            raise ConfigError([f"server.auth.{place} is not set"])
    else:
        assert auth.pepper_file is not None
        place, text = f"pepper_file: {auth.pepper_file}", _read(auth.pepper_file, "pepper_file")
    peppers = text.split()
    if not peppers or any(len(each) < LEAST_PEPPER for each in peppers):
        wrong = f"a pepper has {LEAST_PEPPER} characters at least, such as those of `openssl rand -hex 32`"
        raise ConfigError([f"server.auth.{place}: {wrong}"])
    return tuple(each.encode() for each in peppers)


def _read(path: Path, setting: str) -> str:
    try:
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise ConfigError([f"server.auth.{setting}: {path}: cannot be read: {reason}"]) from None


async def _ended(task: asyncio.Task[None]) -> None:
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
