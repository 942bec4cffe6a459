"""The file and the environment: variables, overrides, and where each value stands."""

from pathlib import Path

import pytest

from service.config import find, load
from service.document import read
from service.errors import ConfigError
from tests.unit.written import SOUND, mistakes, write


def test_each_form_of_a_variable_is_replaced_in_plain_and_quoted_scalars_and_in_lists(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        """
        plain: ${NAME}
        inside: before-${NAME}-after-${NAME}
        quoted: "${NAME}"
        single: '${NAME}'
        block: |
          a ${NAME}
        list:
          - ${NAME}
          - {deep: "${NAME}"}
        default: ${UNSET:-fallback}
        default_of_empty: ${EMPTY:-fallback}
        no_default: ${UNSET:-}
        unneeded: ${NAME:-fallback}
        demanded: ${NAME:?say who}
        empty: a${EMPTY}b
        dollar: $$5 and $${NAME}
        lone: costs $5
        """,
    )
    tree = read(path, {"NAME": "x", "EMPTY": ""})
    assert tree.mistakes == []
    assert tree.value == {
        "plain": "x",
        "inside": "before-x-after-x",
        "quoted": "x",
        "single": "x",
        "block": "a x\n",
        "list": ["x", {"deep": "x"}],
        "default": "fallback",
        "default_of_empty": "fallback",
        "no_default": "",
        "unneeded": "x",
        "demanded": "x",
        "empty": "ab",
        "dollar": "$5 and ${NAME}",
        "lone": "costs $5",
    }


def test_what_a_variable_holds_is_not_searched_for_variables(tmp_path: Path) -> None:
    tree = read(write(tmp_path, "value: ${OUTER}"), {"OUTER": "${INNER} $$", "INNER": "x"})
    assert tree.value == {"value": "${INNER} $$"}


def test_a_replaced_value_is_no_yaml(tmp_path: Path) -> None:
    assert read(write(tmp_path, "value: ${V}"), {"V": "{a: 1}"}).value == {"value": "{a: 1}"}


@pytest.mark.parametrize(
    ("value", "environment", "message"),
    [
        ("${NAME}", {}, "environment variable NAME is not set"),
        ("${NAME:?set it to the region}", {}, "environment variable NAME is not set: set it to the region"),
        ("${NAME:?set it}", {"NAME": ""}, "environment variable NAME is not set: set it"),
        ("${NAME-x}", {}, "`${` begins a variable; write ${NAME}, ${NAME:-default}, or $$ for a dollar"),
        ("${}", {}, "`${` begins a variable; write ${NAME}, ${NAME:-default}, or $$ for a dollar"),
        ("${1A}", {}, "`${` begins a variable; write ${NAME}, ${NAME:-default}, or $$ for a dollar"),
        ("${NAME:-${OTHER}}", {"OTHER": "x"}, "${NAME:-...} holds another variable; that is not replaced"),
    ],
)
def test_a_variable_that_cannot_be_replaced_is_named_with_its_place(
    tmp_path: Path, value: str, environment: dict[str, str], message: str
) -> None:
    tree = read(write(tmp_path, f'\nlist:\n  - fine\n  - "{value}"\n'), environment)
    assert tree.mistakes == [f"{tmp_path}/penstock.yaml:3: list[1]: {message}"]


def test_a_number_may_come_from_a_variable(tmp_path: Path) -> None:
    config = load(write(tmp_path, "server: {port: '${PORT}'}" + SOUND), {"PORT": "9090"})
    assert config.server.port == 9090


def test_a_value_is_overridden_from_the_environment(tmp_path: Path) -> None:
    environment = {
        "PENSTOCK__SERVER__PORT": "9090",
        "PENSTOCK__SINKS__DATA__CAPACITY": "2MiB",
        "PENSTOCK__ROUTES__ORDERS__TYPES": "[com.example.a, com.example.b.*]",
        "PENSTOCK__ROUTES__ORDERS__DEAD_LETTER": "{sink: dead, invalid: true}",
        "PENSTOCK__SINKS__DEAD__TYPE": "memory",
    }
    config = load(write(tmp_path, SOUND), environment)
    assert config.server.port == 9090
    assert config.sinks["data"].model_dump()["capacity"] == 2 * 2**20
    assert config.routes["orders"].types == ("com.example.a", "com.example.b.*")
    assert config.routes["orders"].dead_letter is not None
    assert config.routes["orders"].dead_letter.invalid
    assert config.sinks["dead"].type == "memory"


