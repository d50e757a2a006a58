#!/bin/sh
# Writes the seed corpora beside it: make.sh <countersign binary>
#
# Real objects, keys and signatures by git, ssh-keygen and gpg as installed, a real record, and
# beside them what attackers make of such things. One folder for each function in
# `tests/fuzz/targets`. Run once; kept, because keys and signatures differ every time.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
countersign=$(realpath "${1:?usage: make.sh <countersign binary>}")
work=$(mktemp -d)
trap 'GNUPGHOME="$work/gpg" gpgconf --kill all 2>/dev/null; rm -rf "$work"' EXIT
umask 022
export HOME="$work" GNUPGHOME="$work/gpg" GIT_CONFIG_NOSYSTEM=1 LC_ALL=C
export GIT_AUTHOR_NAME="A U Thor" GIT_AUTHOR_EMAIL=a@example.com GIT_AUTHOR_DATE="1700000000 +0130"
export GIT_COMMITTER_NAME="C O Mitter" GIT_COMMITTER_EMAIL=c@example.com GIT_COMMITTER_DATE="1700000001 -0800"
a=1111111111111111111111111111111111111111
b=2222222222222222222222222222222222222222
who='author A <a@x> 1 +0000
committer C <c@x> 2 +0000'

# put <function> <name>: what is on standard input becomes a seed.
put() {
    mkdir -p "$here/$1"
    cat >"$here/$1/$2"
}

ssh_keys() {
    for type in ed25519 ecdsa rsa; do
        ssh-keygen -q -t $type -N '' -C "$type@laptop" -f "$work/$type"
        put ssh_key $type <"$work/$type.pub"
    done
    for bits in 384 521; do
        ssh-keygen -q -t ecdsa -b $bits -N '' -C '' -f "$work/p$bits"
        put ssh_key p$bits <"$work/p$bits.pub"
    done
    cut -d' ' -f2 "$work/ed25519.pub" | base64 -d >"$work/blob"
    put ssh_key blob <"$work/blob"
    cut -d' ' -f2 "$work/rsa.pub" | base64 -d | put ssh_key blob-rsa
    # Security keys as OpenSSH's PROTOCOL.u2f has them.
    { printf '\0\0\0\032sk-ssh-ed25519@openssh.com\0\0\0\040'; tail -c 32 "$work/blob"; printf '\0\0\0\4ssh:'; } |
        put ssh_key blob-sk
    { printf 'sk-ssh-ed25519@openssh.com '; base64 -w0 "$here/ssh_key/blob-sk"; } | put ssh_key sk
    { printf '\0\0\0\042sk-ecdsa-sha2-nistp256@openssh.com\0\0\0\010nistp256'; cut -d' ' -f2 "$work/ecdsa.pub" |
        base64 -d | tail -c 69; printf '\0\0\0\4ssh:'; } | put ssh_key blob-sk-ecdsa
    printf 'ssh-rsa %s' "$(cut -d' ' -f2 "$work/ed25519.pub")" | put ssh_key another-type
    printf 'ssh-dss AAAA' | put ssh_key dss
    # The point of order one.
    { printf '\0\0\0\013ssh-ed25519\0\0\0\040\1'; head -c 31 /dev/zero; } | put ssh_key blob-weak
}

# certified <seed> <public key> <option>…: a certificate by the CA.
certified() {
    cp "$2" "$work/to-certify.pub"
    seed=$1
    shift 2
    ssh-keygen -q -s "$work/ca" -I "$seed at work" -V 20200101:20400101 "$@" "$work/to-certify.pub"
    cut -d' ' -f2 "$work/to-certify-cert.pub" | base64 -d | put ssh_certificate "$seed"
}

certificates() {
    ssh-keygen -q -t ed25519 -N '' -C users@ca -f "$work/ca"
    ssh-keygen -q -t ed25519 -N '' -C '' -f "$work/grace"
    for type in ed25519 ecdsa rsa p384 p521; do
        certified $type "$work/$type.pub" -n grace@example.com -z 7
    done
    certified sk "$here/ssh_key/sk" -n grace@example.com -O verify-required -O no-touch-required
    certified host "$work/ed25519.pub" -h -n example.com
    certified options "$work/ed25519.pub" -n a,b,c -O force-command=x -O source-address=10.0.0.0/8 -O critical:x@y=z
    certified nobody "$work/ed25519.pub"
    head -c 200 "$here/ssh_certificate/rsa" | put ssh_certificate cut
    { cat "$here/ssh_certificate/sk"; printf x; } | put ssh_certificate trailing
    # What is signed with.
    certified grace "$work/grace.pub" -n grace@example.com,staff -z 9
    cp "$work/to-certify-cert.pub" "$work/grace-cert.pub"
}

