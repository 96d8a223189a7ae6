"""viz/layout"""
