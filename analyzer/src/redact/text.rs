//! Addresses and folders in sentences.

use super::Redaction;

/// The fewest hexadecimal digits of an address: shorter numbers are offsets and flags.
const ADDRESS_DIGITS: usize = 5;

impl Redaction {
    /// A sentence in which addresses of memory and of machines have stand-ins, and of paths only
    /// the file's name is left.
    pub(super) fn redact_text(&mut self, text: &str) -> String {
        let mut redacted = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(first) = rest.chars().next() {
            let length = rest.find(|c: char| !is_of_word(c)).unwrap_or(rest.len());
            let (word, after) = rest.split_at(length.max(first.len_utf8()));
            redacted += &self.redact_word(word);
            rest = after;
        }
        redacted
    }

    fn redact_word(&mut self, word: &str) -> String {
        let mut bare = word.trim_end_matches(['.', ':']);
        let end = &word[bare.len()..];
        if bare.starts_with('/') && bare[1..].contains('/') {
            bare = &bare[bare.rfind('/').map_or(0, |at| at + 1)..];
        }
        if is_address(bare) {
            return format!("0x{:x}{end}", self.number("0x", bare) + 1);
        }
        match bare.rsplit_once(':').map_or((bare, ""), |(host, port)| (host, port)) {
            (host, "") if is_ip(host) => format!("{}{end}", self.stand_in("ip", host)),
            (host, port) if is_ip(host) => format!("{}:{port}{end}", self.stand_in("ip", host)),
            _ => format!("{bare}{end}"),
        }
    }
}

/// What addresses, paths and names of functions are made of.
fn is_of_word(c: char) -> bool {
    c.is_alphanumeric() || "./:_-+$@".contains(c)
}

/// `0x7f5d933f9990`.
fn is_address(word: &str) -> bool {
    let digits = word.strip_prefix("0x");
    digits.is_some_and(|digits| {
        digits.len() >= ADDRESS_DIGITS && digits.bytes().all(|byte| byte.is_ascii_hexdigit())
    })
}

/// `10.0.0.7`.
fn is_ip(word: &str) -> bool {
    word.parse::<std::net::Ipv4Addr>().is_ok()
}

/// A message without what it quotes of the input.
pub(super) fn without_quotes(message: &str) -> String {
    let parts = message.split(['"', '`']).enumerate();
    let kept = parts.map(|(at, part)| if at % 2 == 0 { part } else { "..." });
    kept.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_folders_go_and_functions_stay() {
        let mut redaction = Redaction::default();
        let mut redact = |text| redaction.redact_text(text);
        assert_eq!(
            redact("mutex 0x7f5d933f9990 of 10.0.0.7:5432, at /home/alice/shop/src/main.rs:12."),
            "mutex 0x1 of ip-a:5432, at main.rs:12."
        );
        assert_eq!(redact("0x7f5d933f9990"), "0x1");
        let function = "net/http.(*conn).serve < shop::Map<K, V>::get in libc.so.6+0x8f2ab";
        assert_eq!(redact(function), function);
    }

    #[test]
    fn what_is_quoted_goes() {
        assert_eq!(without_quotes("no `secret` here, nor \"one\""), "no ... here, nor ...");
    }
}
