"""viz/stepper_page"""
