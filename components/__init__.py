"""Thin KFP components, one a stage."""