def test_an_override_wins_over_the_file_and_may_be_written_in_any_case(tmp_path: Path) -> None:
    config = load(write(tmp_path, "server: {port: 1}" + SOUND), {"PENSTOCK__server__Port": "9090"})
    assert config.server.port == 9090


def test_an_override_fills_a_section_that_the_file_left_empty(tmp_path: Path) -> None:
    config = load(write(tmp_path, "server:\n" + SOUND), {"PENSTOCK__SERVER__PORT": "9090"})
    assert config.server.port == 9090


def test_an_override_stays_text_where_it_only_looks_like_a_list(tmp_path: Path) -> None:
    config = load(write(tmp_path, SOUND), {"PENSTOCK__ADMIN__TOKEN": "[not a list"})
    assert config.admin.token is not None
    assert config.admin.token.get_secret_value() == "[not a list"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("PENSTOCK__SERVER__PROT", "server.prot: is not a setting; did you mean `port`?"),
        ("PENSTOCK__SERVR__PORT", "servr: is not a setting; did you mean `server`?"),
        ("PENSTOCK__SINKS__OTHER__STREAM", "sinks.other.type: is missing"),
        ("PENSTOCK__ROUTES__ORDERS__TO__0", "routes.orders.to is not a mapping, nothing is below it"),
        ("PENSTOCK__", "write PENSTOCK__SINKS__ORDERS__STREAM=..."),
        ("PENSTOCK__SERVER__", "write PENSTOCK__SINKS__ORDERS__STREAM=..."),
        ("PENSTOCK__SERVER__PORT", "server.port: must be a whole number"),
    ],
)
def test_an_override_that_is_wrong_is_named(tmp_path: Path, name: str, message: str) -> None:
    found = mistakes(tmp_path, SOUND, {name: "nonsense"})
    assert len(found) == 1
    assert found[0].startswith(f"environment variable {name}: {message}")


def test_variables_that_kubernetes_injects_are_no_settings(tmp_path: Path) -> None:
    injected = {"PENSTOCK_PORT": "tcp://10.0.0.1:8080", "PENSTOCK_SERVICE_HOST": "10.0.0.1"}
    assert load(write(tmp_path, SOUND), injected).server.port == 8080


def test_a_key_that_stands_twice_is_a_mistake_at_its_second_place(tmp_path: Path) -> None:
    found = mistakes(tmp_path, "server:\n  port: 1\n  port: 2\n" + SOUND)
    assert found == ["penstock.yaml:3: server.port: stands here twice"]


def test_a_key_that_is_no_text_is_a_mistake(tmp_path: Path) -> None:
    found = mistakes(tmp_path, SOUND + "  on: {to: [data]}\n  2024-01-01: {to: [data]}\n  [a]: {to: [data]}\n")
    assert found == [f"penstock.yaml:{line}: routes: a key must be text; quote it" for line in (5, 6, 7)]


def test_aliases_and_merge_keys_are_followed_and_own_keys_win(tmp_path: Path) -> None:
    config = load(
        write(
            tmp_path,
            """
            sinks:
              first: &slow {type: memory, capacity: 1MiB, patience: 17s}
              other: &quick {type: memory, capacity: 2MiB, call_timeout: 1s}
              second: {capacity: 3MiB, <<: *slow}
              third: {<<: [*quick, *slow]}
              fourth: *slow
            routes:
              orders: {to: &all [first, second]}
              copies: {to: *all}
            """,
        ),
        {},
    )
    sinks = {name: sink.model_dump() for name, sink in config.sinks.items()}
    assert (sinks["second"]["capacity"], sinks["second"]["patience"]) == (3 * 2**20, 17.0)
    assert (sinks["third"]["capacity"], sinks["third"]["patience"]) == (2 * 2**20, 17.0)
    assert sinks["fourth"] == sinks["first"]
    assert config.routes["copies"].to == config.routes["orders"].to


def test_a_mistake_below_an_overridden_merge_names_the_line_of_its_own_value(tmp_path: Path) -> None:
    found = mistakes(
        tmp_path,
        """
        sinks:
          first: &first {type: memory, patience: 17s}
          second:
            <<: *first
            patience: nonsense
        routes:
          orders: {to: [first, second]}
        """,
    )
    assert len(found) == 1
    assert found[0].startswith("penstock.yaml:5: sinks.second.patience: ")


