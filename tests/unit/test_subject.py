"""Whom a client's certificate names."""

from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.x509.oid import NameOID, ObjectIdentifier

from service.tls.subject import subject_of
from tests.certificates import DAY, Authority

NOW = datetime.now(UTC)
AUTHORITY = Authority()


def attribute(oid: ObjectIdentifier, value: str) -> x509.NameAttribute[str]:
    return x509.NameAttribute(oid, value, _validate=False)


def named(*parts: list[x509.NameAttribute[str]], uris: tuple[str, ...] = ()) -> str | None:
    """The name in a certificate whose subject has these parts, each of one or more attributes."""
    subject = x509.Name([x509.RelativeDistinguishedName(each) for each in parts])
    alternatives = [x509.UniformResourceIdentifier(uri) for uri in uris]
    return subject_of(AUTHORITY.client(subject, DAY, alternatives).der, NOW)


COUNTRY, COMPANY = NameOID.COUNTRY_NAME, NameOID.ORGANIZATION_NAME
OU, CN = NameOID.ORGANIZATIONAL_UNIT_NAME, NameOID.COMMON_NAME


def test_the_subject_is_written_as_rfc_4514_has_it_the_last_part_first() -> None:
    found = named([attribute(COUNTRY, "DE")], [attribute(COMPANY, "Example")], [attribute(CN, "shop")])
    assert found == "CN=shop,O=Example,C=DE"


def test_a_part_of_several_attributes_is_joined_by_a_plus_in_the_order_of_the_certificate() -> None:
    # DER sorts a set by its encoding, so that a certificate has one order, whoever made it
    one = named([attribute(OU, "web"), attribute(CN, "shop")])
    other = named([attribute(CN, "shop"), attribute(OU, "web")])
    assert one == other == "OU=web+CN=shop"


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ("shop,CN=admin", r"CN=shop\,CN=admin"),
        ("shop+OU=admin", r"CN=shop\+OU=admin"),
        ('a"b\\c;d<e>f', r"CN=a\"b\\c\;d\<e\>f"),
        (" shop ", r"CN=\ shop\ "),
        ("#shop", r"CN=\#shop"),
        ("shop\0", r"CN=shop\00"),
        ("Straße", "CN=Straße"),
    ],
)
def test_what_has_a_meaning_in_a_name_is_escaped_in_a_value(value: str, written: str) -> None:
    assert named([attribute(CN, value)]) == written


def test_an_attribute_without_a_short_name_stands_there_by_its_number() -> None:
    assert named([attribute(ObjectIdentifier("2.5.4.5"), "7")], [attribute(CN, "shop")]) == "CN=shop,2.5.4.5=7"


def test_a_spiffe_id_goes_before_a_subject_that_all_workloads_share() -> None:
    shared = [attribute(COUNTRY, "US")], [attribute(COMPANY, "SPIRE")]
    assert named(*shared, uris=("spiffe://example.org/shop",)) == "spiffe://example.org/shop"
    assert named(uris=("spiffe://example.org/shop",)) == "spiffe://example.org/shop"
    assert named(*shared, uris=("https://example.org/shop",)) == "O=SPIRE,C=US"


def test_several_uris_of_which_one_is_a_spiffe_id_name_nobody() -> None:
    assert named([attribute(CN, "shop")], uris=("spiffe://a/b", "spiffe://a/c")) is None
    assert named([attribute(CN, "shop")], uris=("spiffe://a/b", "https://a/c")) is None


def test_names_of_hosts_name_nobody() -> None:
    certificate = AUTHORITY.client(x509.Name([]), DAY, [x509.DNSName("shop.example.com")])
    assert subject_of(certificate.der, NOW) is None


def test_what_is_out_of_date_names_nobody() -> None:
    now = datetime.now(UTC)  # not when this file was collected: tests of others may have run since
    der = AUTHORITY.client("shop", DAY).der
    assert subject_of(der, now + DAY - timedelta(minutes=1)) == "CN=shop"
    assert subject_of(der, now + DAY + timedelta(minutes=1)) is None
    assert subject_of(der, now - 3 * DAY) is None


def test_what_is_no_certificate_names_nobody() -> None:
    assert subject_of(b"\x30\x03\x02\x01\x01", NOW) is None
