#!/bin/sh
# The main job, shown on a real server: run.sh <countersign binary>
#
# A loopback sshd with forced commands serves this project's own history from a bare repository.
# Every command shown is run; every outcome is checked, and the first that differs ends the demo
# with exit code 1. Everything lives in one temporary directory, which is removed at the end.
set -eu

main() {
    binary=$(realpath "${1:?usage: demo/run.sh <countersign binary>}")
    root=$(cd "$(dirname "$0")/.." && pwd)
    colours
    scratch
    people

    title "A bare repository with this project's history, and who may vouch for what"
    bare_clone
    policy
    title "The admin enrols it"
    run countersign enroll "$repo"
    expect "pre-receive is in place" test -x "$repo/hooks/pre-receive"
    expect "post-receive is in place" test -x "$repo/hooks/post-receive"
    run cat "$repo/hooks/pre-receive"
    serve

    title "Alice pushes a change to main that nobody has reviewed"
    alice_commits
    before=$(tip)
    refused git -C alice push origin main
    expect "it names what is missing" grep -q 'missing-approvals' last
    expect "main did not move" test "$(tip)" = "$before"

    title "So she shares it on a branch that nothing protects"
    run git -C alice push origin main:refs/heads/alice/greeting
    expect "main still did not move" test "$(tip)" = "$before"

    title "Bob looks at it and approves, with nothing but git"
    bob_approves
    expect "main still did not move" test "$(tip)" = "$before"

    title "The same push lands"
    run git -C alice push origin main
    expect "main is at Alice's commit" test "$(tip)" = "$head"

    title "Who reviewed what stands in the record, and can be recomputed"
    records
    title "Done: two people saw it, and the record says who"
}

records() {
    run countersign -C "$repo" log show
    expect "the record names the reviewer" grep -q bob last
    run countersign -C "$repo" verify history
    run countersign -C "$repo" verify commit "$head" --onto main
    say "A commit from before enrolment is not reviewed, and nothing says it is:"
    refused countersign -C "$repo" verify commit "$before" --onto main
    expect "it is baseline" grep -q baseline last
}

# --- the cast -------------------------------------------------------------------------------

people() {
    for name in alice bob; do
        ssh-keygen -q -t ed25519 -N '' -C "$name@laptop" -f "keys/$name"
    done
}

bare_clone() {
    head=$(git -C "$root" rev-parse --verify --quiet 'HEAD^{commit}') ||
        fail "$root is no git checkout with a commit"
    run git clone --quiet --bare "$root" "$repo"
    if [ -e "$repo/shallow" ]; then
        say "(This checkout is shallow: its newest tree, as one commit, stands for the history.)"
        rm -rf "$repo"
        git init --quiet --bare "$repo"
        cp -R "$(git -C "$root" rev-parse --path-format=absolute --git-path objects)/." "$repo/objects/"
        head=$(git -C "$repo" commit-tree -m "A snapshot" "$head^{tree}")
    fi
    # A checkout may be detached, or on any branch.
    git -C "$repo" update-ref refs/heads/main "$head"
    git -C "$repo" symbolic-ref HEAD refs/heads/main
    chmod -R go-w "$repo"
}

policy() {
    git clone --quiet "$repo" admin
    mkdir -p admin/.countersign
    for name in alice bob; do
        cat <<TOML
[people.$name]
emails = ["$name@example.com"]
logins = ["$name"]
keys   = [{ ssh = "$(cat "keys/$name.pub")" }]

TOML
    done >admin/.countersign/people.toml
    cat >>admin/.countersign/people.toml <<'TOML'
[teams]
developers = ["alice", "bob"]
TOML
    cat >admin/.countersign/policy.toml <<'TOML'
version          = 1
repository       = "git.example.com/countersign"
approvals_expire = "30d"

[[ref]]
match = ["refs/heads/main"]

[[rule]]
name    = "two people see every change"
require = ["1 of @developers"]
TOML
    run cat admin/.countersign/policy.toml
    git -C admin add .countersign
    git -C admin -c user.name=Admin -c user.email=admin@example.com \
        commit --quiet -m "Say who may vouch for what"
    run git -C admin push --quiet origin HEAD:refs/heads/main
}

alice_commits() {
    clone_as alice
    run cd alice
    echo "Hello from Alice." >greeting.txt
    git add greeting.txt
    run git commit --quiet -m "Greet"
    cd "$work"
    head=$(git -C alice rev-parse HEAD)
}

bob_approves() {
    clone_as bob
    run cd bob
    run git show --stat --oneline origin/alice/greeting
    run git tag -s countersign/ok "$head" \
        -m "countersign: approve refs/heads/main of git.example.com/countersign"
    run git push origin "refs/tags/countersign/ok:refs/countersign/reviews/$head/bob"
    run git tag -d countersign/ok
    cd "$work"
}

# A developer's machine: who they are, and the ssh key they sign with.
clone_as() {
    run git clone --quiet "ssh://$1.demo$repo" "$1"
    git -C "$1" config user.name "$1"
    git -C "$1" config user.email "$1@example.com"
    git -C "$1" config gpg.format ssh
    git -C "$1" config user.signingKey "$work/keys/$1"
}

tip() {
    git -C "$repo" rev-parse refs/heads/main
}

# --- the server -----------------------------------------------------------------------------

serve() {
    say "Each person's key is tied to their name by a forced command:"
    run_to authorized_keys countersign -C "$repo" people export --authorized-keys
    sshd=$(PATH="$PATH:/usr/sbin:/sbin" command -v sshd) || fail "sshd is not installed"
    ssh-keygen -q -t ed25519 -N '' -f keys/host
    if [ "$(id -u)" = 0 ] && [ ! -d /run/sshd ]; then
        mkdir -p /run/sshd
        made_run_sshd=yes
    fi
    tries=0
    until start_sshd; do
        tries=$((tries + 1))
        [ "$tries" -lt 20 ] || fail "sshd did not start: $(cat sshd.log)"
    done
    ssh_config
    say "sshd is listening on 127.0.0.1, port $port."
}

