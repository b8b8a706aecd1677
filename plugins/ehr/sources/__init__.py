"""Public data sets that several EHR tasks learn from: what each is, and its patients as records."""
