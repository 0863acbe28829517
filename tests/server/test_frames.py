import struct

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bolt_tui.frames import (
    FRAME_BYTES_MAX,
    REQUEST_BYTES_MAX,
    EventsAsk,
    FrameError,
    Request,
    Snapshot,
    Subscribe,
    Unpacker,
    pack,
    read_client,
    read_server,
)
from tests.server.fakes import new_order


def test_a_command_survives_the_line_exactly() -> None:
    frame = Request(seq=1, id=7, command=new_order(qty="0.100000000000000001"))
    (body,) = Unpacker(REQUEST_BYTES_MAX).feed(pack(frame))
    assert read_client(body) == frame


@given(st.lists(st.integers(1, 9), min_size=1, max_size=6), st.integers(1, 40))
def test_frames_come_out_whole_however_the_bytes_are_cut(numbers: list[int], step: int) -> None:
    stream = b"".join(pack(Subscribe(seq=seq, hz=hz)) for seq, hz in enumerate(numbers, 1))
    unpacker = Unpacker(REQUEST_BYTES_MAX)
    bodies = [body for at in range(0, len(stream), step) for body in unpacker.feed(stream[at : at + step])]
    assert [read_client(body) for body in bodies] == [Subscribe(seq=seq, hz=hz) for seq, hz in enumerate(numbers, 1)]


@given(st.binary(max_size=400))
def test_garbage_is_refused_and_never_raises_anything_else(garbage: bytes) -> None:
    for read in (read_client, read_server):
        with pytest.raises(FrameError):
            read(garbage)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b'{"frame":"request"}',
        b'{"frame":"nothing","seq":1}',
        b'{"frame":"subscribe","seq":1,"hz":"10"}',
        b'{"frame":"request","seq":1,"id":1,"command":{"cmd":"new"}}',
        b"[" * 100_000,
    ],
)
def test_what_is_no_frame_is_refused(body: bytes) -> None:
    with pytest.raises(FrameError):
        read_client(body)


def test_a_float_is_no_quantity() -> None:
    body = pack(Request(seq=1, id=1, command=new_order()))[4:].replace(b'"qty":"100"', b'"qty":100.5')
    with pytest.raises(FrameError, match="expected decimal text"):
        read_client(body)


def test_an_oversized_frame_is_refused_from_its_length_alone() -> None:
    """If it were read first, a client could make the engine hold any amount of memory."""
    unpacker = Unpacker(REQUEST_BYTES_MAX)
    with pytest.raises(FrameError, match=f"the limit here is {REQUEST_BYTES_MAX}"):
        list(unpacker.feed(struct.pack(">I", REQUEST_BYTES_MAX + 1)))
    assert list(Unpacker(FRAME_BYTES_MAX).feed(struct.pack(">I", REQUEST_BYTES_MAX + 1))) == []


def test_frames_before_an_oversized_one_are_still_given() -> None:
    """A halt in front of garbage must be obeyed."""
    unpacker = Unpacker(64)
    stream = unpacker.feed(pack(EventsAsk(seq=1, id=1))[:0] + pack(Subscribe(seq=1)) + b"\xff\xff\xff\xff")
    assert read_client(next(stream)) == Subscribe(seq=1)
    with pytest.raises(FrameError):
        next(stream)


def test_a_picture_is_carried_as_it_was_encoded() -> None:
    assert pack(Snapshot(seq=3, body=msgspec.Raw(b'{"x": 1}')))[4:] == b'{"frame":"snapshot","seq":3,"body":{"x": 1}}'
