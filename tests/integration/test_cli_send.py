"""`penstock key` and `penstock send`, against a running service with keys."""

import json
import re
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.command import Serving, penstock
from tests.integration.test_cli import SCHEMA, write


class Shop:
    """A running service with keys, and the key of a producer."""

    def __init__(self, serving: Serving, key: str, folder: Path) -> None:
        self.serving = serving
        self.key = key
        self.folder = folder


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    folder = tmp_path_factory.mktemp("shop")
    (folder / "pepper").write_text("0123456789abcdef" * 2)
    made = penstock("key", "shop", "--route", "orders", "--pepper-file", "pepper", folder=folder)
    key, entry = made.stdout.splitlines()[0], made.stdout.splitlines()[-1]
    (folder / "keys.yaml").write_text(f"keys:\n{entry}\n")
    (folder / "order.json").write_text(SCHEMA)
    write(
        folder,
        """
        server: {auth: {keys_file: keys.yaml, pepper_file: pepper}}
        sinks: {data: {type: memory}}
        routes:
          orders: {to: [data], schema: {type: jsonschema, file: order.json}}
          other: {to: [data]}
        """,
    )
    with Serving("serve", folder=folder) as serving:
        yield Shop(serving, key, folder)
        serving.signal(signal.SIGTERM)
        serving.end_well()


def test_the_key_is_shown_once_and_only_its_hash_is_kept(shop: Shop) -> None:
    kept = (shop.folder / "keys.yaml").read_text()
    assert shop.key.startswith("shop.")
    assert shop.key.partition(".")[2] not in kept
    assert re.search(r"\{name: shop, hmac_sha256: [0-9a-f]{64}, routes: \[orders\]\}", kept)
    assert penstock("key", "no spaces", folder=shop.folder).returncode == 1


def test_only_the_key_opens_its_route(shop: Shop) -> None:
    assert shop.serving.post("orders", {"total": 1})[0] == 401
    assert shop.serving.post("orders", {"total": 1}, "shop.wrong")[0] == 401
    assert shop.serving.post("other", {"total": 1}, shop.key)[0] == 403
    assert shop.serving.post("orders", {"total": 1}, shop.key)[0] == 200


@pytest.mark.parametrize(
    ("name", "content", "events"),
    [
        ("one.json", '{"total": 1}', 1),
        ("many.json", '[{"total": 1}, {"total": 2}]', 2),
        ("lines.ndjson", '{"total": 1}\n{"total": 2}\n{"total": 3}\n', 3),
        ("lines.jsonl", '{"total": 1}\n', 1),
    ],
)
def test_a_file_is_sent_and_each_event_is_answered_for(shop: Shop, name: str, content: str, events: int) -> None:
    (shop.folder / name).write_text(content)
    done = penstock(
        "send", "orders", name, "--url", shop.serving.url, folder=shop.folder, more={"PENSTOCK_KEY": shop.key}
    )
    assert done.returncode == 0
    assert done.stderr == "200\n"
    assert [result["status"] for result in json.loads(done.stdout)["results"]] == ["delivered"] * events


def test_standard_input_is_sent(shop: Shop) -> None:
    done = penstock(
        *("send", "orders", "-", "--content-type", "application/x-ndjson", "--url", shop.serving.url),
        folder=shop.folder,
        input=b'{"total": 1}\n{"total": 2}\n',
        more={"PENSTOCK_KEY": shop.key},
    )
    assert done.returncode == 0
    assert len(json.loads(done.stdout)["results"]) == 2


@pytest.mark.parametrize(
    ("body", "key", "status"),
    [
        (b"{}", "right", 422),
        (b'[{"total": 1}, {}]', "right", 207),
        (b'{"total": 1}', "wrong", 401),
        (b"{", "right", 400),
    ],
)
def test_anything_but_all_delivered_is_a_failure(shop: Shop, body: bytes, key: str, status: int) -> None:
    done = penstock(
        *("send", "orders", "-", "--url", shop.serving.url),
        folder=shop.folder,
        input=body,
        more={"PENSTOCK_KEY": shop.key if key == "right" else "shop.wrong"},
    )
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith(str(status))
    assert json.loads(done.stdout)


def test_without_a_service_there_is_a_sentence(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    done = penstock("send", "orders", "-", "--url", url, folder=tmp_path, input=b"{}")
    assert done.returncode == 1
    refused = rf"{re.escape(url)}: no answer: .*Connection refused; is the service running there\?\n"
    assert re.fullmatch(refused, done.stderr)


@pytest.mark.parametrize("url", ["ftp://127.0.0.1", "127.0.0.1:8080", "http://127.0.0.1:port"])
def test_an_address_that_is_none_is_a_sentence(tmp_path: Path, url: str) -> None:
    done = penstock("send", "orders", "-", "--url", url, folder=tmp_path, input=b"{}", more={"PENSTOCK_KEY": "a\nb"})
    assert done.returncode == 1
    assert done.stderr.startswith(f"{url}: no answer: ")
    assert done.stderr.count("\n") == 1


def test_a_file_that_is_not_there_is_a_sentence(tmp_path: Path) -> None:
    done = penstock("send", "orders", "none.json", folder=tmp_path)
    assert (done.returncode, done.stderr) == (1, "none.json: cannot be read: No such file or directory\n")
