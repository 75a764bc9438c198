#!/bin/sh
# Installs clickhouse-backfill:  curl -fsSL <address>/install.sh | sh
# Or with options:               curl -fsSL <address>/install.sh | sh -s -- --dir /usr/local/bin
# For any POSIX shell. `sh install.sh --help` tells the rest.
set -eu

# The releases' address: a release puts its own in place of the word in at signs.
BASE_URL=${CLICKHOUSE_BACKFILL_BASE_URL:-@BASE_URL@}
PROGRAM=clickhouse-backfill
work=

usage() {
  cat <<END
Installs $PROGRAM: downloads the release for this machine, checks its
SHA-256, and puts the one file into a folder. Needs no root.

Usage: install.sh [--version <VERSION>] [--dir <FOLDER>]

  --version <VERSION>   A release such as v0.1.0 [latest]
  --dir <FOLDER>        Where to put it; created if missing [~/.local/bin]
  -h, --help            Print this text

CLICKHOUSE_BACKFILL_BASE_URL is the address of the releases, for mirrors. Files
are taken from <address>/download/<VERSION>/ and <address>/latest/download/.
END
}

say() {
  printf '%s\n' "$*"
}

# Ends with code 1, or with 2 where the command line is wrong; each argument is a line.
fail() {
  code=1
  if [ "$1" = --usage ]; then
    code=2
    shift
  fi
  printf 'install.sh: %s\n' "$1" >&2
  shift
  [ $# -eq 0 ] || printf '  %s\n' "$@" >&2
  exit "$code"
}

clean_up() {
  [ -z "$work" ] || rm -rf -- "$work"
}

has() {
  command -v "$1" >/dev/null 2>&1
}

# Sets version and dir.
read_arguments() {
  version=latest
  dir=
  while [ $# -gt 0 ]; do
    case $1 in
      -h | --help)
        usage
        exit 0
        ;;
      --version=* | --dir=*)
        option=${1%%=*}
        value=${1#*=}
        ;;
      --version | --dir)
        [ $# -ge 2 ] || fail --usage "$1 has no value; see --help"
        option=$1
        value=$2
        shift
        ;;
      *) fail --usage "unknown argument \"$1\"; see --help" ;;
    esac
    shift
    [ -n "$value" ] || fail --usage "$option is empty; see --help"
    case $option in
      --version) version=$value ;;
      --dir) dir=$value ;;
    esac
  done
  case $version in
    latest) ;;
    *[!A-Za-z0-9._+-]*) fail --usage "--version \"$version\": expected a release such as v0.1.0" ;;
    [0-9]*) version=v$version ;;
  esac
  if [ -z "$dir" ]; then
    [ -n "${HOME:-}" ] || fail --usage "HOME is not set: name the folder with --dir"
    dir=$HOME/.local/bin
  fi
}

# Whether programs are made for musl here, as on Alpine. musl may also lie beside glibc, which then is the system's.
is_musl() {
  if has ldd; then
    case $(ldd --version 2>&1) in *musl*) return 0 ;; *) return 1 ;; esac
  fi
  for loader in /lib64/ld-linux-x86-64.so.2 /lib/ld-linux-aarch64.so.1; do
    [ ! -e "$loader" ] || return 1
  done
  [ -e "/lib/ld-musl-$machine.so.1" ]
}

# Sets target to the name that releases have for this system and processor.
find_target() {
  system=$(uname -s)
  machine=$(uname -m)
  case $system in
    Linux) os=linux ;;
    Darwin) os=darwin ;;
    MINGW* | MSYS* | CYGWIN*) fail "there is no release for Windows itself: use it in WSL" ;;
    *) fail "there is no release for $system: there are Linux and macOS (Darwin)" ;;
  esac
  case $machine in
    x86_64 | amd64) cpu=x64 ;;
    aarch64 | arm64) cpu=arm64 ;;
    *) fail "there is no release for the processor $machine: there are x86_64 and arm64" ;;
  esac
  # Under Rosetta uname tells the processor that is emulated.
  if [ "$os-$cpu" = darwin-x64 ] && [ "$(sysctl -n sysctl.proc_translated 2>/dev/null)" = 1 ]; then
    cpu=arm64
  fi
  libc=
  if [ "$os" = linux ] && is_musl; then
    libc=-musl
  fi
  target=$os-$cpu$libc
}

# Sets downloader and digester.
find_tools() {
  if has curl; then
    downloader=curl
  elif has wget; then
    downloader=wget
  else
    fail "neither curl nor wget is here: install one of them"
  fi
  if has sha256sum; then
    digester=sha256sum
  elif has shasum; then
    digester=shasum
  elif has openssl; then
    digester=openssl
  else
    fail "the download cannot be checked: install sha256sum (coreutils), shasum or openssl"
  fi
}

