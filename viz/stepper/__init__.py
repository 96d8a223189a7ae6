"""viz/stepper"""