gpg_keys() {
    mkdir -m 700 "$work/gpg"
    for type in ed25519 rsa nistp256; do
        algorithm=$type
        [ $type != rsa ] || algorithm=rsa2048
        gpg --batch --quiet --passphrase '' --quick-generate-key "$type <$type@example.com>" $algorithm sign never
        gpg --armor --export $type@example.com | put openpgp_key $type
        gpg --export $type@example.com | put openpgp_key $type-packets
    done
    gpg --batch --quiet --passphrase '' --quick-generate-key "Sub <sub@example.com>" ed25519 cert never
    sub=$(gpg --with-colons --list-keys sub@example.com | sed -n 's/^fpr:*\([0-9A-F]*\):$/\1/p' | head -n 1)
    gpg --batch --quiet --passphrase '' --quick-add-key "$sub" ed25519 sign 2y
    gpg --batch --quiet --passphrase '' --quick-add-key "$sub" cv25519 encr never
    gpg --export sub@example.com | put openpgp_key subkeys-packets
    gpg --batch --quiet --passphrase '' --quick-set-expire "$sub" 1y '*'
    gpg --export sub@example.com | put openpgp_key expiring-packets
    { echo y; echo 0; echo; echo y; } | gpg --no-tty --yes --command-fd 0 --gen-revoke sub@example.com 2>/dev/null |
        gpg --batch --quiet --import
    gpg --export sub@example.com | put openpgp_key revoked-packets
    { cat "$here/openpgp_key/ed25519-packets" "$here/openpgp_key/rsa-packets"; } | put openpgp_key two-packets
    head -c 100 "$here/openpgp_key/rsa-packets" | put openpgp_key cut-packets
}

# sign_with <key>: configures git to sign with it.
sign_with() {
    case $1 in
    openpgp-*) git config gpg.format openpgp && git config user.signingKey "${1#openpgp-}@example.com" ;;
    certified) git config gpg.format ssh && git config user.signingKey "$work/grace-cert.pub" ;;
    *) git config gpg.format ssh && git config user.signingKey "$work/$1" ;;
    esac
}

signed_objects() {
    for format in sha1 sha256; do
        git init -q --object-format=$format -b main "$work/$format"
        cd "$work/$format"
        mkdir -p a a.b .github/workflows
        echo 1 >a/x && echo 2 >a.b/x && echo 3 >a-b && echo 4 >é.yml && echo 5 >.github/workflows/ci.yml
        ln -s a-b link && printf '#!/bin/sh\n' >run && chmod +x run
        git add .
        git update-index --add --cacheinfo "160000,$(printf %s "$(git hash-object -w a-b)"),sub"
        git commit -q -m root
        git cat-file tree 'HEAD^{tree}' | put tree $format
        git cat-file commit HEAD | put commit $format-plain
        for key in certified ed25519 ecdsa rsa openpgp-ed25519 openpgp-rsa openpgp-nistp256; do
            sign_with $key
            git commit -q --allow-empty -S -m "By $key" -m "Co-authored-by: B <b@example.com>"
            git cat-file commit HEAD | put verify $format-commit-$key
            git tag -s $key -m "countersign: approve refs/heads/main of git.example.com/payments" -m "Looks good."
            git cat-file tag $key | put verify $format-tag-$key
        done
        git cat-file commit HEAD | sed 's/^By /by /' | put verify $format-forged
        git cat-file commit HEAD~5 | put commit $format-ssh
        git cat-file commit HEAD | put commit $format-openpgp
        git cat-file tag ed25519 | put tag $format-ssh
        git cat-file tag openpgp-rsa | put tag $format-openpgp
        git tag -a plain -m "Not signed" && git cat-file tag plain | put tag $format-plain
        git checkout -q -b side && git commit -q --allow-empty -m side && git tag -s merge -m "To merge"
        git checkout -q main && git -c i18n.commitEncoding=ISO-8859-1 merge -q --no-ff -S -m "Merge" merge
        git cat-file commit HEAD | put commit $format-mergetag
    done
    cd "$work/sha1"
    for key in ed25519 ecdsa rsa openpgp-ed25519 openpgp-rsa openpgp-nistp256; do
        sign_with $key
        if [ "${key#openpgp}" = "$key" ]; then
            ssh-keygen -q -Y sign -n git -f "$work/$key" <run >"$work/armor"
            grep -v -e ----- "$work/armor" | base64 -d | put sshsig $key
        else
            gpg --armor --detach-sign -u "${key#openpgp-}@example.com" <run >"$work/armor"
            gpg --dearmor <"$work/armor" | put openpgp_signature "${key#openpgp-}"
        fi
        put armor $key <"$work/armor"
    done
}

