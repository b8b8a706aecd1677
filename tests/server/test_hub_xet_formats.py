"""Xorbs and shards: what a client packs comes back byte for byte, and everything odd is refused in bounded memory."""

from __future__ import annotations

import importlib
import random
import struct
import sys
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path

import lz4.frame
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medhub.server.errors import BadRequest
from medhub.server.xet import hashes, shard, xorb

sys.path.insert(0, str(Path(__file__).parent))  # tests/ is no package that could be imported from
client = importlib.import_module("xet_client")

SCHEMES = [client.AS_IT_IS, client.LZ4, client.GROUPED_LZ4]
CHUNKS = [bytes([65 + index]) * (40 + index) + b"tail" for index in range(8)]
PACKED = b"".join(client.pack_chunk(chunk, SCHEMES[index % 3]) for index, chunk in enumerate(CHUNKS))
FOOTER = b"XETBLOB\x01" + bytes(84)
Term = client.Term


def read(data: bytes) -> xorb.Xorb:
    return xorb.read(BytesIO(data))


@contextmanager
def memory_below(limit: int) -> Iterator[None]:
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] < limit
    finally:
        tracemalloc.stop()


# hashes


def test_hash_strings_are_those_of_the_client() -> None:
    hello = [(hashes.chunk_hash(b"hello"), 5)]
    assert (
        hashes.to_string(hashes.file_hash(hello)) == "48a3213a086cad271381aafe47232eb5df291a963cebbfec071972eff45eb422"
    )
    assert hashes.to_string(bytes(range(32))).startswith("07060504030201000f0e")
    assert hashes.to_string(hashes.file_hash([])) == "0" * 64


@given(st.binary(min_size=32, max_size=32))
def test_hash_strings_round_trip(digest: bytes) -> None:
    assert hashes.from_string(hashes.to_string(digest)) == digest


@pytest.mark.parametrize(
    "text", ["", "0" * 63, "0" * 65, "G" * 64, "A" * 64, "0" * 64 + "\n", "０" * 64, "0x" + "0" * 62]
)
def test_what_is_no_hash_string_is_refused(text: str) -> None:
    with pytest.raises(BadRequest, match="no Xet hash"):
        hashes.from_string(text)


def test_folding_the_tree_gives_the_root_of_the_definition() -> None:
    noise = random.Random(0)
    for size in [*range(60), 1000]:
        nodes = [(noise.randbytes(32), noise.randrange(1 << 17)) for _ in range(size)]
        assert hashes.aggregated_hash(iter(nodes)) == root_by_definition(nodes), size


def root_by_definition(nodes: list[hashes.Node]) -> bytes:
    """The tree as the specification tells it: a whole level at a time."""
    if not nodes:
        return bytes(32)
    while len(nodes) > 1:
        level, rest = [], nodes
        while rest:
            ends = [i + 1 for i in range(2, min(9, len(rest))) if struct.unpack("<4Q", rest[i][0])[3] % 4 == 0]
            cut = ends[0] if ends else min(9, len(rest))
            level.append(hashes._parent(rest[:cut]))
            rest = rest[cut:]
        nodes = level
    return nodes[0][0]


