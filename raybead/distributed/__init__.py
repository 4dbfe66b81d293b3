"""The only room that knows Ray: one file a stage, and the session."""
