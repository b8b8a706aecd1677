"""Coverage-guided fuzzing of the parsers of what strangers upload: xorbs and shards.

    python benchmarks/fuzz_xet.py xorb --runs 1000000
    python benchmarks/fuzz_xet.py shard --runs 1000000

Whatever the bytes, the parsers refuse them with BadRequest or find what the hashes say. Anything else ends the run
with a traceback and leaves the input in a file crash-*. Needs atheris, and Linux.
"""

from __future__ import annotations

import argparse
import multiprocessing
import sys
import tempfile
from io import BytesIO
from pathlib import Path

import atheris

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "server"))

with atheris.instrument_imports(include=["medhub.server.xet"]):
    from medhub.server.xet import shard, xorb

import xet_client as client

from medhub.server.errors import BadRequest

CHUNKS = [bytes([65 + index]) * (30 + index) + b"tail" for index in range(6)]
PACKED = {scheme: client.pack_xorb(CHUNKS, scheme) for scheme in (client.AS_IT_IS, client.LZ4, client.GROUPED_LZ4)}
FILES = [
    client.pack_file([client.Term(CHUNKS, 0, 6)]),
    client.pack_file([client.Term(CHUNKS, 1, 3), client.Term(CHUNKS, 1, 3)], client.VERIFIED),
    client.pack_file([]),
]
SEEDS = {
    "xorb": [*PACKED.values(), *(client.pack_chunk(CHUNKS[0], scheme) for scheme in PACKED), PACKED[0] + b"XETBLOB\1"],
    "shard": [client.pack_shard([file], [CHUNKS], footer=footer) for file in FILES for footer in (b"", bytes(200))],
}
TABLES = {client.xorb_hash(CHUNKS): xorb.read(BytesIO(PACKED[0]))}


def check_xorb(data: bytes) -> None:
    """Read a xorb; what it unpacks to must have its hash."""
    try:
        found = xorb.read(BytesIO(data))
    except BadRequest:
        return
    content = BytesIO(xorb.decode(data[slice(*found.byte_range(0, len(found)))]))
    chunks = [content.read(length) for _, length, _ in found.chunks()]
    assert not content.read()
    assert found.hash == client.xorb_hash(chunks)


def check_shard(data: bytes) -> None:
    """Parse a shard, and check its files against the one xorb that there is."""
    try:
        files = shard.parse(data).files
    except BadRequest:
        return
    for record in files:
        try:
            size = shard.check_file(record, TABLES)
        except BadRequest:
            continue
        terms = [client.Term(CHUNKS, term.start, term.end) for term in record.terms]
        assert record.hash == client.file_hash(terms)
        assert size == sum(len(chunk) for term in terms for chunk in term.chunks)


def fuzz(target: str, runs: int, corpus: str) -> None:
    """Fuzz one parser, from the seeds on. Does not return: libFuzzer ends the process."""
    for index, seed in enumerate(SEEDS[target]):
        Path(corpus, str(index)).write_bytes(seed)
    check = {"xorb": check_xorb, "shard": check_shard}[target]
    atheris.Setup([sys.argv[0], f"-runs={runs}", "-max_len=4096", "-print_final_stats=1", corpus], check)
    atheris.Fuzz()


def main() -> int:
    """Fuzz the parser that the command line names; return the exit status of the fuzzer."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("target", choices=SEEDS)
    parser.add_argument("--runs", type=int, default=100_000)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as corpus:
        child = multiprocessing.get_context("fork").Process(
            target=fuzz, args=(arguments.target, arguments.runs, corpus)
        )
        child.start()
        child.join()
    return child.exitcode or 0


if __name__ == "__main__":
    sys.exit(main())
