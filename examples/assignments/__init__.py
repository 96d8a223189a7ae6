"""The course kit: five assignments, the checker that explains mistakes, and what graders need. See README.md."""
