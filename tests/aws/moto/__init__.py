"""What moto answers."""
