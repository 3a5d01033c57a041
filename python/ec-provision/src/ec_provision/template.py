"""A node.toml to start from. A module and no file of data, so that it is wherever the program is."""

TEXT = """\
# The data of one node. Check it with `ec-provision check FILE`, then put it into one of these places; the first
# that has one counts:
#   1. the systemd credential `node.toml`
#   2. the address of the kernel parameter `ec.node=`
#   3. a partition labelled EC-NODE, as `node.toml`
#   4. /var/lib/every-channel/node.toml
# What stands behind a `#` without a space is an example.
schema = "ec-runner.node.v1"

# The host name: one label of small letters, digits and dashes. Without it, the name stays as it is.
name = "runner-7"

# Whoever holds one of these keys may log in as root. Options that narrow a key may stand in front of it.
ssh_keys = [
  #"ssh-ed25519 AAAA… operator@example.org",
  #'from="10.0.0.0/8",restrict,pty ssh-ed25519 AAAA… on-call@example.org',
]

# Where reports go. The token is a secret: it enrols this node once, and may be removed afterwards.
#[dashboard]
#url = "https://dashboard.example.org"
#token = "…"

# What this node publishes, one table for each.
#[[broadcast]]
#name = "channel-4"
#input = "hdhomerun://10A1B2C3/4.1"
"""