broken_objects() {
    head="tree $a
parent $b
$who"
    printf '%s\n' "$head" | put commit no-empty-line
    printf '%s\n\nm\0more\n' "$head" | put commit nul
    printf '%s\nparent %s\n\nm\n' "$head" $a | put commit late-parent
    printf '%s\n%s\n\nm\n' "$head" "$who" | put commit two-authors
    printf '%s\ngpgsig a\n b\ngpgsig c\n\nm\n' "$head" | put commit two-signatures
    printf '%s\ngpgsig a\n b\ngpgsig-sha256 c\n\nm\n' "$head" | put commit foreign-signature
    printf '%s\ngpgsig -----BEGIN\n \n  \n\nm\n' "$head" | put commit blank-lines-in-signature
    printf '%s\nencoding x\nchange-id y\n\nco-AUTHORED-by : B\n <b@x> <c@x\n' "$head" | put commit headers
    printf '%s\r\n\r\nm\r\n' "$head" | put commit crlf
    for ident in 'A U Thor <a@x> 1700000000 +0130' ' <> 0 -0800' 'A <a@x> <b@x> 1 +0000' 'A <a@x> 01 +0000' \
        'A <a@x> 18446744073709551616 +0000' 'A <a@x> 1 -0000' 'A a@x 1 +0000' 'A <a@x> 1 +00000' 'A <a@x>  1 +0000'; do
        n=$((${n:-0} + 1))
        printf '%s' "$ident" | put ident $n
    done
    tag="object $a
type commit
tag v1"
    printf '%s\n\nm\n' "$tag" | put tag no-tagger
    printf '%s\ntagger A <a@x> 1 +0000\n\nm\n-----BEGIN SSH SIGNATURE-----\nx\n-----BEGIN PGP SIGNATURE-----\n' "$tag" |
        put tag two-signatures
    printf '%s\ntagger A <a@x> 1 +0000\ngpgsig x\n\nm\n' "$tag" | put tag signature-header
    printf '%s\ntagger A <a@x> 1 +0000\n\n-----BEGIN PGP MESSAGE-----\n' "$tag" | put tag pgp-message
    id=12345678901234567890
    printf '100644 a\0%s100644 a\0%s' $id $id | put tree twice
    printf '100644 a.b\0%s40000 a\0%s100644 a0\0%s' $id $id $id | put tree directory-order
    printf '100644 zz\0%s100644 zz.txt\0%s40000 zz\0%s' $id $id $id | put tree file-and-directory
    printf '100644 A\0%s100644 a\0%s' $id $id | put tree case
    printf '40000 .git\0%s' $id | put tree dot-git
    printf '40000 GIT~1\0%s' $id | put tree short-name
    printf '40000 .g\342\200\214it\0%s' $id | put tree hfs
    printf '040000 a\0%s' $id | put tree zero
    printf '100664 a\0%s' $id | put tree mode
    printf '100644 a/b\0%s' $id | put tree slash
    printf '100644 \0%s' $id | put tree nameless
    printf '' | put tree empty
    printf '%s %s refs/heads/main\n%s %s refs/tags/v1\n' $a $b $b 0000000000000000000000000000000000000000 |
        put hook_lines two
    printf '%s%s %s%s refs/heads/main\n' $a 111111111111111111111111 $b 222222222222222222222222 | put hook_lines sha256
    printf '%s %s refs/heads/main\n%s %s refs/heads/main\n' $a $b $b $a | put hook_lines repeated
    printf '%s %s refs/heads/a b' $a $b | put hook_lines space
    zero=0000000000000000000000000000000000000000
    printf '%s %s refs/heads/main\n%s %s HEAD\n' $zero $b $a $b | put ref_writes head
    printf '%s ref:refs/heads/x refs/heads/main\nref:refs/heads/y %s HEAD\n' $zero $zero | put ref_writes symbolic
    printf '%s%s %s%s refs/heads/main\n' $a 111111111111111111111111 $b 222222222222222222222222 | put ref_writes sha256
    printf '%s %s refs/heads/a b\n%s ref: x\n' $a $b $a | put ref_writes space
    printf '%s %s refs/heads/main' $a $b | put ref_writes cut
}

