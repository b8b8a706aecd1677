"""Imaging: what its three tasks share (reading DICOM, NIfTI and pictures)."""
