"""The genomics tasks, and what they share: alphabets and FASTA."""
