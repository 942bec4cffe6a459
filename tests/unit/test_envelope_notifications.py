"""Notifications of AWS services: the identity of each event, and what comes through another envelope."""

from typing import Any

import orjson
import pytest
from pydantic import ValidationError

from service.codecs.draft import Draft, Refusal
from service.envelopes.contract import Message, Skip, SkipReason
from tests.contract.goldens import build
from tests.unit.test_envelope_cloudevents import ONE, decoded, draft, reason
from tests.unit.test_envelope_databases import of

RECORD: dict[str, Any] = {
    "eventSource": "aws:s3",
    "awsRegion": "eu-west-1",
    "eventTime": "2026-01-31T12:00:00.000Z",
    "eventName": "ObjectRemoved:Delete",
    "responseElements": {"x-amz-request-id": "R", "x-amz-id-2": "H"},
    "s3": {"bucket": {"name": "b"}, "object": {"key": "red+fl%C3%BCwer%2B.jpg", "sequencer": "00AB"}},
}
NOTICE = {"Type": "Notification", "MessageId": "m-1", "TopicArn": "arn:aws:sns:eu-west-1:123456789012:t"}
EVENT = {"id": "e", "source": "shop", "detail-type": "Order Placed", "detail": {"n": 1}}


def s3(*records: dict[str, Any]) -> list[Draft]:
    found = list(build("s3_notification").decode(of({"Records": records}, "k")))
    return [each for each in found if isinstance(each, Draft)]


def with_object(**members: Any) -> dict[str, Any]:
    return RECORD | {"s3": RECORD["s3"] | {"object": RECORD["s3"]["object"] | members}}


def test_an_objects_key_is_decoded_beside_a_record_that_is_left_as_it_is() -> None:
    (found,) = s3(RECORD)
    assert found.body == orjson.dumps(RECORD)
    assert found.attributes["subject"] == "red flüwer+.jpg"
    assert found.key == "b/red flüwer+.jpg"
    assert found.attributes["id"] == "b/red+fl%C3%BCwer%2B.jpg//00AB/ObjectRemoved:Delete"


def test_objects_that_one_request_deletes_are_several_events() -> None:
    ids = {each.attributes["id"] for each in s3(RECORD, with_object(key="other"), with_object(sequencer="00AC"))}
    assert len(ids) == 3


def test_an_event_without_a_sequencer_is_told_from_others_by_its_request() -> None:
    (found,) = s3(with_object(sequencer=None))
    assert found.attributes["id"].endswith("//R.H.2026-01-31T12:00:00.000Z/ObjectRemoved:Delete")
    (without,) = s3(with_object(sequencer=None) | {"responseElements": {}, "eventTime": ""})
    assert not without.attributes


def test_an_id_that_is_too_long_is_its_hash() -> None:
    (found,) = s3(with_object(key="%C3%BC" * 400))
    assert len(found.attributes["id"]) == 64
    assert found.attributes["subject"] == "ü" * 400


def test_a_key_that_is_no_text_is_not_decoded() -> None:
    assert [s3(with_object(key=key))[0].key for key in ("%FF", "%zz")] == ["b/%FF", "b/%zz"]
    assert "subject" not in s3(with_object(key="a%0Ab"))[0].attributes


def test_a_record_that_is_broken_leaves_those_around_it_good() -> None:
    value = b'{"Records":[' + orjson.dumps(RECORD) + b',{"s3":{}},7]}'
    first, *others = build("s3_notification").decode(Message(value, {}))
    assert isinstance(first, Draft)
    assert [each.body for each in others if isinstance(each, Refusal)] == [b'{"s3":{}}', b"7"]


def notice(text: str, inner: str = "json", **members: Any) -> list[Any]:
    return list(build("sns", inner=inner).decode(of(NOTICE | {"Message": text} | members, "group")))


def test_a_published_cloudevent_keeps_its_own_identity() -> None:
    (found,) = notice(ONE.decode(), "cloudevents")
    assert (found.attributes["id"], found.body, found.key) == ("7", ONE, "group")


def test_message_attributes_are_headers_so_that_binary_events_come_through() -> None:
    attributes = {f"ce_{name}": {"Type": "String", "Value": "1.0"} for name in ("id", "source", "type", "specversion")}
    attributes["Content-Type"] = {"Type": "Binary", "Value": "dGV4dC9wbGFpbg=="}
    attributes |= {"odd": {"Type": "Binary", "Value": "?"}}
    (found,) = notice("hello", "cloudevents", MessageAttributes=attributes | {"odder": 7})
    assert (found.body, found.content_type, found.attributes["id"]) == (b"hello", "text/plain", "1.0")


def test_several_events_of_one_notification_are_told_apart() -> None:
    assert [each.attributes["id"] for each in notice('{"n":1}\n{"n":2}', "ndjson")] == ["m-1/0", "m-1/1"]
    assert [each.attributes["id"] for each in notice('{"n":1}', "ndjson", Subject="hi")] == ["m-1"]


def test_s3s_notifications_come_through_a_topic() -> None:
    (found,) = notice(orjson.dumps({"Records": [RECORD]}).decode(), "s3_notification")
    assert found.attributes["type"] == "com.amazonaws.s3.ObjectRemoved:Delete"
    assert notice('{"Event":"s3:TestEvent"}', "s3_notification") == [Skip(SkipReason.TEST)]


def test_a_published_message_that_is_refused_is_kept_with_its_notification() -> None:
    (found,) = notice("{")
    assert found.body == orjson.dumps(NOTICE | {"Message": "{"})
    assert found.error.detail.startswith("the published message: not JSON")


def test_what_is_no_notification_is_refused() -> None:
    assert "raw message delivery" in reason("sns", of({"n": 1}))
    assert "SubscribeURL" in reason("sns", of(NOTICE | {"Type": "SubscriptionConfirmation", "Message": "visit"}))


def test_an_inner_codec_that_is_not_there_is_a_mistake_of_the_configuration() -> None:
    with pytest.raises(ValidationError, match="Did you mean 's3_notification'"):
        build("sns", inner="s3_notifications")


def test_an_event_of_a_bus_is_identified_by_its_own_members() -> None:
    found = draft("eventbridge", of(EVENT | {"time": "no time", "account": "123456789012"}, "k"))
    assert found.attributes == {
        "specversion": "1.0",
        "id": "e",
        "source": "shop",
        "type": "Order Placed",
        "account": "123456789012",
    }
    assert (found.data, found.key) == ({"n": 1}, "k")


def test_a_source_that_is_no_uri_reference_is_encoded() -> None:
    assert draft("eventbridge", of(EVENT | {"source": "my shop: eu"})).attributes["source"] == "my%20shop/%20eu"


@pytest.mark.parametrize("member", ["id", "source", "detail-type", "detail"])
def test_an_event_of_a_bus_has_all_its_members(member: str) -> None:
    found = decoded("eventbridge", of({name: value for name, value in EVENT.items() if name != member}))
    assert isinstance(found, Refusal)
    assert member in found.error.detail
