"""What lies on disk: bare git repositories, and a content-addressed blob store. Nothing else touches their paths."""
