# The first user space: one file, as an archive would be.
{ tools, modules, ... }:
tools.sh "initrd-6.12.9" { inherit modules; } ''
  {
    printf '070701 initrd\0'
    read -r module < "$modules/lib/modules/6.12.9/overlay.ko" || [ -n "$module" ]
    printf '%s\0' "$module"
  } > "$out"
''
