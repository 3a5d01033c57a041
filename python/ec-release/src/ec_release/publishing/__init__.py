"""Publishing one release: draft, upload, read back, publish, then metadata, the timestamp last."""
