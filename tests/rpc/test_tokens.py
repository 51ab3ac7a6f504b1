"""Tokens (JWT): which are good, and which attacks they withstand."""

import asyncio
import base64
import hashlib
import hmac
import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import grpc.aio
import pytest
from grpc import StatusCode
from hypothesis import given
from hypothesis import settings as settings_of_hypothesis
from hypothesis import strategies as st
from joserfc import jws, jwt
from joserfc.jwk import ECKey, OctKey
from stockkeeper_client.v1 import stock_pb2
from stockkeeper_client.v1.stock_pb2_grpc import StockServiceStub

from actors.unavailable import Unavailable
from rpc.authorization import guard as guards
from rpc.authorization import jwks as key_sets
from rpc.authorization import token_keys, tokens
from rpc.authorization.callers import BadCredential
from rpc.authorization.jwks import fetch, parse_keys
from rpc.authorization.token_check import check_token_keys
from rpc.authorization.token_settings import TokenError, TokenSettings
from rpc.authorization.tokens import Tokens
from rpc.rpc_server import RpcServer
from tests.rpc.fake_inventory import FakeInventory
from tests.rpc.token_issuer import AUDIENCE, EC, ISSUER, RSA, STRANGER, jwks, settings, token

pytestmark = pytest.mark.anyio

HOUR_S = 3_600


def unsigned(header: dict[str, Any], claims: dict[str, Any], signature: bytes = b"") -> str:
    parts = [json.dumps(header).encode(), json.dumps(claims).encode(), signature]
    return ".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts)


def claims_of(good: str) -> dict[str, Any]:
    payload = good.split(".")[1]
    return dict(json.loads(base64.urlsafe_b64decode(payload + "==")))


def signed_with_public_key(form: str) -> str:
    """HS256, with the RSA key that all may know as the shared one."""
    public = RSA.as_pem(private=False) if form == "pem" else json.dumps(RSA.as_dict(private=False)).encode()
    text = unsigned({"alg": "HS256", "kid": "rsa"}, claims_of(token())).rstrip(".")
    signature = hmac.new(public, text.encode(), hashlib.sha256).digest()
    return f"{text}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}"


def bad_tokens() -> Iterator[tuple[str, str, str]]:
    """What is wrong, the token, and what the log says of it."""
    claims, now = claims_of(token()), int(time.time())
    yield "alg none", unsigned({"alg": "none"}, claims), "algorithm"
    yield "alg None", unsigned({"alg": "nOnE", "kid": "ec"}, claims), "algorithm"
    yield "no alg", unsigned({"kid": "ec"}, claims), "cannot be read"
    yield "no signature", ".".join([*token().split(".")[:2], ""]), "signature"
    yield "cut signature", token()[:-4], "signature"
    yield "HS256 by pem", signed_with_public_key("pem"), "algorithm"
    yield "HS256 by jwk", signed_with_public_key("jwk"), "algorithm"
    yield "other algorithm", token(RSA, header={"alg": "RS512"}), "algorithm"
    yield "algorithm of another key", token(RSA, header={"kid": "ec"}), "key is not known"
    yield "wrong kid", token(header={"kid": "other"}), "key is not known"
    yield "stranger's key", token(STRANGER), "signature"
    embedded = {"jwk": STRANGER.as_dict(private=False), "jku": "https://stranger.example/keys"}
    yield "embedded key", token(STRANGER, header=embedded), "signature"
    yield "embedded key of no set", token(STRANGER, header={**embedded, "kid": "x"}), "key is not known"
    yield "critical extension", token(header={"crit": ["b64"], "b64": True}), "critical"
    yield "expired", token(exp=now - 1), "expired"
    yield "expires now", token(exp=now), "expired"
    yield "not yet valid", token(nbf=now + 2_000), "nbf"
    yield "issued tomorrow", token(iat=now + 86_400), "iat"
    yield "no expiry", token(without="exp"), "exp"
    yield "expiry in words", token(exp="tomorrow"), "exp"
    yield "no issuer", token(without="iss"), "iss"
    yield "other issuer", token(iss=f"{ISSUER}/"), "iss"
    yield "issuers", token(iss=[ISSUER]), "iss"
    yield "no audience", token(without="aud"), "aud"
    yield "other audience", token(aud=["billing", "stocks"]), "aud"
    yield "no subject", token(without="sub"), "sub"
    yield "no text as subject", token(sub=7), "sub"
    yield "subject with a NUL", token(sub="ana\0"), "subject"
    halved = json.dumps({**claims, "sub": "\ud800"}).encode()
    yield "half a character", jws.serialize_compact({"alg": "ES256", "kid": "ec"}, halved, EC), "subject"
    yield "scopes as a number", token(scope=7), "scope"
    yield "scopes of scopes", token(scope=[["inventory.stock.read"]]), "scope"
    yield "organizations as an object", token(organizations={"shop": True}), "organizations"
    yield "huge", token(padding="x" * 10_000), "too long"
    yield "deep", f"{base64.urlsafe_b64encode(b'[' * 5_000).decode()}.e30.e30", "cannot be read"
    yield "no object", jws.serialize_compact({"alg": "ES256", "kid": "ec"}, b"[]", EC), "cannot be read"
    yield "no UTF-8", f"{base64.urlsafe_b64encode(bytes(range(128, 250))).decode()}.e30.e30", "cannot be read"


