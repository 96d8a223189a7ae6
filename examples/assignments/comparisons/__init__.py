"""How answers are compared with what is right, by assignment: pure data and no solution, so that a kit can hold it."""
