"""What a database URL may say, and that nothing shows its password."""

import re
from pathlib import Path

import pytest

from storage.sql import database_url
from storage.sql.database_url import parse_url, show_url
from storage.sql.postgres_address import DISPENSABLE, read_address
from storage.sql.sql_store import SqlStore, backend_for

pytest.importorskip("asyncpg")

HOST = "postgresql://u:s3cret@db.example:5433/stock"


@pytest.mark.parametrize(
    "url",
    [
        HOST,
        "postgresql+asyncpg://u:s3cret@/stock?host=/tmp",
        "postgres://u@h/d?password=s3cret",
        "postgresql://u@h/d?sslpassword=s3cret&sslcert=c&sslmode=require",
        "postgresql://u:s3cret%40with%2Fall%3A@h/d",
        "postgresql://u:%73%33cret@h/d",
        "postgresql://u:s3cret?s3cret#s3cret/s3cret:s3cret@h/d",
        "postgresql://u:s3cret@h:5432,i:5433/d?sslmode=require",
    ],
)
def test_what_is_shown_of_a_url_has_no_password(url: str) -> None:
    for shown in (show_url(url), repr(SqlStore(url)), repr(backend_for(url)), backend_for(url).name):
        assert "3cret" not in shown
        assert "u" in shown


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://u:s3@cret@h/d",  # SQLAlchemy takes the host for cret@h
        "postgresql://u:@s3cret@h/d",
        "postgresql://u:s3cret/d",
        "postgresql://u:s3cret@h:s3cret/d",
        "postgresql://u:s3cret@h:s3cret,i/d",
        "postgresql://u:s3@cret?s3=cret@h/d",
        "s3cret",
        "s3cret://u:s3cret@h/d",
        "postgresql://u:s3cret@h/d?connect_timeout=s3cret",
        "postgresql://u:s3cret@h/d?port=s3cret",
        "postgresql://u:s3cret@h/d?channel_binding=s3cret",
    ],
)
def test_a_url_that_is_refused_is_not_repeated(url: str) -> None:
    with pytest.raises(ValueError, match="the database URL") as refusal:
        SqlStore(url)
    assert "cret" not in str(refusal.value)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    ("written", "host", "port"),
    [
        ("h:5432,i:5433", "h,i", "5432,5433"),
        ("h:6000,i", "h,i", "6000,5432"),
        ("[::1]:6000,[::2]", "::1,::2", "6000,5432"),
    ],
)
def test_several_hosts_have_ports_of_their_own(written: str, host: str, port: str) -> None:
    url = parse_url(f"postgresql://u:s3cret@{written}/d?sslmode=require")
    assert url.query == {"host": host, "port": port, "sslmode": "require"}
    assert (url.username, url.password, url.database) == ("u", "s3cret", "d")


@pytest.mark.parametrize(
    ("parameters", "dsn"),
    [
        ("sslmode=verify-full&sslrootcert=/r.crt", f"{HOST}?sslmode=verify-full&sslrootcert=%2Fr.crt"),
        ("ssl=require", f"{HOST}?sslmode=require"),
        ("channel_binding=prefer&gssencmode=disable&client_encoding=UTF-8", HOST),
        ("channel_binding=disable&gssencmode=prefer", HOST),
        ("target_session_attrs=read-write", f"{HOST}?target_session_attrs=read-write"),
        ("application_name=shop&options=-csearch_path%3Dinv&connect_timeout=3", HOST),
        (
            "keepalives=1&keepalives_idle=9&tcp_user_timeout=9&sslsni=1&sslcompression=0&load_balance_hosts=disable",
            HOST,
        ),
        ("fallback_application_name=x&application_name=stockkeeper", HOST),
        ("host=a:1&host=b:2", f"{HOST}?host=a%3A1%2Cb%3A2"),
    ],
)
def test_libpqs_parameters_go_where_asyncpg_takes_them(parameters: str, dsn: str) -> None:
    address = read_address(database_url.parse_url(f"{HOST}?{parameters}"))
    assert address.dsn == dsn
    assert address.connect_timeout_s == (3 if "connect_timeout" in parameters else 10)
    assert address.settings == (
        {"application_name": "shop", "options": "-csearch_path=inv"}
        if "options" in parameters
        else {"application_name": "stockkeeper"}
    )