BAD = list(bad_tokens())


@pytest.fixture
def trusting(tmp_path: Path) -> Tokens:
    return Tokens(settings(tmp_path / "jwks.json"))


@pytest.mark.parametrize(("bad", "why"), [one[1:] for one in BAD], ids=[one[0] for one in BAD])
async def test_a_token_that_is_not_as_it_must_be_is_refused(trusting: Tokens, bad: str, why: str) -> None:
    for _ in range(2):  # it is not kept either
        with pytest.raises(BadCredential, match=why):
            trusting.caller_of(bad)
    assert trusting.statistics().kept == 0


@pytest.mark.parametrize(
    ("claims", "organizations", "scopes"),
    [
        ({}, {"shop"}, {"inventory.stock.read"}),
        ({"scope": ["inventory.stock.read", "inventory.stock.reserve"]}, {"shop"}, {"read", "reserve"}),
        ({"scope": "openid inventory.stock.manage  profile"}, {"shop"}, {"manage"}),
        ({"scope": ""}, {"shop"}, set()),
        ({"scope": "inventory.stock"}, {"shop"}, set()),
        ({"without": "scope"}, {"shop"}, set()),
        ({"organizations": "two words"}, {"two words"}, {"read"}),
        ({"organizations": ["a", "b"]}, {"a", "b"}, {"read"}),
        ({"organizations": []}, set(), {"read"}),
        ({"without": "organizations"}, set(), {"read"}),
        ({"aud": ["billing", AUDIENCE]}, {"shop"}, {"read"}),
    ],
)
async def test_claims_say_what_a_caller_may_do(
    trusting: Tokens, claims: dict[str, Any], organizations: set[str], scopes: set[str]
) -> None:
    caller = trusting.caller_of(token(**claims))
    named = {scope if "." in scope else f"inventory.stock.{scope}" for scope in scopes}
    assert (caller.name, {*caller.organizations}, {str(scope) for scope in caller.scopes}) == (
        "ana",
        organizations,
        named,
    )
    assert not caller.may_see("")


async def test_claims_may_have_other_names_and_keys_be_chosen_without_an_id(tmp_path: Path) -> None:
    trusting = Tokens(
        settings(tmp_path / "jwks.json", organizations_claim="https://x.example/orgs", scopes_claim="scp")
    )
    named: dict[str, Any] = {"https://x.example/orgs": ["a"], "scp": ["inventory.stock.manage"]}
    caller = trusting.caller_of(token(RSA, header={"kid": ""}, **named))
    assert ([*caller.organizations], [*caller.scopes]) == (["a"], ["inventory.stock.manage"])


