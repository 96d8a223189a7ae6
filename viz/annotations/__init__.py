"""viz/annotations"""