# xorbs


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("length", [1, 2, 3, 4, 5, 4097, 65536, xorb.MAX_CHUNK])
def test_a_chunk_round_trips(scheme: int, length: int) -> None:
    chunk = random.Random(length).randbytes((length + 1) // 2) * 2
    packed = client.pack_chunk(chunk[:length], scheme)
    assert xorb.decode(packed) == chunk[:length]
    assert list(read(packed).chunks()) == [(hashes.chunk_hash(chunk[:length]), length, len(packed))]


def test_the_hash_does_not_depend_on_how_chunks_are_packed() -> None:
    expected = client.xorb_hash(CHUNKS)
    assert {read(client.pack_xorb(CHUNKS, scheme)).hash for scheme in SCHEMES} == {expected}
    assert read(PACKED).hash == expected
    assert read(PACKED + FOOTER).table == read(PACKED).table


def test_the_table_finds_any_stretch_of_chunks(tmp_path: Path) -> None:
    path = tmp_path / "xorb"
    path.write_bytes(PACKED)
    inspected = xorb.inspect(path)
    table = xorb.Xorb(inspected.hash, inspected.table)
    assert table == inspected
    assert len(table) == len(CHUNKS)
    for start in range(len(CHUNKS)):
        for stop in range(start + 1, len(CHUNKS) + 1):
            first, last = table.byte_range(start, stop)
            assert xorb.decode(PACKED[first:last]) == b"".join(CHUNKS[start:stop])
            assert [length for _, length, _ in table.chunks(start, stop)] == [len(c) for c in CHUNKS[start:stop]]


def test_a_damaged_table_is_noticed() -> None:
    table = read(PACKED).table
    swapped = table[40:80] + table[:40] + table[80:]
    no_length = table[:32] + bytes(4) + table[36:]
    for damaged in (b"", table[:-1], swapped, no_length, table[:36] + b"\xff\xff\xff\xff"):
        with pytest.raises(ValueError, match="chunk table"):
            xorb.Xorb("0" * 64, damaged)


def test_as_many_chunks_as_a_client_sends_and_no_more() -> None:
    chunk = client.pack_chunk(b"x")
    assert len(read(chunk * xorb.MAX_CHUNKS)) == xorb.MAX_CHUNKS
    with pytest.raises(BadRequest, match="at most 8192 chunks"):
        read(chunk * (xorb.MAX_CHUNKS + 1))


FRAME = lz4.frame.compress(b"a" * 100, store_size=False)
frame_chunk = client.frame_chunk
LIAR = lz4.frame.compress(b"a" * 100, store_size=True)

ODD_XORBS = {
    "nothing": (b"", "no chunks"),
    "only a footer": (FOOTER, "no chunks"),
    "a version of the future": (frame_chunk(b"abc", 0, 3, version=1), "version 1"),
    "an unknown scheme": (frame_chunk(b"abc", 3, 3), "scheme 3"),
    "a chunk of nothing": (frame_chunk(b"", 0, 0), "length of 0 bytes"),
    "a chunk that is too long": (frame_chunk(bytes(131073), 0, 131073), "length of 131073"),
    "a chunk packed into too much": (frame_chunk(bytes(262145), 1, 100), "packed into 262145"),
    "an end within a chunk": (PACKED[:-1], "chunk 7 .* by its header"),
    "an end within a header": (PACKED + b"\0\0\0", "3 bytes behind"),
    "something else behind it": (PACKED + b"XETBLOG!" + bytes(80), "version 88"),
    "an endless footer": (PACKED + FOOTER + bytes(1000), "footer of 1092 bytes"),
    "plain bytes, fewer than said": (frame_chunk(b"abc", 0, 4), "does not unpack to the 4 bytes"),
    "plain bytes, more than said": (frame_chunk(b"abcde", 0, 4), "does not unpack to the 4 bytes"),
    "no frame": (frame_chunk(b"abcdefghijk", 1, 11), "no LZ4 frame"),
    "an empty frame": (frame_chunk(b"", 1, 11), "does not unpack"),
    "a frame that unpacks to less": (frame_chunk(FRAME, 1, 101), "does not unpack to the 101"),
    "a frame that unpacks to more": (frame_chunk(FRAME, 1, 99), "does not unpack to the 99"),
    "a frame without its end": (frame_chunk(FRAME[:-4], 1, 100), "does not unpack"),
    "bytes behind a frame": (frame_chunk(FRAME + b"\0", 1, 100), "does not unpack"),
    "two frames": (frame_chunk(FRAME + FRAME, 1, 200), "does not unpack"),
    "a frame to be skipped": (frame_chunk(b"\x50\x2a\x4d\x18\4\0\0\0spam" + FRAME, 1, 100), "does not unpack"),
    "a frame of another size": (frame_chunk(LIAR.replace(b"\x64\0\0\0", b"\x65\0\0\0"), 1, 100), "no LZ4 frame"),
    "grouped, and less": (frame_chunk(FRAME, 2, 101), "does not unpack to the 101"),
}


@pytest.mark.parametrize(("data", "message"), ODD_XORBS.values(), ids=ODD_XORBS)
def test_an_odd_xorb_is_refused(data: bytes, message: str) -> None:
    with pytest.raises(BadRequest, match=message):
        read(data)


@pytest.mark.parametrize("scheme", [client.LZ4, client.GROUPED_LZ4])
def test_a_bomb_is_not_expanded(scheme: int) -> None:
    bomb = lz4.frame.compress(bytes(60_000_000), block_size=lz4.frame.BLOCKSIZE_MAX4MB)
    assert len(bomb) < xorb.MAX_PACKED
    packed = frame_chunk(bomb, scheme, xorb.MAX_CHUNK)
    with memory_below(3 * xorb.MAX_CHUNK + len(bomb)), pytest.raises(BadRequest, match="does not unpack"):
        read(packed)


def test_a_xorb_is_read_in_constant_memory(tmp_path: Path) -> None:
    path = tmp_path / "xorb"
    path.write_bytes(client.pack_chunk(bytes(xorb.MAX_CHUNK), client.GROUPED_LZ4) * 500)
    with memory_below(1_000_000):
        assert len(xorb.inspect(path)) == 500


# shards


def refuse_shard(data: bytes, message: str) -> None:
    with pytest.raises(BadRequest, match=message):
        shard.parse(data)


def parse_file(terms: list[client.Term], flags: int = client.VERIFIED) -> shard.FileRecord:
    return shard.parse(client.pack_shard([client.pack_file(terms, flags)])).files[0]


TABLES = {read(PACKED).hash: read(PACKED)}
TERMS = [Term(CHUNKS, 0, 3), Term(CHUNKS, 5, 8), Term(CHUNKS, 1, 2), Term(CHUNKS, 1, 2)]


def test_a_shard_round_trips() -> None:
    contents = [b"a" * 100_000, b"", b"b" * 10]
    sent = client.upload(contents)
    parsed = shard.parse(sent.shard)
    tables = {name: read(data) for name, data in sent.xorbs.items()}
    assert [record.hash for record in parsed.files] == sent.hashes
    assert [record.sha256 for record in parsed.files] == [client.sha256(content) for content in contents]
    assert [shard.check_file(record, tables) for record in parsed.files] == [100_000, 0, 10]
    assert parsed.xorbs == (shard.XorbRecord(next(iter(tables)), 3),)
    assert shard.parse(client.pack_shard([], footer=bytes(200))) == shard.Shard((), ())


def test_a_file_may_name_chunks_again_and_out_of_order() -> None:
    record = parse_file(TERMS)
    assert record.sha256 is None
    assert [(term.start, term.end) for term in record.terms] == [(0, 3), (5, 8), (1, 2), (1, 2)]
    assert shard.check_file(record, TABLES) == sum(len(chunk) for term in TERMS for chunk in term.chunks)


def test_every_cut_of_a_shard_is_refused() -> None:
    data = client.pack_shard([client.pack_file(TERMS)], [CHUNKS])
    for length in range(len(data)):
        with pytest.raises(BadRequest):
            shard.parse(data[:length])


def test_an_odd_shard_is_refused() -> None:
    data = client.pack_shard([client.pack_file(TERMS)], [CHUNKS])
    refuse_shard(b"X" + data[1:], "tag, version or footer")
    refuse_shard(data[:32] + b"\3" + data[33:], "tag, version or footer")
    refuse_shard(data[:40] + b"\1" + data[41:], "tag, version or footer")
    refuse_shard(data + b"\0", "1 bytes follow")
    refuse_shard(data + bytes(200), "200 bytes follow")
    refuse_shard(data[:40] + b"\xc8" + data[41:], "0 bytes follow")
    refuse_shard(client.pack_shard([client.pack_file(TERMS, client.VERIFIED | 1)]), "flags 0x80000001")
    refuse_shard(client.pack_shard([client.pack_file([Term(CHUNKS, 2, 2)])]), "without chunks")
    refuse_shard(client.pack_shard([client.pack_file([Term(CHUNKS, 3, 2)])]), "without chunks")


def test_a_shard_cannot_ask_for_more_than_it_holds() -> None:
    file = struct.pack("<32sIIQ", bytes(32), client.VERIFIED, 0xFFFFFFFF, 0)
    block = struct.pack("<32sIIQ", bytes(32), 0, 0xFFFFFFFF, 0)
    with memory_below(100_000):
        refuse_shard(client.pack_shard([file]), "ends before the 4294967295 records")
        refuse_shard(client.pack_shard([])[:-48] + block, "ends before the 4294967295 records")


def test_a_shard_has_limits() -> None:
    refuse_shard(bytes(shard.MAX_BYTES + 1), "at most 67108864 bytes")
    names_too_much = Term(CHUNKS, 0, shard.MAX_CHUNKS + 1)
    refuse_shard(client.pack_shard([client.pack_file([names_too_much])]), "at most 16777216 chunks")
    empty = client.pack_file([], client.VERIFIED)
    too_many = client.pack_shard([empty * (shard.MAX_BLOCKS + 1)])
    with memory_below(100_000_000):
        refuse_shard(too_many, "at most 131072 files")


def with_field(record: bytes, offset: int, value: bytes) -> bytes:
    return record[:offset] + value + record[offset + len(value) :]


ONE_TERM = client.pack_file([Term(CHUNKS, 2, 5)], client.VERIFIED)
WRONG_FILES = {
    "a stranger's xorb": (with_field(ONE_TERM, 48, bytes(32)), "no such xorb here"),
    "a chunk behind the last": (with_field(ONE_TERM, 92, b"\x09"), "has 8 chunks"),
    "a wrong length": (with_field(ONE_TERM, 84, b"\x01"), "bytes, not 1"),
    "a wrong verification hash": (with_field(ONE_TERM, 96, b"\0\0"), "missing or wrong"),
    "no verification hash": (client.pack_file([Term(CHUNKS, 2, 5)], 0), "missing or wrong"),
    "another file's hash": (with_field(ONE_TERM, 0, bytes(32)), "make up file"),
    "the hash of a file, and nothing in it": (with_field(client.pack_file([]), 0, b"\1"), "make up file 0000"),
}


@pytest.mark.parametrize(("block", "message"), WRONG_FILES.values(), ids=WRONG_FILES)
def test_a_file_that_is_not_what_it_says_is_refused(block: bytes, message: str) -> None:
    record = shard.parse(client.pack_shard([block])).files[0]
    with pytest.raises(BadRequest, match=message):
        shard.check_file(record, TABLES)


# anything at all


@st.composite
def mutations(draw: st.DrawFn, data: bytes) -> bytes:
    """`data` with a few bytes overwritten, inserted, removed or repeated."""
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(data)))
        length = draw(st.integers(0, 60))
        new = draw(st.one_of(st.binary(max_size=8), st.just(data[at : at + length]), st.just(b"\xff" * 4)))
        data = data[:at] + new + data[at + draw(st.sampled_from([len(new), len(new), len(new), 0, length])) :]
    return data