async def test_a_good_token_is_checked_once_until_it_runs_out_or_the_keys_change(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(token_keys, "LOOK_EVERY_S", 0)
    monkeypatch.setattr(tokens, "KEPT_MAX", 2)
    now_s, checked, file = time.time(), 0, tmp_path / "jwks.json"
    decode = jwt.decode

    def counted(*given: Any) -> Any:
        nonlocal checked
        checked += 1
        return decode(*given)

    monkeypatch.setattr(jwt, "decode", counted)
    trusting = Tokens(settings(file, leeway_s=5), lambda: now_s)
    good = token(exp=int(now_s) + 2 * 24 * HOUR_S)
    soon = token(exp=int(now_s) + 1)
    for one in (good, good, soon, good, soon):
        trusting.caller_of(one)
    assert checked == 2
    now_s += 7
    with pytest.raises(BadCredential, match="expired"):
        trusting.caller_of(soon)
    trusting.caller_of(good)
    now_s += 25 * HOUR_S  # kept no longer than a day, and good still
    trusting.caller_of(good)
    assert checked == 4
    for subject in ("a", "b", "c"):
        trusting.caller_of(token(sub=subject, exp=int(now_s) + 60))
    assert trusting.statistics().kept == 2
    trusting.caller_of(good)
    file.write_text(jwks(RSA) + " ")
    with pytest.raises(BadCredential, match="key is not known"):
        trusting.caller_of(good)


@settings_of_hypothesis(max_examples=50, deadline=None)
@given(text=st.text(max_size=200), places=st.lists(st.integers(0, 10**6), max_size=3))
def test_no_text_is_a_token(text: str, places: list[int]) -> None:
    """Neither strange ones, nor a good one of which some characters were changed."""
    trusting = _trusting()
    changed = list(GOOD)
    for place in places:
        changed[place % len(GOOD)] = "A" if changed[place % len(GOOD)] != "A" else "B"
    for one in (text, "".join(changed), f"{GOOD[:50]}{text}{GOOD[50:]}", GOOD + text):
        if not _means_the_same(one):
            with pytest.raises(BadCredential):
                trusting.caller_of(one)


GOOD = token(exp=int(time.time()) + HOUR_S)


def _means_the_same(one: str) -> bool:
    """The last character of a signature in base64 has bits that mean nothing."""
    return one[: len(GOOD) - 1] == GOOD[:-1] and len(one.rstrip("=")) <= len(GOOD)


def _trusting() -> Tokens:
    if not _made:
        import tempfile

        with tempfile.TemporaryDirectory() as folder:
            _made.append(Tokens(settings(Path(folder) / "jwks.json")))
    return _made[0]


_made: list[Tokens] = []


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{", "no JSON Web Key Set"),
        ("[]", "no JSON Web Key Set"),
        ('{"keys": 7}', "no JSON Web Key Set"),
        ('{"keys": [7]}', "no public key"),
        ('{"keys": [{"kty": "EC"}]}', "no public key"),
        ('{"keys": [{"kty": "EC", "crv": "P-1", "x": "AA", "y": 7, "kid": ["ec"]}]}', "no public key"),
        ("[" * 200_000, "no JSON Web Key Set"),
        ('{"keys": []}', "no public key"),
        (json.dumps({"keys": [OctKey.generate_key(256).as_dict(private=True)]}), "no public key"),
        (json.dumps({"keys": [{**EC.as_dict(private=False), "use": "enc"}]}), "no public key"),
        (json.dumps({"keys": [{"kty": "RSA", "n": "x" * 171, "e": "AQAB"}]}), "no public key"),
        (json.dumps({"keys": [EC.as_dict(private=False)] * 101}), "at most 100"),
    ],
    ids=str.split("cut list number member-no-key no-curve wrong-curve deep none shared for-encryption weak many"),
)
def test_what_is_no_set_of_keys_is_refused_in_a_sentence(content: str, said: str) -> None:
    with pytest.raises(TokenError, match=said):
        parse_keys(content.encode(), "jwks.json")


@pytest.mark.parametrize(
    ("url", "is_good"),
    [
        ("https://issuer.example/keys", True),
        ("http://127.0.0.1:8080/keys", True),
        ("http://localhost/keys", True),
        ("http://192.0.2.1/keys", False),
        ("http://127.0.0.1@192.0.2.1/keys", False),
        ("file:///etc/passwd", False),
        ("ftp://127.0.0.1/keys", False),
        ("https:///keys", False),
    ],
)
def test_keys_come_by_a_way_on_which_they_cannot_be_changed(url: str, is_good: bool) -> None:
    asked = TokenSettings(url, ISSUER, AUDIENCE)
    if is_good:
        check_token_keys(asked)
    else:
        with pytest.raises(TokenError, match="from a file or by https"):
            check_token_keys(asked)


