#!/bin/sh
# Makes what a release consists of; `tools/package.sh --help` says how.
set -eu

usage() {
    cat <<'HELP'
usage: tools/package.sh [--binary <file>] <directory>

Builds Countersign as it is released and writes into <directory>, which is made where it is missing:

  countersign-<version>-<architecture>.tar.gz      unpacks to bin/ and share/
  countersign_<version>_<architecture>.deb
  SHA256SUMS                                       of both; `sha256sum -c SHA256SUMS`

The same sources and binary give the same bytes: every date is SOURCE_DATE_EPOCH, by default that of
the newest commit.

  --binary <file>  package this one instead of building
HELP
}

main() {
    root=$(cd "$(dirname "$0")/.." && pwd)
    binary= out=
    while [ $# -gt 0 ]; do
        case $1 in
        --binary)
            [ $# -ge 2 ] || wrong "--binary needs a file"
            binary=$2
            shift
            ;;
        --help | -h)
            usage
            exit 0
            ;;
        -*) wrong "no such option: $1" ;;
        *)
            [ -z "$out" ] || wrong "one directory, not two: $1"
            out=$1
            ;;
        esac
        shift
    done
    [ -n "$out" ] || wrong "name the directory to write to"
    scratch=$(mktemp -d)
    trap 'rm -rf "$scratch"' EXIT
    umask 022
    SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git -C "$root" log -1 --format=%ct)}
    export SOURCE_DATE_EPOCH
    [ -n "$binary" ] || build
    version=$("$binary" --version | sed -n 's/^countersign //p')
    [ -n "$version" ] || wrong "$binary does not say its version"
    architecture=$(dpkg --print-architecture)
    stage
    mkdir -p "$out"
    tarball
    package
    (cd "$scratch" && sha256sum -- *.tar.gz *.deb >SHA256SUMS)
    # Whole or not at all: a sum that is there is of files that are there.
    mv -f "$scratch"/*.tar.gz "$scratch"/*.deb "$out/"
    mv -f "$scratch/SHA256SUMS" "$out/"
    ls "$out"
}

# Needs nothing but glibc: the unwinder is linked in, by standing where the shared one would be looked for.
build() {
    mkdir "$scratch/lib"
    echo 'GROUP ( libgcc_eh.a libgcc.a )' >"$scratch/lib/libgcc_s.so"
    (cd "$root" && RUSTFLAGS="${RUSTFLAGS:-} -L native=$scratch/lib" \
        cargo build --locked --release --bin countersign)
    target=$(cd "$root" && cargo metadata --locked --format-version 1 --no-deps |
        sed -n 's/.*"target_directory":"\([^"]*\)".*/\1/p')
    binary=$target/release/countersign
}

# What both unpack to.
stage() {
    files=$scratch/files
    mkdir -p "$files/bin" "$files/share/man/man1" "$files/share/bash-completion/completions" \
        "$files/share/zsh/site-functions" "$files/share/fish/vendor_completions.d" \
        "$files/share/doc/countersign" "$files/share/countersign"
    install -m 755 "$binary" "$files/bin/countersign"
    strip --strip-unneeded "$files/bin/countersign"
    ln -s countersign "$files/bin/git-countersign"
    "$binary" generate man "$files/share/man/man1" >"$scratch/pages"
    gzip -9 -n "$files"/share/man/man1/*.1
    "$binary" generate completions bash >"$files/share/bash-completion/completions/countersign"
    "$binary" generate completions zsh >"$files/share/zsh/site-functions/_countersign"
    "$binary" generate completions fish >"$files/share/fish/vendor_completions.d/countersign.fish"
    for text in README SHORTCOMINGS SECURITY CHANGELOG; do
        install -m 644 "$root/$text.md" "$files/share/doc/countersign/"
    done
    cp -R "$root/docs/." "$files/share/doc/countersign/docs"
    cp -R "$root/templates" "$files/share/countersign/"
    find "$files" -exec touch --no-dereference --date="@$SOURCE_DATE_EPOCH" {} +
}

tarball() {
    tar --create --sort=name --mtime="@$SOURCE_DATE_EPOCH" --owner=0 --group=0 --numeric-owner \
        --transform="s,^\.,countersign-$version," -C "$files" . |
        gzip -9 -n >"$scratch/countersign-$version-$architecture.tar.gz"
}

package() {
    deb=$scratch/deb
    mkdir -p "$deb/DEBIAN" "$deb/usr"
    cp -a "$files/." "$deb/usr/"
    # The oldest C library that has every symbol the binary asks for.
    libc=$(objdump -T "$files/bin/countersign" | grep -o 'GLIBC_[0-9.]*' | sort -uV | tail -n 1)
    unwinder=
    for library in $(objdump -p "$files/bin/countersign" | sed -n 's/^ *NEEDED *//p'); do
        case $library in
        libc.so.* | libm.so.* | ld-linux*) ;;
        # Only a binary that was not built here.
        libgcc_s.so.1) unwinder=', libgcc-s1' ;;
        *) wrong "$binary needs $library, which no package of ours brings" ;;
        esac
    done
    size=$(du -k -s "$deb/usr" | cut -f 1)
    cat >"$deb/DEBIAN/control" <<CONTROL
Package: countersign
Version: $version
Architecture: $architecture
Maintainer: The Countersign maintainers <maintainers@countersign.example>
Installed-Size: $size
Depends: libc6 (>= ${libc#GLIBC_})$unwinder, git (>= 1:2.39)
Suggests: openssh-client, gnupg
Section: vcs
Priority: optional
Description: review enforcement for git, with a signed record
 Countersign stands in the hooks of a git server. A push to a protected ref
 lands only when people whom the policy names, and who had no hand in the
 change, have approved it with a signed tag. What landed, and who reviewed it,
 goes into a signed append-only record that anyone can recompute.
CONTROL
    find "$deb" -exec touch --no-dereference --date="@$SOURCE_DATE_EPOCH" {} +
    dpkg-deb --build --root-owner-group -Zgzip "$deb" "$scratch/countersign_${version}_$architecture.deb" >/dev/null
}

wrong() {
    echo "tools/package.sh: $1" >&2
    echo "hint: tools/package.sh --help" >&2
    exit 2
}

main "$@"
