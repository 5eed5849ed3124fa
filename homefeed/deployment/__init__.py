"""Stage 12: a published release is put into service, asked, and taken back where it fails."""
