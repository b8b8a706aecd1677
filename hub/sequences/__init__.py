"""Sequences of nucleotides and of amino acids: their alphabets, FASTA, rows of tables, and logos."""
