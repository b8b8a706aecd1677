"""The EHR tasks, and what they share: patients as streams of events, readers, windows in time, and features."""
