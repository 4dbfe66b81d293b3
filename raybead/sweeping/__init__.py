"""Sweeps: which trials, what each is judged by, and the table of them all. Knows no Ray."""
