"""Fragmented MP4 and HLS playlists, as values: no clock, disk or network."""