# download <file> <name>: fetches a file of the release, all of it, or fails.
download() {
  address=$releases/$2
  case $downloader in
    curl)
      # A file that comes over TLS must not be redirected to where there is none.
      case $address in https://*) protocols='=https' ;; *) protocols='=http,https' ;; esac
      curl -fsSL --proto "$protocols" --connect-timeout 20 --speed-limit 1 --speed-time 60 --retry 2 \
        -o "$1" "$address" 2>"$work/log" && return
      ;;
    wget)
      # BusyBox has a wget with few options.
      case $(wget --version 2>&1) in
        *"GNU Wget"*) wget -nv -t 3 -T 60 -O "$1" "$address" 2>"$work/log" && return ;;
        *) wget -O "$1" "$address" 2>"$work/log" && return ;;
      esac
      ;;
  esac
  fail "cannot download $address" "$(tail -n 1 "$work/log")" \
    "Nothing was installed. Check that the release exists and that this machine reaches the address."
}

# Sets file to what is to be downloaded, and expected to its digest. The archive is a third of the binary's size.
find_file() {
  download "$work/SHA256SUMS" SHA256SUMS
  file=
  expected=
  any=
  while read -r digest name; do
    [ ${#digest} -eq 64 ] || continue
    any=1
    case ${name#\*} in
      "$PROGRAM-$target.tar.gz")
        if ! has tar || ! has gzip; then continue; fi
        ;;
      "$PROGRAM-$target")
        [ -z "$file" ] || continue
        ;;
      *) continue ;;
    esac
    file=${name#\*}
    expected=$digest
  done <"$work/SHA256SUMS"
  [ -n "$any" ] || fail "what $releases/SHA256SUMS gives is no list of checksums" \
    "Is there a proxy or a login page in between? Nothing was installed."
  [ -n "$file" ] || fail "the release $version has no file for $target" \
    "Other releases may have one, see --version. Nothing was installed."
}

digest_of() {
  case $digester in
    sha256sum) line=$(sha256sum <"$1") ;;
    shasum) line=$(shasum -a 256 <"$1") ;;
    openssl)
      line=$(openssl dgst -sha256 <"$1")
      line=${line##* }
      ;;
  esac
  printf '%s\n' "${line%% *}"
}

# Leaves the program, checked and known to run, as $work/binary.
fetch() {
  download "$work/download" "$file"
  actual=$(digest_of "$work/download")
  [ "$actual" = "$expected" ] || fail "the checksum of $file is wrong" \
    "expected $expected" "received $actual" \
    "The download is incomplete or altered, or a release was published in between: try again. Nothing was installed."
  case $file in
    *.tar.gz)
      { gzip -dc "$work/download" | tar -xOf - "$PROGRAM-$target/$PROGRAM"; } >"$work/binary" 2>"$work/log" ||
        fail "$file cannot be unpacked" "$(tail -n 1 "$work/log")" "Is the disk full? Nothing was installed."
      ;;
    *) mv -- "$work/download" "$work/binary" ;;
  esac
  chmod 755 "$work/binary"
  installed=$("$work/binary" --version 2>"$work/log") || fail_to_run
}

fail_to_run() {
  reason="Is $dir on a file system from which nothing may be run (noexec)?"
  [ -z "$libc" ] || reason="It needs the C++ library, which Alpine does not bring along: apk add libstdc++"
  fail "the program does not run on this machine" "$(tail -n 1 "$work/log")" "$reason" "Nothing was installed."
}

hint_at_path() {
  case :$PATH: in
    *":$dir:"*)
      found=$(command -v "$PROGRAM") || found=
      [ "$found" = "$dir/$PROGRAM" ] || say "But in this shell's PATH $found comes first."
      ;;
    *)
      say "The folder is not in PATH. For this shell, and in its start-up file for later ones:"
      say "  export PATH=\"$dir:\$PATH\""
      ;;
  esac
}

main() {
  read_arguments "$@"
  case $BASE_URL in
    @*)
      fail "this copy does not know where the releases are" \
        "Take the install.sh of a release, or set CLICKHOUSE_BACKFILL_BASE_URL to the address of the releases."
      ;;
  esac
  find_target
  find_tools
  if [ "$version" = latest ]; then
    releases=${BASE_URL%/}/latest/download
  else
    releases=${BASE_URL%/}/download/$version
  fi

  mkdir -p -- "$dir" || fail "cannot make the folder $dir" "Name another one with --dir."
  # Absolute, and without a dash at its beginning.
  dir=$(cd -- "$dir" && pwd)
  [ ! -d "$dir/$PROGRAM" ] || fail "$dir/$PROGRAM is a folder" "Name another folder with --dir."

  trap clean_up EXIT
  trap 'exit 129' HUP
  trap 'exit 130' INT
  trap 'exit 143' TERM
  # Beside the destination, so that the last step is a rename.
  work=$(mktemp -d "$dir/.$PROGRAM.XXXXXX") || fail "cannot write into $dir" "Name another folder with --dir."

  say "Installing $PROGRAM ($version, $target) from $releases"
  say "into $dir; nothing else is changed."
  [ ! -e "$dir/$PROGRAM" ] || say "The $PROGRAM that is there is replaced."
  find_file
  say "Downloading $file ..."
  fetch
  say "The checksum is right."
  mv -f -- "$work/binary" "$dir/$PROGRAM"
  say "Installed $installed as $dir/$PROGRAM"
  hint_at_path
  say "Next: $PROGRAM --help"
}

# All on one line and last, so that a script that arrived in part does nothing.
{ main "$@"; }
