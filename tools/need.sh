#!/bin/sh
# Installs Debian packages whose command is missing: need.sh <command>:<package>…
# With --dry-run first, only says what it would do.
set -eu

dry_run=
if [ "${1-}" = --dry-run ]; then
    dry_run=yes
    shift
fi

missing=
for pair in "$@"; do
    # sshd and friends stand outside an ordinary user's PATH.
    if ! PATH="$PATH:/usr/sbin:/sbin" command -v "${pair%%:*}" >/dev/null 2>&1; then
        missing="$missing ${pair#*:}"
    fi
done
[ -n "$missing" ] || exit 0

install="apt-get install -y --no-install-recommends$missing"
if [ -n "$dry_run" ]; then
    echo "would run: $install"
    exit 0
fi
if ! command -v apt-get >/dev/null 2>&1; then
    echo "missing, and there is no apt-get to install:$missing" >&2
    exit 2
fi
as_root=
if [ "$(id -u)" != 0 ]; then
    if ! command -v sudo >/dev/null 2>&1 || ! sudo -n true 2>/dev/null; then
        echo "missing:$missing" >&2
        echo "run this as root, then try again: $install" >&2
        exit 2
    fi
    as_root="sudo -n"
fi
echo "installing:$missing"
# A stale list is only a problem where the packages are not found; unattended, no questions.
$as_root env DEBIAN_FRONTEND=noninteractive sh -c "$install || { apt-get update && $install; }" \
    </dev/null >&2
