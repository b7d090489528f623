"""One GET over real sockets: what leaves, how long it may take, how much it may bring, and how it fails."""

import asyncio
import datetime
import gzip
import logging
import socket
import ssl
import time
import tracemalloc
import zlib
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import respx
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from rapidpro_integration.client import RapidProAPI, transport, wire
from rapidpro_integration.client.budgets import MAX_OPERATION_BYTES, Budget
from rapidpro_integration.client.errors import AbstractRequestException, Kind
from rapidpro_integration.client.transport import MAX_BODY_BYTES
from tests.conftest import SECRET, SERVER
from tests.rapidpro_integration.client.loopback import Behaviour, Server, always, answer, serve

WORKSPACE = f"{SERVER}/api/v2/workspace.json"


async def failure(api: RapidProAPI, budget: Budget | None = None) -> AbstractRequestException:
    """Return what asking for the workspace raises, after looking that it holds facts only."""
    with pytest.raises(AbstractRequestException) as caught:
        await api.connect(budget).workspace()
    error = caught.value
    assert error.__context__ is None
    assert error.__cause__ is None
    assert all(value is None or isinstance(value, (str, int)) for value in vars(error).values())
    assert SECRET not in f"{error!r} {vars(error)}"
    return error


async def failure_of(behave: Behaviour, *, seconds: float = 5) -> AbstractRequestException:
    async with serve(behave) as server:
        return await failure(RapidProAPI(SECRET, server.origin), Budget(seconds=seconds))


# --- What leaves, and where to ------------------------------------------------------------------


async def test_redirect_is_not_followed_and_the_token_goes_nowhere_else() -> None:
    async with serve(always(answer(b"{}"))) as elsewhere:
        moved = answer(b"", status="302 Found", headers=f"Location: {elsewhere.origin}/api/v2/workspace.json\r\n")
        async with serve(always(moved)) as server:
            response = await RapidProAPI(SECRET, server.origin).get_connection_status()
    assert response.status_code == 302
    assert len(server.heads) == 1
    assert elsewhere.connections == 0


async def test_environment_changes_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login somebody password else\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    async with serve(always(answer(b"{}"))) as proxy:
        for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, proxy.origin)
        monkeypatch.delenv("NO_PROXY", raising=False)
        monkeypatch.delenv("no_proxy", raising=False)
        async with serve(always(answer(b"{}"))) as server:
            await RapidProAPI(SECRET, server.origin).get_connection_status()
    assert proxy.connections == 0
    assert f"Authorization: Token {SECRET}\r\n" in server.heads[0]


async def test_connection_is_kept_and_cookies_are_not() -> None:
    cookie = answer(b"{}", headers="Set-Cookie: session=abc; Path=/\r\n")
    async with serve(always(cookie)) as server:
        for _ in range(3):
            await RapidProAPI(SECRET, server.origin).get_flows()
    assert server.connections == 1
    assert len(server.heads) == 3
    assert "cookie" not in "".join(server.heads).lower()


def test_one_client_works_in_several_loops() -> None:
    api = RapidProAPI(SECRET)

    async def ask() -> int:
        async with serve(always(answer(b"{}"))) as server:
            api.server = server.origin
            return (await api.get_connection_status()).status_code

    assert [asyncio.run(ask()) for _ in range(2)] == [200, 200]


def test_tls_context_is_made_once() -> None:
    assert wire.tls_context() is wire.tls_context()
    assert wire.tls_context().verify_mode == ssl.CERT_REQUIRED
    assert wire.tls_context().check_hostname


# --- Time ---------------------------------------------------------------------------------------


