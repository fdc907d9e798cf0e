//! What a javacore says of the whole process: what made the JVM write, and who is deadlocked.

use std::collections::HashMap;

use sigquit_dump::{Notice, NoticeKind};

#[derive(Default)]
pub(super) struct Told {
    /// What made the JVM write, and its line.
    event: Option<(u64, String)>,
    /// Chains of deadlocks, by the addresses of their threads, and where they begin.
    chains: Vec<(u64, Vec<u64>)>,
}

impl Told {
    /// `1TISIGINFO     Dump Event "user" (00004000) received`
    pub fn event(&mut self, line: u64, said: &str) {
        self.event = Some((line, said.to_owned()));
    }

    /// `1LKDEADLOCK    Deadlock detected !!!`
    pub fn deadlock(&mut self, line: u64) {
        self.chains.push((line, Vec::new()));
    }

    /// `2LKDEADLOCKTHR  Thread "Worker 2" (0x94501D00)`: the next of the chain.
    pub fn deadlocked(&mut self, address: Option<u64>) {
        if let (Some((_, chain)), Some(address)) = (self.chains.last_mut(), address) {
            chain.push(address);
        }
    }

    /// All of it, of threads by their places.
    pub fn notices(&self, by_address: &HashMap<u64, usize>, current: Option<usize>) -> Vec<Notice> {
        let circles = self.chains.iter().filter_map(|(line, chain)| {
            let threads: Option<Vec<u32>> =
                chain.iter().map(|address| Some(*by_address.get(address)? as u32)).collect();
            let threads = circle(&threads?)?.to_vec();
            let message = "Deadlock detected".to_owned();
            let line = Some(*line);
            Some(Notice { kind: NoticeKind::Deadlock, message, threads, line, ..Notice::default() })
        });
        let fatal = self.event.as_ref().and_then(|(line, event)| {
            let message = ended_by(event)?;
            let threads = current.map(|current| current as u32).into_iter().collect();
            let kind = NoticeKind::Fatal;
            Some(Notice { kind, message, threads, line: Some(*line), ..Notice::default() })
        });
        circles.chain(fatal).collect()
    }
}

/// A chain that ends with a thread which it holds already is a circle from there on.
fn circle(chain: &[u32]) -> Option<&[u32]> {
    let (last, before) = chain.split_last()?;
    let from = before.iter().position(|thread| thread == last)?;
    Some(&before[from..])
}

/// What ended the JVM, when that is why it wrote.
///
/// ```text
/// Dump Event "user" (00004000) received
/// Dump Event "gpf" (00002000) received
/// Dump Event "systhrow" (00040000) Detail "java/lang/OutOfMemoryError" "Java heap space" received
/// ```
fn ended_by(event: &str) -> Option<String> {
    let mut quoted = event.split('"').skip(1).step_by(2);
    match (quoted.next()?, quoted.next()) {
        ("gpf", _) => Some("general protection fault".into()),
        ("abort", _) => Some("abort".into()),
        ("systhrow", Some(error)) if error.ends_with("OutOfMemoryError") => {
            let detail = quoted.next().map_or(String::new(), |detail| format!(": {detail}"));
            Some(format!("{}{detail}", error.replace('/', ".")))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_made_the_jvm_write() {
        let ended = |event| ended_by(event).unwrap_or_default();
        assert_eq!(ended("Dump Event \"user\" (00004000) received"), "");
        assert_eq!(ended("Dump Event \"gpf\" (00002000) received"), "general protection fault");
        assert_eq!(
            ended(
                "Dump Event \"systhrow\" (00040000) Detail \"java/lang/OutOfMemoryError\" \"Java heap space\" received"
            ),
            "java.lang.OutOfMemoryError: Java heap space"
        );
    }
}
