"""HTTP: one module a topic, each with a `router`. They parse and answer; what is done stands in the modules above.

Paths are matched as they were sent: clients quote a revision (`refs%2Fpr%2F1`) or a path into one segment, which
decoding would tear apart. The converters of `paths` match quoted segments and hand over decoded values.
"""
