"""Xet, the chunk-addressed transport: clients send new chunks only, and files as lists of chunks.

    hashes   what a chunk, a xorb and a file are called      shard   which chunks make up which file
    xorb     many chunks in one upload, packed               (the routes speak HTTP, these modules only bytes)

Source: the Xet protocol specification, https://huggingface.co/docs/xet.
"""
