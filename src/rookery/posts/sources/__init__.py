"""In which format is a file, and which posts does it hold?"""
