"""The Hub: repositories, large files, accounts and pages, for the unmodified Hugging Face clients and for git.

    settings     what the operator decides            storage/     git repositories and the blob store
    database     SQL, its tables and migrations       xet/         the chunk-addressed transport, and its formats
    routes/      HTTP in, HTTP out, a module a topic  web/         pages for people

Between them stand the plain functions that routes, pages and the command line share, a module a topic: accounts,
access, repositories, commits, discussions, audit and so on. It needs neither torch nor a plugin: what runs a model for
visitors is a process of its own (demos).
"""
