"""How a student's functions are called, one file an assignment. They run in the student's process."""
