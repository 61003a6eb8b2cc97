"""The parts that all frameworks share."""
