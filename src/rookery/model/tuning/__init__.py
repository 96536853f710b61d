"""How does a finished model go on to learn a task: chats, a platform's posts, search?"""
