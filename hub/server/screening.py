"""Screening: which files run code when they are loaded (protocol, sections 3.5 and 12, rule 7).

Pickles are known by their extension and by their first bytes, whatever they are called. Those of protocols 0 and 1 look
like text and are known by their extension only.
"""

from __future__ import annotations

import pickletools
import re
import sys
from collections.abc import Callable
from pathlib import PurePosixPath
from typing import Literal

from medhub.server.settings import Settings

SAMPLE = 4096
"""Bytes at the beginning of a file that are looked at; preupload sends 512 of them."""
DIRECTORY = 1 << 16
"""Bytes at the end of a ZIP archive, where the names of its files stand."""
PICKLES = frozenset((".pkl", ".pickle", ".joblib", ".pt", ".pth", ".ckpt", ".dill"))
DATA = frozenset(
    (".safetensors", ".gguf", ".json", ".jsonl", ".txt", ".md", ".csv", ".tsv", ".parquet", ".arrow", ".png", ".jpg",
     ".jpeg", ".nii", ".dcm", ".fasta", ".smi", ".sdf")
)  # fmt: skip
"""Formats that hold data only, for the readers in use."""
PROTOCOL = re.compile(rb"\x80[\x02-\x05]")
ZIP = b"PK\x03\x04"
NUMPY = b"\x93NUMPY"
INSTRUCTIONS = {ord(instruction.code): instruction for instruction in pickletools.opcodes}
LENGTH_BYTES = {
    pickletools.TAKEN_FROM_ARGUMENT1: 1, pickletools.TAKEN_FROM_ARGUMENT4: 4, pickletools.TAKEN_FROM_ARGUMENT4U: 4,
    pickletools.TAKEN_FROM_ARGUMENT8U: 8,
}  # fmt: skip
"""Bytes of an instruction's argument that say how long the rest of it is."""
OBJECTS = re.compile(rb"['\"]\|?O\d*['\"]")
"""A dtype whose elements are Python objects, which an .npy file holds as a pickle."""


def screen(path: str, head: bytes, size: int, settings: Settings) -> str | None:
    """Return why the Hub refuses a file of `size` bytes that begins with `head`, or None where it takes it."""
    if settings.pickles == "flag" or not (found := _pickle(path, head, size)):
        return None
    name = PurePosixPath(path).name
    if name == "training_args.bin":
        cure = "delete it, nobody needs it to use the model"
    else:
        cure = 'save weights as safetensors and tables as Parquet, or ask the operator to set pickles = "flag"'
    return f"{path} {found}, which can run code on the machine that loads it; {cure}"


def status(path: str, head: bytes) -> Literal["safe", "unsafe", "unscanned"]:
    """Return the status of a file in `securityFileStatus`; "safe" are only formats that hold nothing but data."""
    if _pickle(path, head, sys.maxsize):
        return "unsafe"
    return "safe" if PurePosixPath(path).suffix.lower() in DATA else "unscanned"


def sample(size: int, read: Callable[[int, int], bytes]) -> bytes:
    """Return what screening looks at: a file's head and, of a ZIP archive, its end, by `read(start, stop)`."""
    head = read(0, min(size, SAMPLE))
    if head.startswith(ZIP) and size > SAMPLE:
        head += read(max(SAMPLE, size - DIRECTORY), size)
    return head


def _pickle(path: str, head: bytes, size: int) -> str | None:
    """Return how a file is known to be a pickle, or None."""
    if (extension := PurePosixPath(path).suffix.lower()) in PICKLES:
        return f"has the extension {extension} of pickles"
    if head.startswith(ZIP) and b"data.pkl" in head:
        return "is an archive of PyTorch with a pickle in it"
    if head.startswith(NUMPY) and OBJECTS.search(head[:SAMPLE]):
        return "is a NumPy array of Python objects, a pickle"
    return "is a pickle" if PROTOCOL.match(head) and _parses(head[:SAMPLE], size) else None


def _parses(head: bytes, size: int) -> bool:
    """Whether the bytes are a pickle's instructions, as far as they go; random ones soon are not."""
    at = 0
    while at < len(head):
        instruction = INSTRUCTIONS.get(head[at])
        if instruction is None:
            return False
        if instruction.name == "STOP":
            return True
        if instruction.name == "FRAME" and int.from_bytes(head[at + 1 : at + 9], "little") > size:
            return False  # unpicklers give up here
        at += 1 + _argument_length(instruction, head[at + 1 :])
    return True


def _argument_length(instruction: pickletools.OpcodeInfo, data: bytes) -> int:
    """Return how many bytes of `data` the instruction takes."""
    length = instruction.arg.n if instruction.arg else 0
    if length == pickletools.UP_TO_NEWLINE:
        lines = data.split(b"\n", 2)[: 2 if instruction.name in {"GLOBAL", "INST"} else 1]
        return sum(len(line) + 1 for line in lines)
    prefix = LENGTH_BYTES.get(length)
    return length if prefix is None else prefix + int.from_bytes(data[:prefix], "little")
