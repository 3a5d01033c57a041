"""The program that encodes: its command line, its words, its process."""
