//! Addresses and folders in sentences.

use std::borrow::Cow;
use std::cmp::Reverse;
use std::net::IpAddr;

use super::Redaction;

/// The fewest hexadecimal digits of an address: shorter numbers are offsets and flags.
const ADDRESS_DIGITS: usize = 5;

impl Redaction {
    /// A sentence in which addresses of memory and of machines have stand-ins, and of paths only
    /// the file's name is left.
    pub(super) fn redact_text(&mut self, text: &str) -> String {
        let text = self.without_spaced_folders(text);
        let mut redacted = String::with_capacity(text.len());
        let mut rest = text.as_ref();
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
        // An offset without a module's name before it, `?+0x401a2b`, is the address itself.
        let plus = if bare.starts_with('+') { "+" } else { "" };
        let address = &bare[plus.len()..];
        if is_address(address) {
            return format!("{plus}0x{:x}{end}", self.number("0x", address) + 1);
        }
        let machine = self.redact_machine(bare);
        format!("{}{end}", machine.as_deref().unwrap_or(bare))
    }

    /// `10.0.0.7:5432`, `fd00::1`, `10.0.0.0/8`, and `db.local/10.0.0.7:5432` as the JVM writes it.
    fn redact_machine(&mut self, word: &str) -> Option<String> {
        if is_ip(word) {
            return Some(self.stand_in("ip", word));
        }
        let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        if let Some((host, port)) = word.rsplit_once(':')
            && is_number(port)
            && is_ip(host)
        {
            return Some(format!("{}:{port}", self.stand_in("ip", host)));
        }
        let (before, after) = word.rsplit_once('/')?;
        if is_number(after) && is_ip(before) {
            return Some(format!("{}/{after}", self.stand_in("ip", before)));
        }
        let machine = self.redact_machine(after)?;
        let host = if before.is_empty() { String::new() } else { self.stand_in("host", before) };
        Some(format!("{host}/{machine}"))
    }

    /// Remembers the folder of a path when it has a space in it: a sentence does not show where
    /// such a path ends.
    pub(super) fn learn_folder(&mut self, path: &str) {
        if let Some((folder, _)) = path.rsplit_once('/')
            && folder.contains(' ')
        {
            self.spaced_folders.insert(format!("{folder}/"));
        }
    }

    /// A text without the folders that were learnt, the longest first.
    fn without_spaced_folders<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let mut folders: Vec<&String> =
            self.spaced_folders.iter().filter(|folder| text.contains(folder.as_str())).collect();
        folders.sort_by_key(|folder| Reverse(folder.len()));
        let without =
            |text: Cow<'a, str>, folder: &&String| text.replace(folder.as_str(), "").into();
        folders.iter().fold(Cow::Borrowed(text), without)
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

/// `10.0.0.7` or `fd00::1`; without a digit it is a path of names, as in `a::b`.
fn is_ip(word: &str) -> bool {
    word.bytes().any(|byte| byte.is_ascii_digit()) && word.parse::<IpAddr>().is_ok()
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
        assert_eq!(redact("?+0x7f5d933f9990"), "?+0x1");
        let function = "net/http.(*conn).serve < shop::Map<K, V>::get in libc.so.6+0x8f2ab";
        assert_eq!(redact(function), function);
    }

    #[test]
    fn machines_have_stand_ins_however_they_are_written() {
        let mut redaction = Redaction::default();
        let mut redact = |text| redaction.redact_text(text);
        assert_eq!(redact("from [fd00::17]:8080 to fd00::17."), "from [ip-a]:8080 to ip-a.");
        assert_eq!(redact("::1, 0:0:0:0:0:0:0:1 and fd00::/8"), "ip-b, ip-c and ip-d/8");
        assert_eq!(redact("/10.0.0.7:5432"), "/ip-e:5432");
        assert_eq!(redact("db.local/10.0.0.7:5432"), "host-a/ip-e:5432");
        for function in ["a::b", "abc::def::add", "net/http.Serve", "runtime/cgo"] {
            assert_eq!(redact(function), function);
        }
    }

    #[test]
    fn folders_with_spaces_go_where_a_dump_showed_them() {
        let mut redaction = Redaction::default();
        redaction.learn_folder("/home/alice/my shop/src/main.rs");
        redaction.learn_folder("/home/alice/my shop/src/big orders/map.rs");
        redaction.learn_folder("src/lib.rs");
        let mut redact = |text| redaction.redact_text(text);
        assert_eq!(
            redact("at /home/alice/my shop/src/main.rs:12 and net/http.Serve"),
            "at main.rs:12 and net/http.Serve"
        );
        assert_eq!(redact("/home/alice/my shop/src/big orders/map.rs:7"), "map.rs:7");
    }

    #[test]
    fn what_is_quoted_goes() {
        assert_eq!(without_quotes("no `secret` here, nor \"one\""), "no ... here, nor ...");
    }
}
