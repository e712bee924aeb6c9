//! Random text that nobody can guess: heredoc delimiters, file names, the journal's nonce.

use ring::rand::{SecureRandom, SystemRandom};

/// 32 random hexadecimal digits.
pub fn hex() -> std::io::Result<String> {
    let mut bytes = [0u8; 16];
    SystemRandom::new().fill(&mut bytes).map_err(|_| std::io::Error::other("the system gives no random numbers"))?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}
