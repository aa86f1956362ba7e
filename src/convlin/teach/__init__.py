"""Lessons and a page: what convolutions and fully connected layers have to do with each other."""
