#!/bin/sh
# Writes the sample objects beside it, with git, ssh-keygen and gpg as installed.
# Run once; the samples are kept because keys and signatures differ every time.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'GNUPGHOME="$work/gpg" gpgconf --kill all 2>/dev/null; rm -rf "$work"' EXIT
export HOME="$work" GNUPGHOME="$work/gpg" GIT_CONFIG_NOSYSTEM=1
export GIT_AUTHOR_NAME="A U Thor" GIT_AUTHOR_EMAIL=a@example.com GIT_AUTHOR_DATE="1700000000 +0130"
export GIT_COMMITTER_NAME="C O Mitter" GIT_COMMITTER_EMAIL=c@example.com GIT_COMMITTER_DATE="1700000001 -0800"
mkdir -m 700 "$work/gpg"
gpg --batch --quiet --passphrase '' --quick-generate-key 'C O Mitter <c@example.com>' ed25519 sign never
ssh-keygen -q -t ed25519 -N '' -C c@example.com -f "$work/key"

for format in sha1 sha256; do
    git init -q --object-format=$format -b main "$work/$format"
    cd "$work/$format"
    save() { git cat-file "$1" "$2" > "$here/$format-$3"; }
    mkdir -p a a.b .github/workflows
    echo 1 > a/x; echo 2 > a.b/x; echo 3 > a-b; echo 4 > é.yml; echo 5 > .github/workflows/ci.yml
    ln -s a-b link; printf '#!/bin/sh\n' > run; chmod +x run
    git add .
    git commit -q -m root
    save commit HEAD commit-plain
    save tree 'HEAD^{tree}' tree
    for sign in ssh openpgp; do
        git config gpg.format $sign
        if [ $sign = ssh ]; then git config user.signingKey "$work/key"; else git config --unset user.signingKey; fi
        git commit -q --allow-empty -S -m "Signed with $sign" -m "Co-authored-by: B <b@example.com>"
        save commit HEAD commit-$sign
        git -c i18n.commitEncoding=ISO-8859-1 commit -q --allow-empty -S -m "latin"
        save commit HEAD commit-encoding-$sign
        git tag -s v1-$sign -m "countersign: approve refs/heads/main of git.example.com/payments" -m "Looks good."
        save tag v1-$sign tag-$sign
        git checkout -q -b side-$sign HEAD~1
        git commit -q --allow-empty -m side
        git tag -s side.$sign/v2 -m "A tag to merge"
        git checkout -q main
        git merge -q --no-ff -S -m "Merge" side.$sign/v2
        save commit HEAD commit-mergetag-$sign
    done
    git commit -q --allow-empty --allow-empty-message -m ''
    save commit HEAD commit-empty-message
    printf 'no line feed' | git commit-tree -p HEAD 'HEAD^{tree}' > oid
    save commit "$(cat oid)" commit-no-line-feed
    git tag -a plain -m "Not signed"
    save tag plain tag-plain
    git tag -a empty -m ""
    save tag empty tag-empty
done
