//! A key behind a PKCS#11 module: a smart card, a hardware security module, SoftHSM.
//!
//! Source: PKCS #11 v3.0, the mechanism `CKM_EDDSA` with a key of type `CKK_EC_EDWARDS`.

use std::fmt;
use std::path::{Path, PathBuf};

use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
use cryptoki::error::Error;
use cryptoki::mechanism::Mechanism;
use cryptoki::mechanism::eddsa::{EddsaParams, EddsaSignatureScheme};
use cryptoki::object::{Attribute, AttributeType, KeyType, ObjectClass, ObjectHandle};
use cryptoki::session::{Session, UserType};
use cryptoki::types::AuthPin;

use super::{PATIENCE, StoreError, quoted, within};
use crate::record::disk::{self, Disk};
use crate::record::storage::Storage as _;

/// The most bytes of a file with a PIN.
const MAX_PIN: u64 = 1024;

/// Which module, and which key of which of its tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenKey {
    /// The module's shared library.
    pub module: PathBuf,
    /// The label of the token.
    pub token: String,
    /// The label of both halves of the key.
    pub label: String,
    /// The file whose one line is the user's PIN.
    pub pin_file: PathBuf,
}

impl TokenKey {
    pub(super) fn public(&self) -> Result<[u8; 32], StoreError> {
        let this = self.clone();
        self.ask(move |session| {
            let key = this.object(session, ObjectClass::PUBLIC_KEY)?;
            let found = session.get_attributes(key, &[AttributeType::EcPoint]);
            let point = found
                .map_err(failed)?
                .into_iter()
                .find_map(|one| match one {
                    Attribute::EcPoint(point) => Some(point),
                    _ => None,
                });
            let point = point.unwrap_or_default();
            // An OCTET STRING around it, which some leave out.
            let raw = point.strip_prefix(&[0x04, 0x20]).unwrap_or(&point);
            raw.try_into()
                .map_err(|_| StoreError::Token("its public key has not 32 bytes".to_owned()))
        })
    }

    pub(super) fn sign(&self, text: &str) -> Result<Vec<u8>, StoreError> {
        let (this, text) = (self.clone(), text.to_owned());
        self.ask(move |session| {
            let key = this.object(session, ObjectClass::PRIVATE_KEY)?;
            let plain = Mechanism::Eddsa(EddsaParams::new(EddsaSignatureScheme::Pure));
            session.sign(&plain, key, text.as_bytes()).map_err(failed)
        })
    }

    /// Returns the one object of a class with the label.
    fn object(&self, session: &Session, class: ObjectClass) -> Result<ObjectHandle, StoreError> {
        let found = session
            .find_objects(&[
                Attribute::Class(class),
                Attribute::KeyType(KeyType::EC_EDWARDS),
                Attribute::Label(self.label.as_bytes().to_vec()),
            ])
            .map_err(failed)?;
        match found.as_slice() {
            [one] => Ok(*one),
            found => Err(StoreError::Token(format!(
                "the token has {} Ed25519 keys ({class}) labelled {}, expected one",
                found.len(),
                quoted(&self.label)
            ))),
        }
    }

    /// Asks in a session with the user logged in.
    fn ask<T: Send + 'static>(
        &self,
        ask: impl FnOnce(&Session) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let pin = pin(&self.pin_file)?;
        let this = self.clone();
        within(PATIENCE, move || {
            let module = Pkcs11::new(&this.module).map_err(failed)?;
            let threads = CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK);
            module.initialize(threads).map_err(failed)?;
            let answer = this.log_in(&module, &pin).and_then(|session| ask(&session));
            // What was answered stands, however it ends.
            module.finalize().ok();
            answer
        })
    }

    fn log_in(&self, module: &Pkcs11, pin: &AuthPin) -> Result<Session, StoreError> {
        let mut named = Vec::new();
        for slot in module.get_slots_with_token().map_err(failed)? {
            let is_named = |label: &str| label.trim_end() == self.token;
            if is_named(module.get_token_info(slot).map_err(failed)?.label()) {
                named.push(slot);
            }
        }
        let [slot] = named.as_slice() else {
            return Err(StoreError::Token(format!(
                "{} tokens labelled {}, expected one",
                named.len(),
                quoted(&self.token)
            )));
        };
        let session = module.open_ro_session(*slot).map_err(failed)?;
        session.login(UserType::User, Some(pin)).map_err(failed)?;
        Ok(session)
    }
}

impl fmt::Display for TokenKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{{ pkcs11 = {}, token = {}, label = {}, pin_file = {} }}",
            quoted(self.module.display()),
            quoted(&self.token),
            quoted(&self.label),
            quoted(self.pin_file.display())
        )
    }
}

fn failed(error: Error) -> StoreError {
    StoreError::Token(error.to_string())
}

fn pin(path: &Path) -> Result<AuthPin, StoreError> {
    let unread = |why: String| StoreError::Token(format!("{}: {why}", path.display()));
    if !disk::is_private(path).map_err(|error| StoreError::Token(error.to_string()))? {
        return Err(StoreError::Exposed(path.to_owned()));
    }
    let bytes = Disk::default()
        .read(path, MAX_PIN)
        .map_err(|error| StoreError::Token(error.to_string()))?;
    let text = String::from_utf8(bytes.unwrap_or_default()).unwrap_or_default();
    let pin = text.strip_suffix('\n').unwrap_or(&text);
    match pin.is_empty() || pin.contains(char::is_control) {
        true => Err(unread("not one line with a PIN".to_owned())),
        false => Ok(AuthPin::new(pin.into())),
    }
}
