"""Firehose as the producer: each record is an event, or a dead letter, and the request is answered 200."""

from pathlib import Path

import pytest

from tests.http import firehose
from tests.http.client import chunked, connect, head
from tests.http.firehose import CONFIGURATION, ID, KEY, PATH, assert_form, letters, numbered, numbers, sent, whole
from tests.http.running import Service, running

pytestmark = pytest.mark.asyncio(loop_scope="module")

# --- what is taken


async def test_the_documented_request_is_answered_as_documented(service: Service) -> None:
    answer = await service.raw(whole(firehose.GOLDEN))
    assert_form(answer, 200)
    # its records are no JSON
    assert [(letter["body"], letter["reason"]) for letter in letters(service)] == [
        ("hello", "invalid"),
        ("hello world", "invalid"),
    ]


async def test_each_record_is_an_event_whose_id_is_its_place_in_the_request(service: Service) -> None:
    assert_form(await sent(service, numbered(range(3))), 200)
    taken = service.sinks["main"].taken
    assert [event.id for event in taken] == [f"{ID}/0", f"{ID}/1", f"{ID}/2"]
    assert numbers(service) == [0, 1, 2]
    assert {event.origin.source for event in taken} == {"stream"}


@pytest.mark.parametrize("framing", ["length", "chunked"])
async def test_a_compressed_body_is_read(service: Service, framing: str) -> None:
    content = firehose.zipped(firehose.body(numbered(range(100))))
    if framing == "length":
        answer = await service.raw(whole(content, {"Content-Encoding": "gzip"}))
    else:
        given = firehose.headers() | {"Content-Type": "application/json", "Content-Encoding": "gzip"}
        pieces = [content[start : start + 50] for start in range(0, len(content), 50)]
        answer = await service.raw(head("POST", PATH, given | {"Transfer-Encoding": "chunked"}) + chunked(pieces))
    assert_form(answer, 200)
    assert numbers(service) == list(range(100))


async def test_ten_thousand_records_are_all_taken_in_their_order(service: Service) -> None:
    assert_form(await sent(service, numbered(range(10_000))), 200)
    assert numbers(service) == list(range(10_000))


async def test_common_attributes_are_headers_of_each_message(service: Service) -> None:
    given = firehose.headers(**{"X-Tenant": "zoë", "other": "x"})
    answer = await service.post("/firehose/tenants", firehose.body(numbered([1, 2])), given)
    assert_form(answer, 200)
    assert [event.key for event in service.sinks["main"].taken] == ["zoë", "zoë"]


async def test_a_record_that_is_no_event_is_a_dead_letter_and_the_request_is_200(service: Service) -> None:
    assert_form(await sent(service, [b'{"number":1}', b"no json", b'{"number":2}']), 200)
    assert numbers(service) == [1, 2]
    [letter] = letters(service)
    assert (letter["body"], letter["id"], letter["reason"]) == ("no json", f"{ID}/1", "invalid")
    attributes = letter["attributes"]
    assert isinstance(attributes, dict)
    assert attributes["x-amz-firehose-source-arn"].endswith(":deliverystream/testStream")


@pytest.mark.parametrize(
    "record",
    [
        '{"data":"a"}',
        '{"data":"aGVsbG8"}',
        '{"data":"a-_="}',
        '{"data":"aGVs bG8="}',
        '{"data":1}',
        '{"data":null}',
        "{}",
        "[]",
        "null",
        '{"data":"aGVsbG8=","data":"aGVsbG8="}',
        '{"Data":"aGVsbG8="}',
    ],
)
async def test_what_is_no_record_is_a_dead_letter_with_its_bytes(service: Service, record: str) -> None:
    content = f'{{"requestId":"{ID}","timestamp":1,"records":[{record},{{"data":"eyJudW1iZXIiOjF9"}}]}}'
    assert_form(await service.raw(whole(content.encode())), 200)
    assert numbers(service) == [1]
    [letter] = letters(service)
    assert (letter["body"], letter["id"]) == (record, f"{ID}/0")


async def test_an_empty_record_is_a_dead_letter(service: Service) -> None:
    assert_form(await sent(service, [b"", b'{"number":1}']), 200)
    assert numbers(service) == [1]
    [letter] = letters(service)
    assert (letter["body"], letter["id"]) == ("", f"{ID}/0")


async def test_what_no_route_takes_is_among_the_dead_letters_of_the_source(service: Service) -> None:
    assert_form(await sent(service, numbered([1]), path="/firehose/typed"), 200)
    assert len(letters(service)) == 1


async def test_what_a_sink_refuses_is_a_dead_letter_and_the_request_is_200(service: Service) -> None:
    service.sinks["main"].reject(lambda event: b"2" in event.body)
    assert_form(await sent(service, numbered([1, 2, 3])), 200)
    assert numbers(service) == [1, 3]
    assert len(letters(service)) == 1


# --- who may send


@pytest.mark.parametrize(
    ("key", "status"),
    [(None, 401), ("", 403), (KEY + "x", 403), (KEY[:-1], 403), ("Basic " + KEY, 403), ("ü" * 20, 403)],
)
async def test_a_wrong_access_key_is_refused_and_says_so(service: Service, key: str | None, status: int) -> None:
    answer = await service.post(PATH, firehose.body(numbered([1])), firehose.headers(key=key))
    assert "Access-Key" in assert_form(answer, status)["errorMessage"]
    assert not service.sinks["main"].taken


async def test_of_several_keys_each_is_taken_while_they_are_rotated(tmp_path: Path) -> None:
    file = tmp_path / "keys"
    file.write_text(f"# the next one\nanother-key-of-the-stream\n\n{KEY}\n")
    text = CONFIGURATION.replace("access_keys: [correct-horse-battery-staple]", f"access_keys_file: {file}")
    async with running(text) as service:
        for key in (KEY, "another-key-of-the-stream"):
            answer = await service.post(PATH, firehose.body(numbered([1])), firehose.headers(key=key))
            assert_form(answer, 200)
        answer = await service.post(PATH, firehose.body(numbered([1])), firehose.headers(key="# the next one"))
        assert_form(answer, 403)


# --- the rest of the port


async def test_both_ports_stay_healthy_and_other_methods_are_refused(service: Service) -> None:
    assert_form(await sent(service, numbered([1])), 200)
    for url in (service.url, service.admin):
        async with await connect(url) as connection:
            for path in ("/livez", "/readyz"):
                await connection.send(head("GET", path, {}))
                assert (await connection.answer("GET")).status == 200
    async with await connect(service.url) as connection:
        await connection.send(head("GET", PATH, {}))
        assert (await connection.answer("GET")).status == 405
    assert (await service.raw(whole(firehose.GOLDEN, path="/firehose/unknown"))).status == 404
