"""The servers of the tests fail for what their handlers find, never because a client has gone."""

from __future__ import annotations

import asyncio
import socket
import struct

import pytest

from tests.recorder import order_server
from tests.wire.peers import request_head
from tests.wire.test_transport_through_proxies import relay

pytestmark = pytest.mark.anyio
AT_ONCE = struct.pack("ii", 1, 0)  # closed like that, a connection is reset


def leave(port, *, first=b""):
    with socket.create_connection(("127.0.0.1", port), timeout=60) as client:
        client.sendall(first)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, AT_ONCE)


def send_for_ever(peer):
    while True:
        peer.sendall(b"x" * 100_000)


def relay_to_nobody(peer):
    near, far = socket.socketpair()
    with near, far:
        relay(peer, near)


@pytest.mark.parametrize(
    "handler", [lambda peer: peer.recv(1), request_head, send_for_ever, relay_to_nobody]
)
def test_a_client_that_resets_is_no_error_of_the_server(serve, handler):
    with serve(handler) as port:
        leave(port)


@pytest.mark.parametrize("first", [b"", b"\x16\x03\x01"])
def test_a_client_that_breaks_off_the_handshake_is_no_error_of_the_server(
    serve, certificates, first
):
    with serve(send_for_ever, tls=certificates.server) as port:
        leave(port, first=first)


def test_an_error_of_the_handler_is_raised_in_the_test(serve):
    def stumble(peer):
        raise ZeroDivisionError(peer.recv(100))

    with (
        pytest.raises(ZeroDivisionError, match="hello"),
        serve(stumble) as port,
        socket.create_connection(("127.0.0.1", port), timeout=60) as client,
    ):
        client.sendall(b"hello")


def test_a_test_that_fails_says_so_without_waiting_for_clients_that_do_not_come(serve):
    with pytest.raises(ZeroDivisionError), serve(request_head, peers=2):
        raise ZeroDivisionError


@pytest.mark.parametrize(
    "first", [b"", b"POST / HT", b"POST / HTTP/1.1\r\ncontent-length: 9\r\n\r\nx"]
)
async def test_a_client_that_asks_for_nothing_is_no_error_of_an_order_s_server(first):
    async def never(wire):
        raise AssertionError("nobody asked for an order")

    async with order_server.serving(never, []) as url:
        await asyncio.to_thread(leave, int(url.rpartition(":")[2]), first=first)


async def test_no_handler_outlives_the_server_of_its_order():
    begun, before = asyncio.Event(), asyncio.all_tasks()

    async def behave(wire):
        begun.set()
        await asyncio.Event().wait()

    async with order_server.serving(behave, []) as url:
        _, writer = await asyncio.open_connection("127.0.0.1", int(url.rpartition(":")[2]))
        writer.write(b"POST / HTTP/1.1\r\ncontent-length: 0\r\n\r\n")
        await begun.wait()
    assert asyncio.all_tasks() == before
    writer.close()
    await writer.wait_closed()
