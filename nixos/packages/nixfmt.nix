# nixfmt, where nixpkgs has it the one in Rust: the same bytes come out, and no Haskell is needed to get it.
{ pkgs }: pkgs.nixfmt-rs or pkgs.nixfmt