fuzz: Callable = settings(max_examples=400, deadline=None, derandomize=True)


@fuzz
@given(st.one_of(mutations(PACKED), mutations(PACKED + FOOTER), st.binary(max_size=200)))
def test_a_xorb_is_what_its_hash_says_or_refused(data: bytes) -> None:
    try:
        found = read(data)
    except BadRequest:
        return
    content = xorb.decode(data[slice(*found.byte_range(0, len(found)))])
    lengths = [length for _, length, _ in found.chunks()]
    chunks = [content[sum(lengths[:i]) : sum(lengths[: i + 1])] for i in range(len(lengths))]
    assert sum(lengths) == len(content)
    assert found.hash == client.xorb_hash(chunks)


@fuzz
@given(mutations(client.pack_shard([client.pack_file(TERMS), client.pack_file([]), ONE_TERM], [CHUNKS])))
def test_a_shard_is_what_its_hashes_say_or_refused(data: bytes) -> None:
    try:
        sizes = [(record, shard.check_file(record, TABLES)) for record in shard.parse(data).files]
    except BadRequest:
        return
    for record, size in sizes:
        terms = [Term(CHUNKS, term.start, term.end) for term in record.terms]
        assert record.hash == client.file_hash(terms)
        assert size == sum(len(chunk) for term in terms for chunk in term.chunks)
