"""How machines come by iPXE: TFTP and ProxyDHCP, which dnsmasq does, configured and watched by us."""
