"""What the verbs do that aren't stages of a job: clusters elsewhere, and what is told of runs."""
