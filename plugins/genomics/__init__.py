"""The genomics tasks, and what they share: a network that reads sequences, and the proteins of FLIP."""
