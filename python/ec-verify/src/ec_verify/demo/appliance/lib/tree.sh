# Writes a tar archive to standard output with shell builtins: directory, file, program, link; then finish.
LC_ALL=C

zeros() { # COUNT
  local text
  printf -v text '%*s' "$1" ''
  printf "${text// /\\0}"
}

field() { # WIDTH TEXT
  [ ${#2} -le "$1" ] || { echo "too long for a tar archive: $2" >&2; exit 1; }
  printf %s "$2"
  zeros $(($1 - ${#2}))
}

entry() { # TYPE MODE PATH TARGET SIZE
  # The checksum is the sum of the header's bytes, its own field counted as eight spaces.
  local mode size path=root/$3 text sum=256 index code
  printf -v mode %07o "$2"
  printf -v size %011o "$5"
  text=$path${mode}00000000000000${size}00000000000$1$4ustar00
  for ((index = 0; index < ${#text}; index++)); do
    printf -v code %d "'${text:index:1}"
    sum=$((sum + code))
  done
  field 100 "$path"
  field 8 "$mode"; field 8 0000000; field 8 0000000
  field 12 "$size"; field 12 00000000000
  printf '%06o\0 ' "$sum"
  field 1 "$1"; field 100 "$4"
  printf 'ustar\00000'
  zeros 247
}

directory() { entry 5 0755 "$1/" "" 0; }
link() { entry 2 0777 "$1" "$2" 0; }
file() { entry 0 "${3:-0644}" "$1" "" ${#2}; printf %s "$2"; zeros $(((512 - ${#2} % 512) % 512)); }
program() { file "$1" "$2" 0755; }
finish() { zeros 1024; }

entry 5 0755 "" "" 0
