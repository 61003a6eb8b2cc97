"""The inference toolkit, by the functions that scripts use: content types, encoders, decoders, errors."""
