"""How does a finished model go on to learn a task: a platform's posts, chats, search?"""