@pytest.mark.parametrize(
    ("parameter", "sentence"),
    [
        ("channel_binding=required", r"parameter channel_binding \(PGCHANNELBINDING\) must be disable, prefer or"),
        ("channel_binding=require&sslmode=disable", "parameters sslmode=disable and channel_binding=require exclude"),
        ("gssencmode=require", "parameter gssencmode must be prefer or disable"),
        ("load_balance_hosts=random", "parameter load_balance_hosts must be disable"),
        ("hostaddr=10.0.0.1", "parameter hostaddr is not supported"),
        ("statement_cache_size=0", "parameter statement_cache_size is not supported"),
        ("connect_timeout=soon", "parameter connect_timeout must be a number of seconds"),
        ("connect_timeout=-1", "parameter connect_timeout must be a number of seconds"),
        ("port=x", "parameter port must be a number"),
        ("target_session_attrs=master", "parameter target_session_attrs must be one of any, read-write"),
        ("sslrootcert=system&sslmode=require", "sslrootcert=system needs sslmode=verify-full"),
        ("sslrootcert=system&sslcert=c", "parameter sslcert cannot go with sslrootcert=system"),
    ],
)
def test_a_parameter_that_cannot_be_kept_is_refused_by_name(parameter: str, sentence: str) -> None:
    with pytest.raises(ValueError, match=f"the database URL's {sentence}"):
        SqlStore(f"{HOST}?{parameter}")


def test_an_address_in_place_of_a_host_is_connected_to() -> None:
    address = read_address(database_url.parse_url("postgresql:///stock?hostaddr=10.0.0.1&fallback_application_name=x"))
    assert (address.dsn, address.settings) == ("postgresql:///stock?host=10.0.0.1", {"application_name": "x"})


@pytest.mark.parametrize(
    ("url", "password", "schema", "whole"),
    [
        ("postgresql://u@h/d", "p@/:", "", "postgresql://u:p%40%2F%3A@h/d"),
        (
            "postgresql://u@h/d?sslmode=require",
            "",
            "inv",
            "postgresql://u@h/d?options=-csearch_path%3D%22inv%22&sslmode=require",
        ),
    ],
)
def test_a_password_and_a_schema_go_into_the_url(url: str, password: str, schema: str, whole: str) -> None:
    completed = database_url.complete_url(url, password, schema)
    assert database_url.parse_url(completed) == database_url.parse_url(whole)


@pytest.mark.parametrize(
    ("url", "password", "schema", "sentence"),
    [
        ("sqlite:///a.db", "p", "", "are for Postgres"),
        ("postgresql://u:s3cret@h/d", "p", "", "has a password already"),
        ("postgresql://u@h/d?password=s3cret", "p", "", "has a password already"),
        ("postgresql://u@h/d?options=-cx%3D1", "", "inv", "has options already"),
        ("postgresql://u@h/d", "", 'a"b', "must be letters, digits and _"),
    ],
)
def test_what_contradicts_the_url_is_refused(url: str, password: str, schema: str, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence) as refusal:
        database_url.complete_url(url, password, schema)
    assert "s3cret" not in str(refusal.value)


# ---- channel_binding


