"""The step after publishing: the release is put into service, where that is wanted."""
