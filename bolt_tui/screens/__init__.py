"""The desk's dialogs. Each returns a choice and sends nothing itself."""
