"""What messages of SQS say of a distributed trace: in an attribute of their own, or in the one of AWS X-Ray."""

import json

from service.codecs.tracecontext import of_event
from service.event import Trace
from tests.contract.fake_sqs import FakeSqs
from tests.unit.test_sqs_source import bodies, receiving

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
OTHER = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00"
XRAY = "Root=1-4bf92f35-77b34da6a3ce929d0e0e4736;Parent=00f067aa0ba902b7;Sampled=0"


async def test_what_messages_say_goes_on_with_their_events() -> None:
    async with FakeSqs() as sqs, receiving(sqs, receivers=1) as it:
        await sqs.send(bodies(1), attributes={"traceparent": PARENT, "tracestate": "a=1"})
        await sqs.send(bodies(2))
        await sqs.until(lambda: len(sqs.deleted) == 2)
        sqs.xray = XRAY
        await sqs.send(bodies(3), attributes={"traceparent": PARENT})
        await sqs.send(bodies(4))
        await sqs.until(lambda: len(sqs.deleted) == 4)
        said = {json.loads(event.body)["number"]: of_event(event) for event in it.good.taken}
    assert [said[number] for number in (1, 2, 3, 4)] == [Trace(PARENT, "a=1"), None, Trace(PARENT), Trace(OTHER)]
