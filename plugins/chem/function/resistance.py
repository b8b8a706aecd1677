"""ResFinder: genes that make bacteria resistant, and against which classes of antibiotics."""

from __future__ import annotations

import hashlib
import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

from medhub.data import Table
from medhub.sequences.alphabets import DNA
from medhub.sequences.fasta import Record, iterate_fasta

from .grouping import similar_families
from .rows import rows_of
from .translation import translate

# fmt: off
CLASSES = {
    "aminoglycoside": (
        "Amikacin", "Apramycin", "Arbekacin", "Astromicin", "Butirosin", "Dibekacin", "Fortimicin", "Gentamicin",
        "Hygromycin", "Isepamicin", "Kanamycin", "Kasugamycin", "Lividomycin", "Neomycin", "Netilmicin", "Paromomycin",
        "Ribostamycin", "Sisomicin", "Spectinomycin", "Streptomycin", "Tobramycin",
    ),
    "beta-lactam": (
        "Amoxicillin", "Ampicillin", "Aztreonam", "Cefepime", "Cefixime", "Cefotaxime", "Cefoxitin", "Ceftazidime",
        "Ceftiofur", "Ceftriaxone", "Cephalothin", "Ertapenem", "Imipenem", "Meropenem", "Penicillin", "Piperacillin",
        "Temocillin", "Ticarcillin",
    ),
    "fosfomycin": ("Fosfomycin",),
    "fusidic acid": ("Fusidic_acid",),
    "glycopeptide": ("Teicoplanin", "Vancomycin"),
    "ionophore": ("Maduramicin", "Narasin", "Salinomycin"),
    "lincosamide": ("Clindamycin", "Lincomycin"),
    "macrolide": (
        "Azithromycin", "Carbomycin", "Erythromycin", "Oleandomycin", "Spiramycin", "Telithromycin", "Tylosin",
    ),
    "oxazolidinone": ("Linezolid",),
    "phenicol": ("Chloramphenicol", "Florfenicol"),
    "pleuromutilin": ("Tiamulin",),
    "polymyxin": ("Colistin",),
    "quinolone": ("Ciprofloxacin", "Fluoroquinolone", "Nalidixic_acid"),
    "streptogramin": (
        "Dalfopristin", "Pristinamycin_IA", "Pristinamycin_IIA", "Quinupristin", "Virginiamycin_M", "Virginiamycin_S",
    ),
    "sulfonamide": ("Sulfamethoxazole",),
    "tetracycline": ("Doxycycline", "Minocycline", "Tetracycline", "Tigecycline"),
    "trimethoprim": ("Trimethoprim",),
}
# fmt: on
"""The antibiotics of each class, as ResFinder spells them. Left out are inhibitors of beta-lactamases, and bleomycin,
metronidazole, mupirocin and rifampicin: one family makes resistant against each, so that none stays to be tested."""
CLASS_OF = {drug: name for name, drugs in CLASSES.items() for drug in drugs}
SHARE = 0.1
"""Share of its words that a protein has in common with a relative."""
PARTS = ("train", "train", "train", "validation", "test")
"""From what part a family is, by its hash; the largest family of each class is always in train."""


def load_resistance(paths: Mapping[str, Path]) -> Table:
    """Return the proteins of the genes, copies merged, with a split that has families of each class in train."""
    dropped: Counter[str] = Counter()
    classes: dict[str, set[str]] = {}
    for record in iterate_fasta(paths["resfinder.fasta.gz"], alphabet=DNA):
        protein, found = translate(record.sequence, name=record.name), _classes(record)
        if not found:
            dropped["gene without a known antibiotic, or of a class with one family"] += 1
            continue
        dropped["another gene of a protein"] += protein in classes
        classes.setdefault(protein, set()).update(found)
    families = similar_families([*classes], share=SHARE)
    parts = _deal(families, [*classes.values()])
    names = tuple(CLASSES)
    rows = [
        {
            "input": protein,
            "labels": [float(name in found) for name in names],
            "group": family,
            "split": parts[family],
        }
        for (protein, found), family in zip(classes.items(), families, strict=True)
    ]
    return Table(
        rows=rows_of(rows),
        label_names=names,
        dropped=dropped,
        notes=(
            "The split called official is MedHub's own: families of proteins that share a tenth of their words of four "
            "amino acids, the largest family of each class in train, the others dealt to the three parts. A test "
            "protein is at most a distant relative of what training has seen.",
            "A gene counts for the class of any antibiotic that ResFinder lists; an empty list is unknown, not none. "
            "There is no gene in the data that makes resistant against nothing.",
        ),
    )


def _classes(record: Record) -> set[str]:
    """Return the classes of the antibiotics that a record's name lists, alone or combined."""
    *_, drugs = record.name.split("~~~")
    return {CLASS_OF[drug] for drug in re.split("[;+]", drugs) if drug in CLASS_OF}


def _deal(families: Sequence[str], classes: Sequence[set[str]]) -> dict[str, str]:
    """Return each family's part, whole."""
    members = Counter(families)
    of_class: defaultdict[str, set[str]] = defaultdict(set)
    for family, found in zip(families, classes, strict=True):
        for name in found:
            of_class[name].add(family)
    part_of = {family: _drawn(family) for family in members}
    for found in of_class.values():
        part_of[max(sorted(found), key=members.__getitem__)] = "train"
    return part_of


def _drawn(family: str) -> str:
    """Return a part by a hash, which is the same on every machine."""
    return PARTS[int(hashlib.sha256(family.encode()).hexdigest(), 16) % len(PARTS)]