armours() {
    ssh=$(cat "$here/armor/ed25519") pgp=$(cat "$here/armor/openpgp-ed25519")
    printf '%s\n\n' "$pgp" | put armor as-github
    printf '%s\n%s\n' "$ssh" "$ssh" | put armor two
    printf '%s\n%s\n' "$pgp" "$ssh" | put armor mixed
    printf '%s\nafter\n' "$ssh" | put armor trailing
    printf '%s\n' "$pgp" | sed 's/^$/Version: x\nComment: y\n/' | put armor headers
    printf '%s\n' "$pgp" | sed 's/^=.*/=AAAA/' | put armor checksum
    printf -- '-----BEGIN SIGNED MESSAGE-----\nx\n-----END SIGNED MESSAGE-----\n' | put armor x509
    printf 'SSHSIG\0\0\0\1\0\0\0\0\0\0\0\3git\0\0\0\0\0\0\0\6sha512\0\0\0\0' | put sshsig empty-fields
    printf 'SSHSIG\0\0\0\1\377\377\377\377' | put sshsig long
    printf 'SSHSIG\0\0\0\2' | put sshsig version
    # A partial length, an old header with a needlessly long length, a packet of no known type.
    printf '\302\341a\0' | put openpgp_signature partial
    printf '\212\0\0\0\1\4' | put openpgp_signature long-length
    printf '\377\0' | put openpgp_signature unknown
}

# Push certificates as git sends them, one bent in each way that matters.
push_certs() {
    for format in sha1 sha256; do
        bare="$work/certs-$format.git"
        git init -q --bare --object-format=$format "$bare"
        git -C "$bare" config receive.certNonceSeed seed
        git -C "$bare" config receive.advertisePushOptions true
        printf '#!/bin/sh\ngit cat-file blob $GIT_PUSH_CERT >"$0.cert"\n' >"$bare/hooks/pre-receive"
        chmod +x "$bare/hooks/pre-receive"
        cd "$work/$format"
        for key in ed25519 openpgp-rsa; do
            sign_with $key
            git push -q --signed=yes -o one -o 'two words' "file://$bare" main:$key side:other-$key
            put push_cert $format-$key <"$bare/hooks/pre-receive.cert"
        done
    done
    cert="$here/push_cert/sha1-ed25519"
    grep -v '^nonce' "$cert" | put push_cert no-nonce
    sed 's/^nonce .*/&\n&/' "$cert" | put push_cert two-nonces
    sed 's/^certificate version 0.1/certificate version 0.2/' "$cert" | put push_cert version
    sed '/^-----BEGIN/,$d' "$cert" | put push_cert unsigned
    sed 's/^push-option/pushee/' "$cert" | put push_cert order
}

