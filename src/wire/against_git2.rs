//! A second opinion: objects that libgit2 writes are read here as libgit2 reads them.

use bstr::ByteSlice;
use proptest::prelude::*;

use super::commit::Commit;
use super::ident::Ident;
use super::name::RefName;
use super::oid::ObjectFormat;
use super::tree::{self, FileMode};
use super::{refname, tag::Tag};

fn repository() -> (tempfile::TempDir, git2::Repository) {
    let dir = tempfile::tempdir().unwrap();
    let repository = git2::Repository::init_bare(dir.path()).unwrap();
    (dir, repository)
}

fn raw(repository: &git2::Repository, oid: git2::Oid) -> Vec<u8> {
    repository.odb().unwrap().read(oid).unwrap().data().to_vec()
}

fn assert_ident(ours: &Ident, theirs: &git2::Signature<'_>) {
    assert_eq!(ours.name.as_slice(), theirs.name_bytes());
    assert_eq!(ours.email.as_slice(), theirs.email_bytes());
    assert_eq!(
        i64::try_from(ours.seconds).unwrap(),
        theirs.when().seconds()
    );
    assert_eq!(ours.offset_minutes, theirs.when().offset_minutes());
}

fn name() -> impl Strategy<Value = String> {
    "[A-Za-zé\u{4e2d}][A-Za-z0-9 .'é\u{4e2d}-]{0,12}[a-z]"
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    /// Commits: tree, parents, idents, message, and the signed payload.
    #[test]
    fn commits(author in name(), email in "[a-z]{1,8}@[a-z.]{0,8}", seconds in 0i64..=4_102_444_800,
               offset in -720i32..=840, message in "(?s).{0,80}", parents in 0usize..4, sign in any::<bool>()) {
        prop_assume!(!message.contains('\0'));
        let (_dir, repository) = repository();
        let empty = repository.treebuilder(None).unwrap().write().unwrap();
        let found = repository.find_tree(empty).unwrap();
        let when = git2::Time::new(seconds, offset);
        let who = git2::Signature::new(&author, &email, &when).unwrap();
        let parents: Vec<git2::Commit> = (0..parents)
            .map(|n| repository.commit(None, &who, &who, &n.to_string(), &found, &[]).unwrap())
            .map(|oid| repository.find_commit(oid).unwrap())
            .collect();
        let parents: Vec<&git2::Commit> = parents.iter().collect();
        let buffer = repository.commit_create_buffer(&who, &who, &message, &found, &parents).unwrap();
        let armor = "-----BEGIN SSH SIGNATURE-----\nabc\n\nx\n-----END SSH SIGNATURE-----";
        let oid = match sign {
            true => repository.commit_signed(buffer.to_str().unwrap(), armor, None).unwrap(),
            false => repository.odb().unwrap().write(git2::ObjectType::Commit, &buffer).unwrap(),
        };
        let theirs = repository.find_commit(oid).unwrap();
        let ours = Commit::parse(&raw(&repository, oid), ObjectFormat::Sha1).unwrap();
        prop_assert_eq!(ours.tree.to_string(), theirs.tree_id().to_string());
        let ids: Vec<String> = ours.parents.iter().map(ToString::to_string).collect();
        let their_ids: Vec<String> = theirs.parent_ids().map(|id| id.to_string()).collect();
        prop_assert_eq!(ids, their_ids);
        assert_ident(&ours.author, &theirs.author());
        assert_ident(&ours.committer, &theirs.committer());
        prop_assert_eq!(ours.message.as_slice(), theirs.message_raw_bytes());
        match (ours.signed, repository.extract_signature(&oid, None)) {
            (Some(signed), Ok((their_armor, payload))) => {
                prop_assert_eq!(signed.armor.trim_end(), their_armor.trim_end());
                prop_assert_eq!(signed.payload.as_bstr(), payload.as_bstr());
            }
            (signed, _) => prop_assert!(signed.is_none() && !sign),
        }
    }

    /// Trees: modes, names, ids and their order.
    #[test]
    fn trees(entries in proptest::collection::btree_map("[a-c.é-]{1,3}[a-z]", 0usize..4, 0..12)) {
        let (_dir, repository) = repository();
        let blob = repository.blob(b"x").unwrap();
        let empty = repository.treebuilder(None).unwrap().write().unwrap();
        let mut builder = repository.treebuilder(None).unwrap();
        for (name, mode) in &entries {
            let (mode, oid) = [(0o100_644, blob), (0o100_755, blob), (0o120_000, blob), (0o40_000, empty)][*mode];
            builder.insert(name, oid, mode).unwrap();
        }
        let oid = builder.write().unwrap();
        let theirs = repository.find_tree(oid).unwrap();
        let ours = tree::parse(&raw(&repository, oid), ObjectFormat::Sha1).unwrap();
        prop_assert_eq!(ours.len(), theirs.len());
        for (one, other) in ours.iter().zip(theirs.iter()) {
            prop_assert_eq!(&*one.name, other.name_bytes());
            prop_assert_eq!(one.oid.to_string(), other.id().to_string());
            prop_assert_eq!(format!("{:o}", other.filemode()), one.mode.octal());
            prop_assert_eq!(one.mode == FileMode::Tree, other.kind() == Some(git2::ObjectType::Tree));
        }
    }

    /// Tags: target, name, tagger and message.
    #[test]
    fn tags(tagger in name(), label in "[a-z]{1,5}(/v[0-9]\\.[0-9])?", message in "[ -~\n]{0,60}") {
        let (_dir, repository) = repository();
        let blob = repository.blob(b"x").unwrap();
        let target = repository.find_object(blob, None).unwrap();
        let who = git2::Signature::new(&tagger, "t@x", &git2::Time::new(5, -90)).unwrap();
        let oid = repository.tag_annotation_create(&label, &target, &who, &message).unwrap();
        let theirs = repository.find_tag(oid).unwrap();
        let ours = Tag::parse(&raw(&repository, oid), ObjectFormat::Sha1).unwrap();
        prop_assert_eq!(ours.target.to_string(), theirs.target_id().to_string());
        prop_assert_eq!(ours.kind.as_str(), "blob");
        prop_assert_eq!(ours.name.as_slice(), theirs.name_bytes());
        prop_assert_eq!(ours.message.as_slice(), theirs.message_bytes().unwrap_or_default());
        assert_ident(&ours.tagger.unwrap(), &theirs.tagger().unwrap());
    }

    /// Ref names: ours are a part of what git allows.
    #[test]
    fn ref_names(tail in "[a-z./@{}~^: \\\\*?\\[-]{1,8}") {
        let name = format!("refs/{tail}");
        prop_assert_eq!(refname::is_valid(name.as_bytes()), git2::Reference::is_valid_name(&name), "{:?}", name);
        if refname::check(&RefName::from(name.as_str())).is_ok() {
            prop_assert!(git2::Reference::is_valid_name(&name));
        }
    }
}