start_sshd() {
    port=$((20000 + $(od -An -N2 -tu2 /dev/urandom) % 40000))
    sshd_config >sshd_config
    : >sshd.log
    "$sshd" -D -e -f "$work/sshd_config" 2>sshd.log &
    sshd_pid=$!
    waited=0
    while [ "$waited" -lt 50 ] && kill -0 "$sshd_pid" 2>/dev/null; do
        if grep -q 'Server listening' sshd.log; then
            return 0
        fi
        sleep 0.1
        waited=$((waited + 1))
    done
    stop_sshd
    return 1
}

# Nothing of this machine's own configuration, and no password, can let anybody in. git there
# sees none of this account's configuration.
sshd_config() {
    pam=no
    # Without PAM, sshd lets nobody into an account whose password is locked.
    case $(getent shadow "$(id -un)" 2>/dev/null | cut -d: -f2) in
    '!'*) pam=yes ;;
    esac
    cat <<CONFIG
ListenAddress 127.0.0.1
Port $port
HostKey $work/keys/host
PidFile $work/sshd.pid
AuthorizedKeysFile $work/authorized_keys
AuthenticationMethods publickey
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin prohibit-password
StrictModes no
UsePAM $pam
LogLevel INFO
SetEnv "PATH=$PATH" GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_NOSYSTEM=1
CONFIG
}

# One name of the server for each person: on it, all share one account, and the key says who.
ssh_config() {
    echo "demo $(cut -d' ' -f1,2 keys/host.pub)" >known_hosts
    for name in alice bob; do
        cat <<CONFIG
Host $name.demo
    HostName 127.0.0.1
    Port $port
    User $(id -un)
    IdentityFile $work/keys/$name
    IdentityAgent none
    IdentitiesOnly yes
    HostKeyAlias demo
    UserKnownHostsFile $work/known_hosts
    StrictHostKeyChecking yes
    BatchMode yes
CONFIG
    done >ssh_config
    export GIT_SSH_COMMAND="ssh -F $work/ssh_config"
}

# --- the stage ------------------------------------------------------------------------------

scratch() {
    work=$(mktemp -d "${TMPDIR:-/tmp}/countersign-demo.XXXXXX")
    sshd_pid='' made_run_sshd=''
    trap cleanup EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM
    work=$(cd "$work" && pwd -P)
    repo=$work/countersign.git
    cd "$work"
    mkdir bin keys home
    ln -s "$binary" bin/countersign
    # Nothing of this account's own git configuration takes part.
    export HOME="$work/home" GIT_CONFIG_GLOBAL="$work/home/.gitconfig" GIT_CONFIG_NOSYSTEM=1
    unset GIT_DIR GIT_WORK_TREE GIT_INDEX_FILE GIT_SSH_COMMAND SSH_AUTH_SOCK COUNTERSIGN_PUSHER
    export PATH="$work/bin:$PATH:$(git --exec-path)"
    git config --global safe.directory '*'
    git config --global advice.detachedHead false
}

stop_sshd() {
    [ -n "$sshd_pid" ] || return 0
    kill "$sshd_pid" 2>/dev/null || true
    wait "$sshd_pid" 2>/dev/null || true
    sshd_pid=''
}

cleanup() {
    status=$?
    trap - EXIT
    stop_sshd
    [ -z "$made_run_sshd" ] || rmdir /run/sshd 2>/dev/null || true
    cd /
    rm -rf "$work"
    exit "$status"
}

colours() {
    bold='' dim='' red='' plain=''
    if [ -t 1 ] && [ -z "${NO_COLOR-}" ] && [ "${TERM-dumb}" != dumb ]; then
        esc=$(printf '\033')
        bold="$esc[1m" dim="$esc[2m" red="$esc[31m" plain="$esc[0m"
    fi
}

title() {
    printf '\n%s== %s%s\n' "$bold" "$*" "$plain"
}

say() {
    printf '%s\n' "$*"
}

# Prints a command as one could type it.
show() {
    line=
    for word; do
        case $word in
        *[!A-Za-z0-9_./:=@%+,-]* | '') line="$line '$(printf %s "$word" | sed "s/'/'\\\\''/g")'" ;;
        *) line="$line $word" ;;
        esac
    done
    printf '%s$%s%s\n' "$dim" "$line" "$plain"
}

# Runs what must succeed; what it printed is also in `last`.
run() {
    show "$@"
    if [ "$1" = cd ]; then
        cd "$2"
        return
    fi
    status=0
    "$@" >"$work/last" 2>&1 || status=$?
    cat "$work/last"
    [ "$status" = 0 ] || fail "exit code $status where 0 was expected"
}

run_to() {
    file=$1
    shift
    show "$@"
    "$@" >"$work/$file" || fail "exit code $? where 0 was expected"
    cat "$work/$file"
}

# Runs what must be refused: exit code 1, as Countersign and git push both say it.
refused() {
    show "$@"
    status=0
    "$@" >"$work/last" 2>&1 || status=$?
    cat "$work/last"
    [ "$status" = 1 ] || fail "exit code $status where 1 was expected"
}

expect() {
    what=$1
    shift
    "$@" || fail "not so: $what"
    printf '%s   (checked: %s)%s\n' "$dim" "$what" "$plain"
}

fail() {
    printf '%sthe demo failed: %s%s\n' "$red" "$*" "$plain" >&2
    exit 1
}

main "$@"
