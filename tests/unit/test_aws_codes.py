"""Every error code that the three services document has a reason; none is left to chance."""

import botocore.session
import pytest

from service.aws.codes import reason_of
from service.outcome import Reason

DOCUMENTED = {
    # Kinesis
    "ExpiredNextTokenException": Reason.UNAVAILABLE,
    "ResourceInUseException": Reason.MISCONFIGURED,
    "AccessDeniedException": Reason.ACCESS_DENIED,
    "DryRunOperationException": Reason.MISCONFIGURED,
    "InternalFailureException": Reason.INTERNAL,
    "InvalidArgumentException": Reason.MISCONFIGURED,
    "KMSAccessDeniedException": Reason.ENCRYPTION,
    "KMSDisabledException": Reason.ENCRYPTION,
    "KMSInvalidStateException": Reason.ENCRYPTION,
    "KMSNotFoundException": Reason.ENCRYPTION,
    "KMSOptInRequired": Reason.ENCRYPTION,
    "KMSThrottlingException": Reason.THROTTLED,
    "LimitExceededException": Reason.THROTTLED,
    "ProvisionedThroughputExceededException": Reason.THROTTLED,
    "ResourceNotFoundException": Reason.NOT_FOUND,
    # Firehose
    "InvalidKMSResourceException": Reason.ENCRYPTION,
    "InvalidSourceException": Reason.MISCONFIGURED,
    "ServiceUnavailableException": Reason.UNAVAILABLE,
    # SQS
    "BatchEntryIdsNotDistinct": Reason.MISCONFIGURED,
    "BatchRequestTooLong": Reason.MISCONFIGURED,
    "EmptyBatchRequest": Reason.MISCONFIGURED,
    "InvalidAddress": Reason.MISCONFIGURED,
    "InvalidAttributeName": Reason.MISCONFIGURED,
    "InvalidBatchEntryId": Reason.MISCONFIGURED,
    "InvalidSecurity": Reason.MISCONFIGURED,
    "KmsAccessDenied": Reason.ENCRYPTION,
    "KmsDisabled": Reason.ENCRYPTION,
    "KmsInvalidKeyUsage": Reason.ENCRYPTION,
    "KmsInvalidState": Reason.ENCRYPTION,
    "KmsNotFound": Reason.ENCRYPTION,
    "KmsOptInRequired": Reason.ENCRYPTION,
    "KmsThrottled": Reason.THROTTLED,
    "QueueDoesNotExist": Reason.NOT_FOUND,
    "RequestThrottled": Reason.THROTTLED,
    "TooManyEntriesInBatchRequest": Reason.MISCONFIGURED,
    "UnsupportedOperation": Reason.MISCONFIGURED,
}
"""The errors of the operations that the sinks call, in botocore's service models."""

BEYOND_THE_MODELS = {
    # of a single record or entry
    "InternalFailure": Reason.INTERNAL,
    "InternalError": Reason.INTERNAL,
    # SQS, query protocol
    "AWS.SimpleQueueService.NonExistentQueue": Reason.NOT_FOUND,
    "AWS.SimpleQueueService.QueueDeletedRecently": Reason.NOT_FOUND,
    "AWS.SimpleQueueService.BatchEntryIdsNotDistinct": Reason.MISCONFIGURED,
    "AWS.SimpleQueueService.BatchRequestTooLong": Reason.MISCONFIGURED,
    "AWS.SimpleQueueService.EmptyBatchRequest": Reason.MISCONFIGURED,
    "AWS.SimpleQueueService.InvalidBatchEntryId": Reason.MISCONFIGURED,
    "AWS.SimpleQueueService.TooManyEntriesInBatchRequest": Reason.MISCONFIGURED,
    "AWS.SimpleQueueService.UnsupportedOperation": Reason.MISCONFIGURED,
    "KMS.AccessDeniedException": Reason.ENCRYPTION,
    "KMS.DisabledException": Reason.ENCRYPTION,
    "KMS.InvalidKeyUsageException": Reason.ENCRYPTION,
    "KMS.InvalidStateException": Reason.ENCRYPTION,
    "KMS.NotFoundException": Reason.ENCRYPTION,
    "KMS.OptInRequired": Reason.ENCRYPTION,
    "KMS.ThrottlingException": Reason.THROTTLED,
    # common to all services
    "AccessDenied": Reason.ACCESS_DENIED,
    "NotAuthorized": Reason.ACCESS_DENIED,
    "OptInRequired": Reason.ACCESS_DENIED,
    "ExpiredToken": Reason.CREDENTIALS,
    "ExpiredTokenException": Reason.CREDENTIALS,
    "IncompleteSignature": Reason.CREDENTIALS,
    "InvalidClientTokenId": Reason.CREDENTIALS,
    "InvalidSignatureException": Reason.CREDENTIALS,
    "MissingAuthenticationToken": Reason.CREDENTIALS,
    "RequestExpired": Reason.CREDENTIALS,
    "SignatureDoesNotMatch": Reason.CREDENTIALS,
    "UnrecognizedClientException": Reason.CREDENTIALS,
    "ServiceUnavailable": Reason.UNAVAILABLE,
    "Throttling": Reason.THROTTLED,
    "ThrottlingException": Reason.THROTTLED,
    "RequestTimeout": Reason.TIMEOUT,
    "ValidationException": Reason.MISCONFIGURED,
    "ValidationError": Reason.MISCONFIGURED,
    "InvalidParameterValue": Reason.MISCONFIGURED,
    "SerializationException": Reason.MISCONFIGURED,
    "UnknownOperationException": Reason.MISCONFIGURED,
}

CALLED = {
    "kinesis": ["PutRecords", "DescribeStreamSummary", "ListShards"],
    "firehose": ["PutRecordBatch", "DescribeDeliveryStream"],
    "sqs": ["SendMessageBatch", "GetQueueUrl", "GetQueueAttributes"],
}


def test_the_table_names_every_error_of_the_operations_that_are_called() -> None:
    session = botocore.session.Session()
    models = {service: session.get_service_model(service) for service in CALLED}
    modelled = {
        shape.name
        for service, operations in CALLED.items()
        for operation in operations
        for shape in models[service].operation_model(operation).error_shapes
    }
    assert modelled == DOCUMENTED.keys()


@pytest.mark.parametrize(("code", "reason"), (DOCUMENTED | BEYOND_THE_MODELS).items())
def test_a_code_has_its_reason_whatever_the_status(code: str, reason: Reason) -> None:
    # one of the two statuses would give another reason to a code that is not known
    assert {reason_of(code, 404), reason_of(code, 503)} == {reason}


@pytest.mark.parametrize(
    ("status", "reason"),
    {
        200: Reason.INTERNAL,
        400: Reason.MISCONFIGURED,
        401: Reason.CREDENTIALS,
        403: Reason.ACCESS_DENIED,
        404: Reason.NOT_FOUND,
        408: Reason.TIMEOUT,
        413: Reason.MISCONFIGURED,
        429: Reason.THROTTLED,
        500: Reason.INTERNAL,
        502: Reason.INTERNAL,
        503: Reason.UNAVAILABLE,
        504: Reason.INTERNAL,
    }.items(),
)
def test_an_unknown_code_has_the_reason_of_its_status(status: int, reason: Reason) -> None:
    assert reason_of("NeverSeenBefore", status) is reason