async def silent(server: Server, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await server.head(reader)
    await reader.read()


async def dripping(server: Server, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await server.head(reader)
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 100000\r\n\r\n")
    while True:
        writer.write(b" ")
        await writer.drain()
        await asyncio.sleep(0.02)


@pytest.mark.parametrize(("behave", "status"), [(silent, None), (dripping, 200)])
async def test_budget_ends_the_wait(behave: Behaviour, status: int | None) -> None:
    started = time.monotonic()
    error = await failure_of(behave, seconds=0.3)
    assert error.kind is Kind.TIMED_OUT
    assert error.status_code == status
    assert 0.25 < time.monotonic() - started < 2


async def test_single_request_has_a_deadline_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "REQUEST_DEADLINE_S", 0.2)
    started = time.monotonic()
    assert (await failure_of(dripping, seconds=30)).kind is Kind.TIMED_OUT
    assert time.monotonic() - started < 2


async def test_budget_is_spent_by_requests_and_not_by_their_caller() -> None:
    budget = Budget(seconds=1)
    async with serve(always(answer(b"{}"))) as server:
        connection = RapidProAPI(SECRET, server.origin).connect(budget)
        await connection.workspace()
        await asyncio.sleep(0.3)
        await connection.workspace()
    assert 0.7 < budget.seconds_left < 1
    assert budget.bytes_left == MAX_OPERATION_BYTES - 4


async def test_limits_of_connecting_and_reading_are_as_stated(respx_mock: respx.MockRouter) -> None:
    respx_mock.get(WORKSPACE).respond(json={})
    await RapidProAPI(SECRET, SERVER).get_connection_status()
    assert respx_mock.calls.last.request.extensions["timeout"] == {"connect": 3, "read": 8}


# --- Size and encoding --------------------------------------------------------------------------


@pytest.mark.parametrize("status", ["200 OK", "503 Busy"])
async def test_gzip_is_unpacked(status: str) -> None:
    packed = answer(gzip.compress(b'{"detail": "Nutri"}'), status=status, headers="Content-Encoding: gzip\r\n")
    async with serve(always(packed)) as server:
        response = await RapidProAPI(SECRET, server.origin).get_connection_status()
    assert response.json() == {"detail": "Nutri"}
    assert response.headers["Content-Length"] == "19"
    assert "Content-Encoding" not in response.headers


@pytest.mark.parametrize("size", [65_535, 65_536, 65_537, 131_072, 131_073])
async def test_gzip_is_unpacked_whole_at_the_edges_of_its_steps(size: int) -> None:
    body = b'"' + b"x" * (size - 2) + b'"'
    async with serve(always(answer(gzip.compress(body), headers="Content-Encoding: gzip\r\n"))) as server:
        response = await RapidProAPI(SECRET, server.origin).get_connection_status()
    assert response.content == body


def bomb(size: int) -> bytes:
    packer = zlib.compressobj(9, wbits=31)
    megabyte = bytes(1024 * 1024)
    return b"".join(packer.compress(megabyte) for _ in range(size // len(megabyte))) + packer.flush()


async def test_gzip_bomb_is_cut_while_it_unpacks() -> None:
    packed = answer(bomb(256 * 1024 * 1024), headers="Content-Encoding: gzip\r\n")
    async with serve(always(packed)) as server:
        tracemalloc.start()
        try:
            error = await failure(RapidProAPI(SECRET, server.origin))
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert (error.kind, error.status_code) == (Kind.TOO_LARGE, 200)
    assert peak < 6 * MAX_BODY_BYTES


async def test_endless_body_is_cut() -> None:
    async def endless(server: Server, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await server.head(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n")
        while True:
            writer.write(b" " * 65_536)
            await writer.drain()

    assert (await failure_of(endless)).kind is Kind.TOO_LARGE


async def test_cap_lets_exactly_as_much_through_as_it_says() -> None:
    async with serve(always(answer(b" " * 1000))) as server:
        api = RapidProAPI(SECRET, server.origin)
        assert len((await api.connect(Budget(max_bytes=1000)).workspace()).content) == 1000
        assert (await failure(api, Budget(max_bytes=999))).kind is Kind.TOO_LARGE


async def test_answers_of_one_operation_share_a_cap() -> None:
    budget = Budget(max_bytes=1000)
    async with serve(always(answer(b" " * 600))) as server:
        connection = RapidProAPI(SECRET, server.origin).connect(budget)
        await connection.workspace()
        with pytest.raises(AbstractRequestException) as caught:
            await connection.workspace()
    assert caught.value.kind is Kind.TOO_LARGE


@pytest.mark.parametrize(
    ("body", "encoding"),
    [
        (b"{}", "br"),
        (gzip.compress(b"{}"), "gzip, gzip"),
        (gzip.compress(b"{}"), "gzip\r\nContent-Encoding: gzip"),
        (zlib.compress(b"{}"), "deflate"),
        (b"{}", "gzip"),
        (gzip.compress(b"{}")[:-4], "gzip"),
        (gzip.compress(b"{}") + b"behind the end", "gzip"),
        (gzip.compress(b"{}") + gzip.compress(b"{}"), "gzip"),
    ],
)
async def test_body_that_cannot_be_unpacked_is_malformed_but_an_error_keeps_its_meaning(
    body: bytes, encoding: str
) -> None:
    headers = f"Content-Encoding: {encoding}\r\nRetry-After: 60\r\n"
    assert (await failure_of(always(answer(body, headers=headers)))).kind is Kind.MALFORMED
    async with serve(always(answer(body, status="429 Slow down", headers=headers))) as server:
        response = await RapidProAPI(SECRET, server.origin).get_connection_status()
    assert (response.status_code, response.content, response.headers["Retry-After"]) == (429, b"", "60")


async def test_bytes_behind_the_end_are_refused_when_they_come_later_too() -> None:
    packed = gzip.compress(b"{}")

    async def two_steps(server: Server, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await server.head(reader)
        head = f"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {len(packed) + 1}\r\n\r\n"
        writer.write(head.encode() + packed)
        await writer.drain()
        await asyncio.sleep(0.1)
        writer.write(b"x")
        await writer.drain()

    assert (await failure_of(two_steps)).kind is Kind.MALFORMED


async def test_empty_body_may_call_itself_gzip() -> None:
    async with serve(always(answer(b"", headers="Content-Encoding: gzip\r\n"))) as server:
        response = await RapidProAPI(SECRET, server.origin).get_connection_status()
    assert response.content == b""


# --- Failures -----------------------------------------------------------------------------------


async def test_refused_connection_is_unreachable() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        error = await failure(RapidProAPI(SECRET, f"http://127.0.0.1:{closed.getsockname()[1]}"))
    assert (error.kind, error.status_code, error.retry_after_s) == (Kind.UNREACHABLE, None, None)


async def hang_up(server: Server, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await server.head(reader)


def once(reply: bytes) -> Behaviour:
    async def behave(server: Server, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await server.head(reader)
        writer.write(reply)
        await writer.drain()

    return behave


@pytest.mark.parametrize(
    ("behave", "kind", "status"),
    [
        (hang_up, Kind.UNREACHABLE, None),
        (once(b"SSH-2.0-OpenSSH_9.9\r\n\r\n"), Kind.UNREACHABLE, None),
        (once(b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n"), Kind.UNREACHABLE, None),
        (once(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"), Kind.MALFORMED, 200),
        # Head and bad chunk in one piece: aiohttp hands over neither.
        (once(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"), Kind.UNREACHABLE, None),
    ],
)
async def test_answer_that_breaks_off_is_told_from_none(behave: Behaviour, kind: Kind, status: int | None) -> None:
    error = await failure_of(behave)
    assert (error.kind, error.status_code) == (kind, status)


@pytest.mark.parametrize(
    ("raised", "kind"),
    [
        (httpx.ConnectError("no"), Kind.UNREACHABLE),
        (httpx.ReadError("no"), Kind.UNREACHABLE),
        (httpx.RemoteProtocolError("no"), Kind.UNREACHABLE),
        (httpx.LocalProtocolError("no"), Kind.UNREACHABLE),
        (httpx.UnsupportedProtocol("no"), Kind.UNREACHABLE),
        (httpx.InvalidURL("no"), Kind.UNREACHABLE),
        (httpx.StreamClosed(), Kind.UNREACHABLE),
        (OSError("no"), Kind.UNREACHABLE),
        (UnicodeError("label too long"), Kind.UNREACHABLE),
        (httpx.ConnectTimeout("slow"), Kind.TIMED_OUT),
        (httpx.ReadTimeout("slow"), Kind.TIMED_OUT),
        (httpx.PoolTimeout("slow"), Kind.TIMED_OUT),
        (TimeoutError("slow"), Kind.TIMED_OUT),
        (ssl.SSLCertVerificationError("no"), Kind.TLS),
    ],
)
async def test_every_exception_of_the_wire_becomes_ours(
    respx_mock: respx.MockRouter, raised: Exception, kind: Kind
) -> None:
    respx_mock.get(WORKSPACE).mock(side_effect=raised)
    assert (await failure(RapidProAPI(SECRET, SERVER))).kind is kind


async def test_name_that_cannot_be_looked_up_is_unreachable() -> None:
    assert (await failure(RapidProAPI(SECRET, "https://no-such-host.invalid"))).kind is Kind.UNREACHABLE


async def test_cancelled_call_stays_cancelled() -> None:
    async with serve(silent) as server:
        task = asyncio.create_task(RapidProAPI(SECRET, server.origin).get_connection_status())
        await asyncio.sleep(0.1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


# --- TLS ----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a key and a certificate for localhost that no authority signed."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "localhost.pem"
    path.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + signed.public_bytes(serialization.Encoding.PEM)
    )
    return path


@pytest.fixture
def server_tls(certificate: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


@pytest.fixture
def trusted(certificate: Path) -> Iterator[None]:
    """Let the client trust that certificate for one test."""
    wire.tls_context.cache_clear()
    wire.tls_context().load_verify_locations(certificate)
    yield
    wire.tls_context.cache_clear()


async def test_self_signed_server_gets_no_token(server_tls: ssl.SSLContext) -> None:
    async with serve(always(answer(b"{}")), tls=server_tls) as server:
        error = await failure(RapidProAPI(SECRET, f"https://localhost:{server.port}", private=True))
    assert error.kind is Kind.TLS
    assert server.heads == []


@pytest.mark.usefixtures("trusted")
async def test_trusted_server_is_asked_by_its_own_name_only(server_tls: ssl.SSLContext) -> None:
    async with serve(always(answer(b"{}")), tls=server_tls) as server:
        response = await RapidProAPI(SECRET, f"https://localhost:{server.port}", private=True).get_connection_status()
        assert response.status_code == 200
        error = await failure(RapidProAPI(SECRET, f"https://127.0.0.1:{server.port}", private=True))
    assert error.kind is Kind.TLS
    assert len(server.heads) == 1


async def test_plain_server_asked_for_tls_is_a_tls_failure() -> None:
    async def plain(server: Server, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await writer.drain()

    async with serve(plain) as server:
        error = await failure(RapidProAPI(SECRET, f"https://127.0.0.1:{server.port}", private=True))
    assert error.kind is Kind.TLS


# --- Log ----------------------------------------------------------------------------------------


async def test_log_has_facts_and_no_secret(respx_mock: respx.MockRouter, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    route = respx_mock.get(f"{SERVER}/api/v2/flows.json")
    route.side_effect = [
        httpx.Response(403, json={"detail": f"no {SECRET}"}, headers={"X-Body": "header"}),
        *[httpx.ReadTimeout("slow")] * 3,
    ]
    api = RapidProAPI(SECRET, SERVER)
    await api.get_flows(after_date="2026-06-01")
    with pytest.raises(AbstractRequestException):
        await api.get_flows(after_date="2026-06-01")
    lines = [record.getMessage() for record in caplog.records if record.name == "rapidpro_integration.client"]
    assert lines[0].startswith("GET /api/v2/flows.json status=403 duration_ms=")
    assert lines[1].startswith("GET /api/v2/flows.json error=TimedOutException kind=timed_out status=None duration_ms=")
    assert [record.levelname for record in caplog.records if record.name == "rapidpro_integration.client"] == [
        "INFO",
        *["WARNING"] * 3,
    ]
    for hidden in (SECRET, "2026-06-01", "header", "detail", "Token "):
        assert hidden not in caplog.text


async def test_try_that_is_held_back_does_not_hide_the_failure_before_it(respx_mock: respx.MockRouter) -> None:
    respx_mock.get(WORKSPACE).respond(500)
    api = RapidProAPI(SECRET, SERVER)
    for _ in range(2):
        assert (await api.get_connection_status()).status_code == 500
    # The eighth failure in a row, and so the last request before the pause.
    assert [(await api.get_connection_status()).status_code, respx_mock.calls.call_count] == [500, 8]
    assert (await failure(api)).kind is Kind.PAUSED


def test_chain_of_exceptions_that_leads_back_into_itself_ends() -> None:
    first, second = ValueError("first"), OSError("second")
    first.__context__, second.__context__ = second, first
    assert list(transport._chain(first)) == [first, second]
