"""What keeps a broadcast going: decisions are pure, the process is at the edge."""
