"""The bytes of a member of a tar, a zip or a batch, read without unpacking."""