def test_a_merge_of_no_mapping_is_a_mistake(tmp_path: Path) -> None:
    found = mistakes(tmp_path, "server: {<<: nothing}" + SOUND)
    assert found == ["penstock.yaml:1: server.<<: must name a mapping"]


@pytest.mark.parametrize(
    "text",
    [
        "a: &a [x, x, x, x, x, x, x, x, x, x]\n"
        + "".join(f"{n}: &{n} [{', '.join([f'*{p}'] * 10)}]\n" for p, n in zip("abcde", "bcdef", strict=True)),
        "a: &a [*a, *a]\n",
    ],
    ids=["tenfold, six times", "of itself"],
)
def test_aliases_cannot_make_more_values_than_fit(tmp_path: Path, text: str) -> None:
    tree = read(write(tmp_path, text), {})
    assert any("more than 100,000 values" in mistake for mistake in tree.mistakes)


def test_a_deep_file_is_refused(tmp_path: Path) -> None:
    assert any("deeper" in m for m in read(write(tmp_path, "a: " + "[" * 50 + "]" * 50), {}).mistakes)
    assert any("too deeply" in m for m in read(write(tmp_path, "a: " + "[" * 700 + "]" * 700), {}).mistakes)


@pytest.mark.parametrize(
    ("text", "line", "hint"),
    [
        ("a: 1\naws: {region: ${AWS_REGION}}\n", 2, True),
        ("a: 1\nb: [${ONE}, two]\n", 2, True),
        ("a: {b: 1\n", 2, False),
        ("a: 1\n\tb: 2\n", 2, False),
        ("a: 1\n---\nb: 2\n", 2, False),
    ],
)
def test_what_is_no_yaml_is_told_with_its_line(tmp_path: Path, text: str, line: int, hint: bool) -> None:
    (mistake,) = mistakes(tmp_path, text)
    assert mistake.startswith(f"penstock.yaml:{line}: is not YAML: ")
    assert ('inside {...} and [...] a variable must be quoted: "${NAME}"' in mistake) == hint


@pytest.mark.parametrize("value", ["!secret hunter2", "!!python/object:os.system hunter2", "2024-99-99", "0x_"])
def test_a_value_that_yaml_cannot_build_is_a_mistake_that_does_not_quote_it(tmp_path: Path, value: str) -> None:
    (mistake,) = mistakes(tmp_path, f"admin: {{token: {value}}}" + SOUND)
    assert mistake.startswith("penstock.yaml:1: admin.token: ")
    assert "quote the value" in mistake
    assert value.split()[-1] not in mistake


def test_a_file_that_cannot_be_read_is_a_mistake(tmp_path: Path) -> None:
    for path, reason in ((tmp_path / "none.yaml", "No such file or directory"), (tmp_path, "Is a directory")):
        with pytest.raises(ConfigError) as caught:
            load(path, {})
        assert caught.value.mistakes == [f"{path}: cannot be read: {reason}"]


def test_a_file_that_is_no_utf8_or_holds_control_characters_is_a_mistake(tmp_path: Path) -> None:
    path = tmp_path / "penstock.yaml"
    for content, reason in ((b"a: \xff", "is not UTF-8"), (b"a: \x01", "is not YAML: it holds a character")):
        path.write_bytes(content)
        with pytest.raises(ConfigError) as caught:
            load(path, {})
        assert caught.value.mistakes[0].startswith(f"{path}: {reason}")


@pytest.mark.parametrize("text", ["[a, b]", "just text"])
def test_a_file_that_is_no_mapping_is_a_mistake(tmp_path: Path, text: str) -> None:
    assert mistakes(tmp_path, text) == [
        "penstock.yaml:1: the configuration: must be a mapping with keys such as `sinks:` and `routes:`"
    ]


def test_an_empty_file_lacks_routes(tmp_path: Path) -> None:
    assert mistakes(tmp_path, "# nothing\n") == ["penstock.yaml: routes: there must be at least one route"]


def test_the_file_is_found_in_this_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert find(None, {}) is None
    write(tmp_path, SOUND)
    assert find(None, {}) == Path("penstock.yaml")
    assert find(None, {"PENSTOCK_CONFIG": "named.yaml"}) == Path("named.yaml")
    assert find(Path("given.yaml"), {"PENSTOCK_CONFIG": "named.yaml"}) == Path("given.yaml")
