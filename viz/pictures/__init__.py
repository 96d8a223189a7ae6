"""viz/pictures"""
