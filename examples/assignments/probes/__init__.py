"""How a student's functions are called, one file an assignment. These run in the student's process: no solutions here."""
