"""Chemistry: what its three tasks share (molecules: SMILES, SDF, scaffolds)."""
