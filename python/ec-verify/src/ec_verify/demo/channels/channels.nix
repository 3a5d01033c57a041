# What the appliance broadcasts: one service for each channel.
[
  { name = "news"; multiplex = "7-1"; }
  { name = "weather"; multiplex = "7-2"; }
  { name = "films"; multiplex = "9-1"; }
]
