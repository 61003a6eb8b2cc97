"""What a component declares beside operations, resources and listeners: settings of its own, pages of the console."""
