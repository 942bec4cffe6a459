"""`make run` with a variable that cannot be used: one sentence, and nothing is started."""

import sys

import pytest

from examples.quickstart.__main__ import main


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--replay=-1"], "argument --replay: '-1' is not a number of flights, 0 or more: make run REPLAY=1000"),
        (["--replay=abc"], "argument --replay: 'abc' is not a number of flights, 0 or more: make run REPLAY=1000"),
        (["--replay="], "argument --replay: '' is not a number of flights, 0 or more: make run REPLAY=1000"),
        (["--port=99999"], "argument --port: '99999' is not a port, 1 to 65535: make run PORT=8080 ADMIN_PORT=9464"),
        (
            ["--admin-port=0"],
            "argument --admin-port: '0' is not a port, 1 to 65535: make run PORT=8080 ADMIN_PORT=9464",
        ),
        (["--port=9464"], "9464 cannot be both ports: make run PORT=8080 ADMIN_PORT=9464"),
    ],
)
def test_a_variable_that_cannot_be_used_is_told_in_a_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], options: list[str], told: str
) -> None:
    monkeypatch.setattr(sys, "argv", ["quickstart", *options])
    with pytest.raises(SystemExit) as caught:
        main()
    assert caught.value.code == 2
    assert capsys.readouterr().err == f"{told}\n"
