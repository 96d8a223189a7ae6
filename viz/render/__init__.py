"""viz/render"""
