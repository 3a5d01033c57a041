"""What is said about a release besides its metadata: SBOMs, provenance, and a signature for people."""
