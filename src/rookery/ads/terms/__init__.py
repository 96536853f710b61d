"""What does an advertiser ask for?"""
