"""Calls of a student's functions, one file for each assignment. They run in the student's process."""