words() {
    first='countersign: approve refs/heads/main of git.example.com/payments'
    printf '%s\n\nLooks good.\n' "$first" | put review text
    printf '%s\nBase: %s\nTree: %s\nKeeps: %s\nKeeps: %s\n\nx\n\ny\n' "$first" $a $a $a $b | put review block
    printf 'countersign: withdraw refs/heads/main of x\nReplaces: %s%s\nOverride: %s%s\n' \
        $a 111111111111111111111111 $b 222222222222222222222222 | put review sha256
    printf 'countersign: reject refs/heads/main of a of b' | put review two-of
    printf '%s\nBase: %s\nBase: %s\n' "$first" $a $b | put review twice
    printf '%s\n Base: %s\n' "$first" $a | put review indented
    for name in refs/heads/main refs/tags/v1.0 refs/heads/ma$(printf '\342\200\215')in refs/heads/caf$(printf 'e\314\201') \
        refs/countersign/reviews/$a/bob refs/countersign/proposals/alice/x/y refs/heads/HEAD refs/tags/refs/heads/main \
        refs/remotes/origin/main refs/heads/$a refs/heads/a..b refs/heads/a.lock refs/heads/-x 'refs/heads/a@{1}' main \
        refs/heads/Main refs/heads/m$(printf '\320\260')in; do
        n=$((n + 1))
        printf '%s' "$name" | put ref_name $n
    done
    for name in .GitHub/Workflows/CI.yml 'a. ./b ' 'a\b' "$(printf 'A\315\205\314\201/\341\272\236\304\260. ')" \
        "$(printf 'a\342\200/b')" "$(printf '.g\342\200\214it\357\273\277/\360\235\226\206')"; do
        n=$((n + 1))
        printf '%s' "$name" | put fold $n
        printf '%s' "$name" | put display $n
    done
    printf 'a.sh\n#!/bin/sh\necho hello\n' | put hidden plain
    printf 'a.sh\n#!/bin/sh\n# \342\200\256 \342\200\213\n' | put hidden letters
    printf 'a.sh\n#!/bin/sh\n#\0\033[2J\rx\n' | put hidden controls
    printf '.gitattributes\n*.sh -diff\n*.png binary\n[attr]x linguist-generated\n' | put hidden attributes
    printf 'big.bin\nversion https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n' | put hidden pointer
    printf 'a.go\n// Code generated by x. DO NOT EDIT.\n' | put hidden generated
    printf 'a\033[31mb\r\n\302\233 \342\200\256 \363\240\201\201 %0100d \346\210\221' 1 | put display escapes
    printf 'a\nb\nc\n=\na\nB\nc\n=\na\nb\nc\nd\n' | put merge_lines both
    printf 'a\nb\nc\n=\na\nB\nc\n=\na\nX\nc\n' | put merge_lines conflict
    printf 'a\na\na\nb=\na\na\n=\nb\na\na' | put merge_lines repeated
    printf 'a\0b=\na=\nb' | put merge_lines binary
    for pattern in '*.yml
.github/workflows/ci.yml' '/a/**/b/
a/x/y/b/c' '**
a' 'a?[!b-d]\*
aéz*' '.GitHub/
.github/x' '*a*a*a*a*a*a*a*b
aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa' '**/a/**/a/**/a/**/b
a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a' 'refs/heads/main
refs/heads/main' '[z-a]' 'a**' '[' '\'; do
        n=$((n + 1))
        printf '%s' "$pattern" | put pattern $n
    done
    for place in '2 of @maintainers' '1 of @security|carol|any' '0 of any' '01 of any' '1 of a|a' '1 of ' '101 of any'; do
        n=$((n + 1))
        printf '%s' "$place" | put place $n
    done
}

# Lists of keys: allowed signers, a forge's keys, keyrings in each form.
lists() {
    ed25519=$(cat "$work/ed25519.pub") rsa=$(cat "$work/rsa.pub")
    printf '# signers\n\nalice@example.com,a@x %s\nbob@example.com namespaces="git",valid-after="20200101Z",valid-before="20400101000000Z" %s\n' \
        "$ed25519" "$rsa" | put allowed_signers people
    printf '*@example.com,!mallory@example.com cert-authority,NameSpaces="git,f*" %s' "$ed25519" | put allowed_signers authority
    printf '"a b@x,c"\t%s\r\n' "$ed25519" | put allowed_signers quoted
    printf '%s\n%s\n' "$ed25519" "$rsa" | put allowed_signers keys
    printf 'a@x valid-after="20200101" %s\n' "$ed25519" | put allowed_signers local-time
    printf 'a"b"@x restrict %s\n' "$ed25519" | put allowed_signers refused
    printf '# who\n* @alice bob@example.com\r\n/docs/ @org/docs # @nobody\n' | put owners github
    printf '^[Docs][2] @docs\n*.md @@maintainer a@b@c\n' | put owners gitlab
    printf '# @nobody\n/empty\n' | put owners nobody
    put keyring keybox <"$work/gpg/pubring.kbx"
    gpg --export | put keyring packets
    gpg --armor --export | put keyring armored
    { gpg --armor --export rsa@example.com; echo; gpg --armor --export sub@example.com; } | put keyring blocks
    gpg --batch --quiet --passphrase '' --pinentry-mode loopback --export-secret-keys ed25519@example.com | put keyring secret
}

files() {
    person() {
        printf '[people.%s]\nemails = ["%s@example.com"]\nlogins = ["%s"]\nkeys = [{ %s }]\n\n' "$1" "$1" "$1" "$2"
    }
    {
        person alice "ssh = \"$(cat "$work/ed25519.pub")\", from = 2020-01-02T00:00:00Z"
        person bob "ssh = \"$(cat "$work/ecdsa.pub")\", until = 2040-01-02T02:00:00+01:00"
        person carol "ssh = \"$(cat "$work/rsa.pub")\""
        person dana 'openpgp = "keys/ed25519.asc"'
        person erin 'openpgp = "keys/rsa.asc"'
        person frank 'openpgp = "keys/nistp256.asc"'
        printf '[people.grace]\n\n'
        printf '[people.release-bot]\nkind = "bot"\naccounts = { github = 1, gitlab = 42 }\n\n'
        printf '[teams]\nmaintainers = ["alice", "bob", "carol"]\nsecurity = ["dana", "release-bot"]\n\n'
        printf '[[ca]]\nssh = "%s"\nprincipals = { "grace@example.com" = "grace" }\n' "$(cat "$work/ca.pub")"
        printf 'revocations = [{ serial = 8, revoked = 2026-05-01T00:00:00Z }]\n'
    } | put people known
    printf '[people.a]\n' | put people least
    printf '[people.a]\nkeys = [{ ssh = "%s", revoked = 2026-05-01T00:00:00Z }]\n[people.b]\nkeys = [{ ssh = "%s" }]\n' \
        "$(cat "$work/ed25519.pub")" "$(cat "$work/ed25519.pub")" | put people shared-key
    printf '[people.a]\nemails = ["A@x"]\n[people.b]\nemails = ["a@X"]\n' | put people shared-email
    printf '[people.a.b.c.d.e.f.g.h.i.j.k.l.m.n.o.p.q.r.s.t]\n' | put people deep
    printf '[people.a]\nkeys = [[[[[[[[[[[[[[[[' | put people arrays
    printf '[people]\n"b\\u202ea" = { kind = "forge" }\n' | put people odd-name
    cat <<'TOML' | put policy whole
version = 1
repository = "git.example.com/payments"
approvals_expire = "30d"

[[ref]]
match = ["refs/heads/main", "refs/heads/release/**"]
mode = "dry-run"
signed_commits = true
every_commit = true
rewind = "allow"
delete = "refuse"
trusts = ["refs/heads/main"]

[[ref]]
match = ["refs/tags/v*"]
create_once = true

[[rule]]
name = "two people see every change"
require = ["1 of @maintainers"]

[[rule]]
name = "pipelines"
class = ["pipeline"]
paths = ["deploy/", "*.[ch]"]
refs = ["refs/heads/main"]
require = ["2 of @maintainers", "1 of @security|carol"]
evidence = "signed"
base = "exact"

[classes]
config = ["deploy/", "*.tf"]
TOML
    start='version = 1
repository = "x"
'
    printf '%s' "$start" | put policy least
    printf '%s[[rule]]\nname = "r"\nrequire = ["9 of any"]\n' "$start" | put policy unsatisfiable
    printf '%s[[rule]]\nname = "r"\nrequire = []\n' "$start" | put policy no-places
    printf '%s[[rule]]\nname = "r"\nrequire = ["1 of @nobody"]\n' "$start" | put policy unknown-team
    printf '%s[[ref]]\nmatch = ["refs/heads/**/**"]\nunknown = 1\n' "$start" | put policy unknown-key
    printf '%sa.b.c.d.e.f.g.h.i.j.k.l.m.n.o.p.q.r.s.t = 1\n' "$start" | put policy deep
    printf '%sx = """\n' "$start" | put policy multi-line
}

# A repository that is enrolled and pushed to: what its record holds.
# attestations <commit>: what the record made of it, as if it were of the commit that is expected.
attestations() {
    "$countersign" -C "$work/payments.git" attest "$1" --svr -o "$work/attested"
    "$countersign" -C "$work/payments.git" attest --public-key | put envelope key
    sed -n 1p "$work/attested" | put envelope review
    sed -n 2p "$work/attested" | sed 's/}]}$/},{"sig":"AA=="}],"more":[]}/' | put envelope two
    sed -n 3p "$work/attested" | sed 's/^{/{"payload":"",/' | put envelope twice
    number=0
    for kind in review vsa svr; do
        number=$((number + 1))
        sed -n ${number}p "$work/attested" | sed 's/.*"payload":"\([^"]*\)".*/\1/' | base64 -d |
            sed "s/$1/$a/g" | put statement $kind
    done
    sed 's/"predicate":{/"predicate":{"target":1,/' "$here/statement/review" | put statement twice
    sed 's/PASSED/FAILED/' "$here/statement/vsa" | put statement failed
}

record() {
    git init -q --bare -b main "$work/payments.git"
    git init -q -b main "$work/alice"
    cd "$work/alice"
    git config gpg.format ssh && git config user.signingKey "$work/ed25519"
    mkdir .countersign
    sed -e '/openpgp/d' "$here/people/known" >.countersign/people.toml
    printf 'version = 1\nrepository = "git.example.com/payments"\n[[ref]]\nmatch = ["refs/heads/main"]\n' >.countersign/policy.toml
    git add . && git commit -q -m root && git push -q "$work/payments.git" main
    "$countersign" enroll "$work/payments.git" >/dev/null
    cp "$work/payments.git/countersign/log/checkpoint" "$here/note/checkpoint"
    head -c -1 "$work/payments.git/countersign/log/vkey" | put note vkey
    echo new >new && git add . && git commit -q -S -m change
    head=$(git rev-parse HEAD)
    export COUNTERSIGN_PUSHER=bob
    git push -q "$work/payments.git" main:topic
    git -c user.signingKey="$work/ecdsa" tag -s countersign/ok -m "countersign: approve refs/heads/main of git.example.com/payments"
    git push -q "$work/payments.git" "refs/tags/countersign/ok:refs/countersign/reviews/$head/bob"
    export COUNTERSIGN_PUSHER=alice
    # Intents are gone once refs have moved: the hook that closes them comes too late for this one.
    mv "$work/payments.git/hooks/post-receive" "$work/post-receive"
    git push -q "$work/payments.git" main
    cp "$work"/payments.git/countersign/intents/*.json "$here/intent/landed"
    mv "$work/post-receive" "$work/payments.git/hooks/post-receive"
    git push -q "$work/payments.git" main:free
    git -C "$work/payments.git" config gc.auto 1000
    "$countersign" -C "$work/payments.git" audit --record >/dev/null || true
    "$countersign" enroll "$work/payments.git" >/dev/null
    "$countersign" -C "$work/payments.git" log rotate --reason old >/dev/null
    "$countersign" -C "$work/payments.git" log show >/dev/null || true
    for index in 0 1 2; do
        "$countersign" -C "$work/payments.git" log prove $index | put log_proof entry-$index
    done
    cp "$work"/payments.git/countersign/log/rotations/* "$here/log_proof/rotation"
    attestations "$head"
    sed '/^extra /d' "$here/log_proof/entry-2" | put log_proof bare
    sed 's/^index 1$/index 01/' "$here/log_proof/entry-1" | put log_proof index
    sed 's/@v1/@v2/' "$here/log_proof/entry-1" | put log_proof version
    python3 - "$work/payments.git/countersign/log" "$here/entry" <<'PY'
import pathlib, sys
log, out = map(pathlib.Path, sys.argv[1:])
names = {}
for bundle in sorted(log.glob("tile/entries/**/*")):
    if bundle.is_file():
        data = bundle.read_bytes()
        while data:
            size = int.from_bytes(data[:2], "big")
            entry, data = data[2:2 + size], data[2 + size:]
            kind = entry.split(b'"kind":"')[1].split(b'"')[0].decode()
            names[entry] = kind
for number, (entry, kind) in enumerate(names.items()):
    (out / f"{number}-{kind}").write_bytes(entry)
PY
    # Seeds are of no machine in particular.
    sed -i "s#$countersign#/usr/local/bin/countersign#; s#$work#/srv#g" "$here"/entry/0-genesis "$here"/entry/*-admin
    sed 's/"kind":"genesis"/"kind":"genesis","kind":"genesis"/' "$here/entry/0-genesis" | put entry kind-twice
    sed 's/,/, /' "$here/entry/0-genesis" | put entry spaces
    printf '{"id":"0","at":"2026-01-01T00:00:00Z","size":1e3,"process":{"pid":1,"start":1},"landed":[]}' | put intent float
    printf '{"id":"0","at":"2026-01-01T00:00:00Z","size":1,"process":{"pid":1,"start":1},"landed":[]}' | put intent empty
    printf 'a\n\n\342\200\224 b AAAA\n' | put note short
    printf 'a\n\n\342\200\224 b AAAAAAAA\n\342\200\224 c AAAAAAAA\n' | put note two
    printf 'a\n\n\n' | put note blank
}

# What logs and witnesses say to each other: the examples of the specifications, and a live cosignature.
witnesses() {
    dash=$(printf '\342\200\224')
    key=example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k
    one=witness.navigli.sunlight.geomys.org+a3e00fe2+BNy/co4C1Hn1p+INwJrfUlgz7W55dSZReusH/GhUhJ/G
    two=remora.n621.de+da77ade7+BOvN63jn/bLvkieywe8R6UYAtVtNbZpXh34x7onlmtw2
    put add_checkpoint specified <<EOF
old 20852014
PlRNCrwHpqhGrupue0L7gxbjbMiKA9temvuZZDDpkaw=
jrJZDmY8Y7SyJE0MWLpLozkIVMSMZcD5kvuKxPC3swk=
5+pKlUdi2LeF/BcMHBn+Ku6yhPGNCswZZD1X/6QgPd8=
/6WVhPs2CwSsb5rYBH5cjHV/wSmA79abXAwhXw3Kj/0=

example.com/behind-the-sofa
20852163
CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=

$dash example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=
$dash example.com/behind-the-sofa opLqBQsREYCgu6xQkYQwJr9fo45a62DN9EdmHXnZdXNqlcVGlCum2Wks+49/V6267UEjw6QUXTS5Rovnzv++qbSzm9Q=
EOF
    sed '2,5d; s/^old .*/old 0/' "$here/add_checkpoint/specified" | put add_checkpoint first
    sed 's/^old /old 0/' "$here/add_checkpoint/specified" | put add_checkpoint zeros
    put witness_answer specified <<EOF
$dash witness.example/w1 CMp+6LWBU0anHGH5aNDTJkH/gj79sG+T6+iP2ThYN5krrDJbR1HDnucjL39QsZTSvVjyQLrdk3DXDqI5G2HgLatVs0pWh6Up69HVOw==
$dash witness.example/w1 I7rEps0pvK2UqkS2gSpVUDhrhVtQV9lgF6pRrWAvjJHjyWpW7VcE3SiOlVlbQNt64vWhO+DlkL0+UfzuOBMh9ChdMkP1vi/lCAsmlw==
EOF
    put witness_answer live <<EOF
$dash witness.navigli.sunlight.geomys.org o+AP4gAAAABqb7DzNrGFRJnQ9vrJ8xpnwZytnr/ZYczDIsvwvouiSjwOjn7a72ccxBk+lKnZ7dKqkYKER1s/KxLTaVwQD7lJZTC/CQ==
EOF
    printf '42\n' | put witness_answer size
    printf '042\n' | put witness_answer zero
    printf '%s' "$one" | put witness_answer vkey
    printf 'log %s https://log.example/\n\nwitness X1 %s\nwitness\tY1 %s https://w.example/\n# both\ngroup both all X1 Y1\nquorum both\n' \
        "$key" "$one" "$two" | put log_policy both
    printf 'witness X1 %s\nquorum X1\n' "$one" | put log_policy one
    printf 'quorum none\n' | put log_policy none
    printf 'witness X1 %s\nwitness X2 %s\ngroup g any X1\ngroup h 2 g X2\nquorum h\n' "$one" "$two" | put log_policy nested
    printf 'witness X1 %s\ngroup g 2 X1\nquorum g\n' "$one" | put log_policy least
    printf 'version = 1\nrepository = "r"\n[witnesses]\nkeys = ["%s", "%s"]\nquorum = 2\n' "$one" "$two" | put policy witnesses
}

# What a real ssh-agent answers, without the length before it.
agent_answers() {
    eval "$(ssh-agent -a "$work/agent")" >/dev/null
    ssh-add -q "$work/rsa" "$work/ed25519"
    mkdir -p "$here/ssh_agent"
    python3 - "$work/agent" "$work/ed25519.pub" "$here/ssh_agent" <<'PY'
import base64, pathlib, socket, struct, sys
agent, public, out = sys.argv[1], sys.argv[2], pathlib.Path(sys.argv[3])
string = lambda data: struct.pack(">I", len(data)) + data
key = base64.b64decode(pathlib.Path(public).read_text().split()[1])
other = key[:-32] + b"\7" * 32
for name, question in {
    "keys": b"\x0b",
    "signature": b"\x0d" + string(key) + string(b"text\n") + bytes(4),
    "failure": b"\x0d" + string(other) + string(b"text\n") + bytes(4),
}.items():
    with socket.socket(socket.AF_UNIX) as stream:
        stream.connect(agent)
        stream.sendall(string(question))
        answer = stream.makefile("rb")
        (size,) = struct.unpack(">I", answer.read(4))
        (out / name).write_bytes(answer.read(size))
PY
    ssh-agent -k >/dev/null
    printf '\014\0\0\0\0' | put ssh_agent no-keys
    printf '\014\377\377\377\377' | put ssh_agent many-keys
    printf '\016\0\0\0\004\0\0\0\0' | put ssh_agent no-signature
}

find "$here" -mindepth 2 -type f ! -name 'found-*' -delete
mkdir -p "$here/note" "$here/entry" "$here/intent"
ssh_keys
certificates
gpg_keys
agent_answers
signed_objects
broken_objects
armours
push_certs
words
lists
files
record
witnesses