class _Issuer(BaseHTTPRequestHandler):
    """Answers as its class says."""

    content, asked, drip = jwks(EC), 0, threading.Event()

    def do_GET(self) -> None:
        type(self).asked += 1
        if self.path == "/moved":
            self.send_response(302)
            self.send_header("Location", "/keys")
            self.end_headers()
            return
        self.send_response(503 if self.path == "/away" else 200)
        self.end_headers()
        try:
            while self.path in ("/endless", "/slow"):
                self.wfile.write(b" " * (1_000_000 if self.path == "/endless" else 1))
                self.drip.wait(0.01)
            self.wfile.write(self.content.encode())
        except OSError:
            return

    def log_message(self, *_: Any) -> None: ...


@pytest.fixture
def issuer(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setattr(_Issuer, "content", jwks(EC))
    monkeypatch.setattr(_Issuer, "asked", 0)
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Issuer)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.mark.parametrize("path", ["moved", "away", "endless", "slow"])
def test_a_fetch_is_bounded_and_goes_nowhere_else(issuer: str, path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(key_sets, "FETCH_TIMEOUT_S", 0.3)
    with pytest.raises(TokenError):
        fetch(f"{issuer}/{path}")


async def refused(trusting: Tokens, one: str) -> str:
    """Why the token is refused, once there are keys; empty if it is not."""
    while True:
        try:
            trusting.caller_of(one)
        except Unavailable:
            await asyncio.sleep(0.01)
        except BadCredential as error:
            return str(error)
        else:
            return ""


async def test_keys_are_fetched_again_for_one_that_is_not_known_but_not_for_each(
    issuer: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    trusting = Tokens(TokenSettings(f"{issuer}/keys", ISSUER, AUDIENCE))
    with pytest.raises(Unavailable):  # it cannot be told yet whether it is good
        trusting.caller_of(token())
    assert await refused(trusting, token()) == ""
    new = ECKey.generate_key("P-256", {"kid": "new"})
    for _ in range(50):
        assert "key is not known" in await refused(trusting, token(new))
    assert _Issuer.asked == 1
    monkeypatch.setattr(token_keys, "RETRY_S", 0)
    monkeypatch.setattr(_Issuer, "content", "nonsense")
    assert "key is not known" in await refused(trusting, token(new))
    while trusting._keys._fetching is not None:  # noqa: ASYNC110 - a thread does it
        await asyncio.sleep(0.01)
    assert await refused(trusting, token()) == ""  # the last good ones stay
    monkeypatch.setattr(_Issuer, "content", jwks(new))
    while await refused(trusting, token(new)):  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    assert "key is not known" in await refused(trusting, token())  # and was kept as good until then


@pytest.mark.parametrize("is_busy", [False, True])
async def test_a_watch_ends_when_its_token_runs_out(
    tmp_path: Path, fake: FakeInventory, monkeypatch: pytest.MonkeyPatch, is_busy: bool
) -> None:
    """Also where there is always one more change."""
    monkeypatch.setattr(guards, "LOOK_EVERY_S", 0.05)
    server = RpcServer(fake, host="127.0.0.1", port=0, tokens=settings(tmp_path / "jwks.json"))
    [address] = await server.start()
    if is_busy:
        _have_always_one_more(monkeypatch)
    else:
        fake.gate.clear()
    async with grpc.aio.insecure_channel(str(address), options=[("grpc.enable_retries", 0)]) as channel:
        bearer = f"Bearer {token(exp=int(time.time()) + 1)}"
        request = stock_pb2.WatchChangesRequest(organization_id="shop")
        call = StockServiceStub(channel).WatchChanges(request, metadata=[("authorization", bearer)])
        assert await asyncio.wait_for(_end_of(call), 20) is StatusCode.UNAUTHENTICATED
    await server.stop(0)


async def _end_of(call: Any) -> StatusCode | None:
    try:
        async for _ in call:
            pass
    except grpc.aio.AioRpcError as error:
        return error.code()
    return None


def _have_always_one_more(monkeypatch: pytest.MonkeyPatch) -> None:
    async def changes(*_: Any) -> Any:
        while True:
            await asyncio.sleep(0)
            yield stock_pb2.WatchChangesResponse(token="t")

    monkeypatch.setattr("rpc.services.stock_service.watch", changes)
