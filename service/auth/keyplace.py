"""Where the API keys are: a file, a variable or a secret, read again while the service runs."""

import asyncio
import logging
import os
import random
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path
from time import time
from typing import Any, Final, Self

from service.auth.keys import LEAST_PEPPER, Keys, read_keys
from service.aws.settings import AwsConfig
from service.config.auth import Auth
from service.errors import ConfigError
from service.tasks import ended
from service.telemetry.meter import Meter
from service.threads import off_loop
from service.watched import POLL_SECONDS, Watched, content

log = logging.getLogger(__name__)

WHAT: Final = "keys"
"""Label of the metrics."""
CALL_SECONDS: Final = 4.0
AGAIN_SECONDS: Final = 10.0
"""After which a secret that could not be read is asked for again, if not before."""
MOST_CHARACTERS: Final = 4 * 2**20
"""Of a list of keys: some ten thousand."""


_Version = tuple[str, tuple[bytes, ...]]
"""The text of a list, and the peppers."""


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
        self._read: _Version | None = None
        self._failing = False
        self._first = asyncio.Event()
        self._stack = AsyncExitStack()
        self.now: Keys | None = None
        """None before a secret was read."""
        paths = [path for path in (auth.keys_file, auth.pepper_file) if path is not None]
        self._watched = Watched(paths, self._read_again, POLL_SECONDS) if paths else None
        self._peppers = peppers_of(auth)
        """As they were when the files last changed: a secret is read at any time, also while somebody writes them."""
        self._renewing = asyncio.Lock()
        if auth.keys_secret is None:
            self._use(self._parsed(self._text_of_place()))

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            if self._watched is not None:
                await stack.enter_async_context(self._watched)
            if self._auth.keys_secret is not None:
                asking = asyncio.create_task(self._ask(), name="secret of API keys")
                stack.push_async_callback(ended, asking)
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

    def _parsed(self, text: str) -> tuple[Keys, _Version] | None:
        """The keys in `text`; None if they are those that there are. Blocks, for a long list some seconds. Raises
        ConfigError."""
        version = text, self._peppers
        if version == self._read:
            return None
        if len(text) > MOST_CHARACTERS:
            raise ConfigError([f"{self._place}: has more than {MOST_CHARACTERS} characters"])
        return read_keys(text, self._place, version[1], self._routes, self._accepting), version

    def _use(self, found: tuple[Keys, _Version] | None) -> bool:
        """Take these keys from now on. Whether they are others."""
        self._meter.auth_refreshed[WHAT] = time()
        if found is not None:
            self.now, self._read = found
        return found is not None

    @property
    def _place(self) -> str:
        auth = self._auth
        if auth.keys_secret is not None:
            return f"secret {auth.keys_secret}"
        return f"environment variable {auth.keys_variable}" if auth.keys_variable else str(auth.keys_file)

    async def _read_again(self) -> None:
        """A file has changed."""
        try:
            async with self._renewing:
                self._peppers = await off_loop(peppers_of, self._auth)
                if self._auth.keys_secret is None:
                    await self._renew(await off_loop(self._text_of_place))
                elif self._read is not None:
                    await self._renew(self._read[0])
        except Exception as error:  # noqa: BLE001 - whatever it is, the old keys stay, and a later version is read
            self._failed(_words(error))

    async def _renew(self, text: str) -> None:
        if self._use(await off_loop(self._parsed, text)):
            log.info("API keys were read", extra={"place": self._place, "keys": len(self.now or ())})
            self._changed()
        self._failing = False

    def _failed(self, detail: str) -> None:
        self._meter.auth_refresh_failures[WHAT] += 1
        if not self._failing:
            if self.now is not None:
                message = "API keys cannot be read: the old ones are kept"
            else:
                message = "API keys cannot be read: nobody is known before they are there"
            log.error(message, extra={"place": self._place, "detail": detail[:500]})
        self._failing = True

    # --- a secret

    async def _ask(self) -> None:
        """Read the secret again and again."""
        while True:
            seconds = self._auth.keys_refresh
            try:
                text = await self._secret()
                async with self._renewing:
                    await self._renew(text)
            except Exception as error:  # noqa: BLE001 - the SDK's are many; the old keys stay, and it is asked again
                self._failed(_words(error))
                seconds = min(seconds, AGAIN_SECONDS)
            self._first.set()
            await asyncio.sleep(seconds * random.uniform(0.8, 1.0))

    async def _secret(self) -> str:
        from service.aws import session  # the SDK, which a service without AWS need not load

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
        return content(path).decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise ConfigError([f"server.auth.{setting}: {path}: cannot be read: {reason}"]) from None


def _words(error: Exception) -> str:
    return "; ".join(error.mistakes) if isinstance(error, ConfigError) else f"{type(error).__name__}: {error}"
