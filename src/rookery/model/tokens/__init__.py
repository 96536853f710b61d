"""What does a tokenizer.json say, and how are its merges learned?"""
