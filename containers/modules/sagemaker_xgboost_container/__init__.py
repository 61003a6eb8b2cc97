"""What scripts import from the XGBoost image: reading data, decoding requests, several hosts, checkpoints."""
