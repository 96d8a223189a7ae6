"""What is right, what each check asks, and what each usual mistake is called; by assignment."""
