//! A token server as registries use it: gives out signed tokens for what is asked, to whom it knows, and tells the registry its certificate.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use rcgen::{CertificateParams, KeyPair};
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use serde_json::{Value, json};

use super::debian::pem;
use crate::origin::{Asked, Origin, answer};

/// The server; it ends with the test.
pub struct TokenServer {
    pub origin: Origin,
    pub certificate: String,
    given: Arc<AtomicUsize>,
}

struct Signer {
    key: EcdsaKeyPair,
    chain: String,
}

impl TokenServer {
    /// Knows `robot` with the password `hunter2`. Its tokens live `life` seconds.
    pub async fn start(life: u64) -> Self {
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new(vec!["tokens.test".to_owned()]).unwrap().self_signed(&key).unwrap();
        let random = ring::rand::SystemRandom::new();
        let signing = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, key.serialized_der(), &random).unwrap();
        let signer = Signer { key: signing, chain: STANDARD.encode(certificate.der()) };
        let given = Arc::new(AtomicUsize::new(0));
        let counted = given.clone();
        let origin = Origin::start(move |asked, _| {
            let Some(scopes) = admitted(asked) else {
                return answer(401, r#"{"errors":[{"code":"UNAUTHORIZED","message":"who are you?"}]}"#);
            };
            counted.fetch_add(1, Ordering::Relaxed);
            let token = signer.token(&scopes, life);
            answer(200, &json!({ "token": token, "access_token": token, "expires_in": life }).to_string())
        })
        .await;
        Self { origin, certificate: pem("CERTIFICATE", certificate.der()), given }
    }

    /// How many tokens were given out.
    pub fn given(&self) -> usize {
        self.given.load(Ordering::Relaxed)
    }
}

/// The scopes asked for, where the login is right.
fn admitted(asked: &Asked) -> Option<Vec<String>> {
    let login = format!("Basic {}", STANDARD.encode("robot:hunter2"));
    let known = asked.headers.get("authorization").is_some_and(|value| value.to_str().is_ok_and(|value| value == login));
    let url = url::Url::parse(&format!("http://tokens{}", asked.target)).unwrap();
    known.then(|| url.query_pairs().filter(|(name, _)| name == "scope").map(|(_, scope)| scope.into_owned()).collect())
}

impl Signer {
    fn token(&self, scopes: &[String], life: u64) -> String {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        let access: Vec<Value> = scopes
            .iter()
            .map(|scope| {
                let parts: Vec<&str> = scope.splitn(3, ':').collect();
                json!({ "type": parts[0], "name": parts[1], "actions": parts[2].split(',').collect::<Vec<_>>() })
            })
            .collect();
        let header = json!({ "typ": "JWT", "alg": "ES256", "x5c": [self.chain] });
        let claims = json!({
            "iss": "tests", "aud": "registry.test", "sub": "robot", "jti": now.to_string(),
            "iat": now - 5, "nbf": now - 5, "exp": now + life, "access": access,
        });
        let signed = [header, claims].map(|part| URL_SAFE_NO_PAD.encode(part.to_string())).join(".");
        let signature = self.key.sign(&ring::rand::SystemRandom::new(), signed.as_bytes()).unwrap();
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    }
}
