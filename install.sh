#!/bin/sh
# Builds and installs Countersign; `./install.sh --help` says how.
set -eu

usage() {
    cat <<'HELP'
usage: ./install.sh [--prefix <dir>] [--demo] [--dry-run]
       ./install.sh --uninstall [--prefix <dir>] [--dry-run]

Builds Countersign and installs <prefix>/bin/countersign, with git-countersign beside it so that
`git countersign` works, man pages, and completions for bash, zsh and fish below <prefix>/share.
Running it again renews what is there.

  --prefix <dir>  where to (default: ~/.local)
  --demo          then show the main job, over a real sshd on this machine; installs
                  openssh and git with apt-get where they are missing
  --uninstall     remove what was installed, and nothing else
  --dry-run       only say what would be done
  --help          this text
HELP
}

main() {
    root=$(cd "$(dirname "$0")" && pwd)
    prefix=${HOME:-/root}/.local
    demo= dry_run= uninstall=
    while [ $# -gt 0 ]; do
        case $1 in
        --prefix)
            [ $# -ge 2 ] || wrong "--prefix needs a directory"
            prefix=$2
            shift
            ;;
        --prefix=*) prefix=${1#*=} ;;
        --demo) demo=yes ;;
        --dry-run) dry_run=--dry-run ;;
        --uninstall) uninstall=yes ;;
        --help | -h)
            usage
            exit 0
            ;;
        *) wrong "no such option: $1" ;;
        esac
        shift
    done
    case $prefix in
    /*) ;;
    '') wrong "--prefix needs a directory" ;;
    *) prefix=$PWD/$prefix ;;
    esac
    manifest=$prefix/share/countersign/manifest

    if [ -n "$uninstall" ]; then
        [ -z "$demo" ] || wrong "--uninstall and --demo do not go together"
        remove
        return
    fi
    build
    install_files
    if [ -n "$demo" ]; then
        if [ -n "$dry_run" ]; then
            sh "$root/tools/need.sh" --dry-run sshd:openssh-server ssh:openssh-client git:git
            echo "would run: demo/run.sh $prefix/bin/countersign"
        else
            sh "$root/tools/need.sh" sshd:openssh-server ssh:openssh-client git:git
            sh "$root/demo/run.sh" "$prefix/bin/countersign"
        fi
    fi
}

# The dev profile: tests and demo share one build.
build() {
    if ! command -v cargo >/dev/null 2>&1 && [ -f "${CARGO_HOME:-$HOME/.cargo}/env" ]; then
        . "${CARGO_HOME:-$HOME/.cargo}/env"
    fi
    if ! command -v cargo >/dev/null 2>&1; then
        echo "install.sh: cargo is missing; install Rust first: https://rustup.rs" >&2
        exit 2
    fi
    sh "$root/tools/need.sh" $dry_run cc:build-essential
    if [ -n "$dry_run" ]; then
        echo "would run: cargo build --locked --bin countersign"
        return
    fi
    (cd "$root" && cargo build --locked --bin countersign)
    target=$(cd "$root" && cargo metadata --locked --format-version 1 --no-deps |
        sed -n 's/.*"target_directory":"\([^"]*\)".*/\1/p')
    built=$target/debug/countersign
    [ -x "$built" ] || {
        echo "install.sh: cargo left no $built" >&2
        exit 3
    }
}

# Where things go, below the prefix.
pages=share/man/man1
bash=share/bash-completion/completions/countersign
zsh=share/zsh/site-functions/_countersign
fish=share/fish/vendor_completions.d/countersign.fish

install_files() {
    if [ -n "$dry_run" ]; then
        echo "would install: $prefix/bin/countersign"
        echo "would link:    $prefix/bin/git-countersign -> countersign"
        echo "would install: man pages in $prefix/$pages"
        for path in $bash $zsh $fish; do
            echo "would install: $prefix/$path"
        done
        echo "would note all in: $manifest"
        return
    fi
    stage=$(mktemp -d)
    trap 'rm -rf "$stage"' EXIT
    for path in $pages/x $bash $zsh $fish; do
        mkdir -p "$stage/${path%/*}"
    done
    "$built" generate man "$stage/$pages" >/dev/null
    for shell in bash zsh fish; do
        eval "path=\$$shell"
        "$built" generate completions $shell >"$stage/$path"
    done
    mkdir -p "$prefix/bin" "$prefix/share/countersign"
    # The manifest first: whatever is put in place is already in it, also what an older version put.
    {
        printf '%s\n' bin/countersign bin/git-countersign
        (cd "$stage" && find share -type f)
        cat "$manifest" 2>/dev/null || true
    } | sort -u >"$manifest.new"
    mv -f "$manifest.new" "$manifest"
    # Beside it and renamed, so that a hook running right now keeps its binary.
    cp "$built" "$prefix/bin/.countersign.new"
    chmod 755 "$prefix/bin/.countersign.new"
    mv -f "$prefix/bin/.countersign.new" "$prefix/bin/countersign"
    rm -f "$prefix/bin/git-countersign"
    ln -s countersign "$prefix/bin/git-countersign"
    (cd "$stage" && find share -type f) | while read -r path; do
        install -D -m 644 "$stage/$path" "$prefix/$path"
    done
    echo "installed: $prefix/bin/countersign, with man pages and completions"
    case :$PATH: in
    *":$prefix/bin:"*) ;;
    *) echo "not in your PATH yet: export PATH=\"$prefix/bin:\$PATH\"" ;;
    esac
}

remove() {
    if [ ! -f "$manifest" ]; then
        echo "nothing installed below $prefix"
        return
    fi
    while read -r path; do
        # Only names that this script writes, whatever the file says.
        case $path in
        bin/countersign | bin/git-countersign | $bash | $zsh | $fish) ;;
        $pages/*/*) continue ;;
        $pages/countersign.1 | $pages/countersign-*.1 | $pages/git-countersign.1) ;;
        *) continue ;;
        esac
        if [ -n "$dry_run" ]; then
            echo "would remove: $prefix/$path"
        else
            rm -f "$prefix/$path"
            echo "removed: $prefix/$path"
        fi
    done <"$manifest"
    if [ -n "$dry_run" ]; then
        echo "would remove: $manifest"
        return
    fi
    rm -f "$manifest"
    rmdir "$prefix/share/countersign" 2>/dev/null || true
    echo "repositories that are still enrolled refuse every push until it is installed again"
}

wrong() {
    echo "install.sh: $1" >&2
    usage >&2
    exit 2
}

main "$@"
