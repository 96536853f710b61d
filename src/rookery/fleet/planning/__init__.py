"""What does a layout need of memory and time?"""
