"""Dead letters as they are read back: a letter with the event's bytes, or NotALetterError."""

from service.dlq.letter import Letter, NotALetterError


def run(data: bytes) -> None:
    """A record."""
    try:
        letter = Letter.parse(data)
    except NotALetterError as error:
        assert 0 < len(str(error)) < 1000
        return
    assert letter.size == len(data)
    assert isinstance(letter.body, bytes)
    assert letter.name
