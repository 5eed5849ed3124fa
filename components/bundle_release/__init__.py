"""What serving needs becomes one immutable release."""