@pytest.fixture
def services(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file of services."""
    (tmp_path / "services").write_text(
        "[bound]\npassword=10%\nchannel_binding=require\n[verified]\nsslmode=verify-full\n[off]\nchannel_binding=disable\n"
        "[whole]\nhost=elsewhere\noptions=-cx=1\nconnect_timeout=3\ntarget_session_attrs=primary\n[strict]\ngssencmode=require\n"
    )
    monkeypatch.setenv("PGSERVICEFILE", str(tmp_path / "services"))


@pytest.mark.parametrize(
    ("parameters", "variables", "sslmode"),
    [
        ("channel_binding=require", {}, "require"),
        ("channel_binding=require&sslmode=allow", {}, "require"),
        ("channel_binding=require&ssl=prefer", {}, "require"),
        ("channel_binding=require&sslmode=verify-ca", {}, "verify-ca"),
        ("channel_binding=require", {"PGSSLMODE": "verify-full"}, "verify-full"),
        ("channel_binding=require&service=verified", {}, "verify-full"),
        ("", {"PGCHANNELBINDING": "require"}, "require"),
        ("service=bound", {}, "require"),
        ("", {"PGSERVICE": "bound"}, "require"),
        ("service=bound", {"PGCHANNELBINDING": "disable"}, "require"),
        ("channel_binding=prefer&service=bound", {"PGCHANNELBINDING": "require"}, ""),
        ("service=off", {"PGCHANNELBINDING": "require"}, ""),
    ],
)
@pytest.mark.usefixtures("services")
def test_a_login_is_bound_where_libpq_would_find_it(
    monkeypatch: pytest.MonkeyPatch, parameters: str, variables: dict[str, str], sslmode: str
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    address = read_address(database_url.parse_url(f"{HOST}?{parameters}"))
    assert address.is_bound == bool(sslmode)
    assert f"sslmode={sslmode}" in address.dsn if sslmode else "sslmode" not in address.dsn
    assert "channel_binding" not in address.dsn
    assert address.is_verified == (sslmode == "verify-full")


@pytest.mark.usefixtures("services")
def test_a_services_parameters_are_as_those_of_the_url(monkeypatch: pytest.MonkeyPatch) -> None:
    address = read_address(database_url.parse_url(f"{HOST}?service=whole"))
    assert address.dsn == f"{HOST}?host=elsewhere&target_session_attrs=primary"  # asyncpg takes the URL's host first
    assert (address.settings["options"], address.connect_timeout_s) == ("-cx=1", 3)
    bound = read_address(database_url.parse_url("postgresql:///d?service=bound&sslmode=verify-ca"))
    assert bound.dsn == "postgresql:///d?password=10%25&sslmode=verify-ca"
    assert "10" not in repr(bound)
    with pytest.raises(ValueError, match="parameter gssencmode must be prefer or disable"):
        SqlStore(f"{HOST}?service=strict")
    for variables in ({}, {"PGSERVICEFILE": "/nowhere"}):
        monkeypatch.setenv("PGSERVICE", "missing")
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        with pytest.raises(ValueError, match="the database URL's service is not in"):
            SqlStore(HOST)


@pytest.mark.parametrize("content", [b"s3cret", b"[a]\npassword=s3cret\n\xff"])
def test_a_file_of_services_that_cannot_be_read_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes
) -> None:
    (tmp_path / "services").write_bytes(content)
    monkeypatch.setenv("PGSERVICEFILE", str(tmp_path / "services"))
    with pytest.raises(ValueError, match="the file of the database URL's service is not as libpq has it") as refusal:
        SqlStore(f"{HOST}?service=a")
    assert "s3cret" not in str(refusal.value)


def test_what_libpq_would_do_and_the_driver_cannot_stands_in_the_manual() -> None:
    text = (Path(__file__).parents[2] / "docs" / "operations.md").read_text()
    [told] = re.findall(r"is refused by name: (.+?)\. A service's", text, re.DOTALL)
    names = {*re.findall(r"`(\w+)", told)}
    assert names >= DISPENSABLE.keys()
    for name in names - DISPENSABLE.keys() - {"host"}:
        with pytest.raises(ValueError, match=f"the database URL's parameter {name} is not supported"):
            SqlStore(f"{HOST}?{name}=x")
