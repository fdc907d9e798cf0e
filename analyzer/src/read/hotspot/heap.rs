//! The heap that the JVM prints after the threads when SIGQUIT asked: its parts, one a line.
//!
//! ```text
//! G1        garbage-first heap   total 32768K, used 31970K [0x00000000fe000000, 0x0000000100000000)
//! G1, 21    garbage-first heap   total reserved 32768K, committed 32768K, used 31970K [0x..., 0x...)
//! Serial    tenured generation   total 21888K, used 21800K [0x00000000feaa0000, 0x0000000100000000, 0x0000000100000000)
//! Parallel  ParOldGen       total 22528K, used 22400K [0x00000000fe000000, 0x00000000ff600000, 0x00000000ff600000)
//! Z         ZHeap           used 28M, capacity 32M, max capacity 32M
//! ```
//!
//! What stands in brackets is the address range that is reserved, and so the limit: a part that
//! is full to its `total` can still grow.

use sigquit_dump::Heap;

/// Adds what a line says of the heap, if it says anything.
pub(super) fn line(heap: &mut Option<Heap>, body: &str) {
    let Some(part) = part(body) else { return };
    let sum = heap.get_or_insert_default();
    sum.used = sum.used.saturating_add(part.used);
    sum.limit = sum.limit.saturating_add(part.limit);
}

fn part(body: &str) -> Option<Heap> {
    let used = size(body.split_once("used ")?.1)?;
    let limit = match body.split_once("max capacity ") {
        Some((_, max)) => size(max)?,
        None => {
            let total = body.split_once(" total ")?.1;
            let total = total.strip_prefix("reserved ").unwrap_or(total);
            reserved(body).or_else(|| size(total))?
        }
    };
    (used <= limit).then_some(Heap { used, limit })
}

/// `[0x00000000fe000000, 0x0000000100000000)`: from the first address to the last.
fn reserved(body: &str) -> Option<u64> {
    let range = body.split_once('[')?.1.trim_end().strip_suffix(')')?;
    let address = |text: &str| u64::from_str_radix(text.trim().strip_prefix("0x")?, 16).ok();
    let (first, last) = (range.split(',').next()?, range.rsplit(',').next()?);
    address(last)?.checked_sub(address(first)?).filter(|&bytes| bytes > 0)
}

/// `31970K`, `28M`: bytes, in units of 1024.
fn size(text: &str) -> Option<u64> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let unit: u64 = match text.as_bytes().get(digits)? {
        b'K' => 1 << 10,
        b'M' => 1 << 20,
        b'G' => 1 << 30,
        _ => return None,
    };
    text[..digits].parse::<u64>().ok()?.checked_mul(unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heap(lines: &[&str]) -> Option<(u64, u64)> {
        let mut heap = None;
        lines.iter().for_each(|body| line(&mut heap, body));
        heap.map(|heap| (heap.used >> 10, heap.limit >> 10))
    }

    #[test]
    fn every_collector_says_it_in_its_own_words() {
        let g1 =
            "garbage-first heap   total 8192K, used 1970K [0x00000000fe000000, 0x0000000100000000)";
        assert_eq!(
            heap(&[g1, "region size 1024K, 3 young (3072K), 0 survivors (0K)"]),
            Some((1970, 32768))
        );
        let modern = "garbage-first heap   total reserved 32768K, committed 8192K, used 1970K [0x00000000fe000000, 0x0000000100000000)";
        assert_eq!(heap(&[modern]), Some((1970, 32768)));
        assert_eq!(
            heap(&["ZHeap           used 28M, capacity 32M, max capacity 64M"]),
            Some((28672, 65536))
        );
        let serial = [
            "def new generation   total 9792K, used 8704K [0x00000000fe000000, 0x00000000feaa0000, 0x00000000feaa0000)",
            "eden space 8704K, 100% used [0x00000000fe000000, 0x00000000fe880000, 0x00000000fe880000)",
            "tenured generation   total 21888K, used 21800K [0x00000000feaa0000, 0x0000000100000000, 0x0000000100000000)",
            "Metaspace       used 6140K, committed 6336K, reserved 1114112K",
        ];
        assert_eq!(heap(&serial), Some((8704 + 21800, 32768)));
    }

    #[test]
    fn what_is_no_heap_says_nothing() {
        for body in [
            "",
            "used",
            "used K",
            "Metaspace used 6140K",
            "total 9K, used 8K",
            " total 1K, used 99999999999999999999K",
        ] {
            assert_eq!(heap(&[body]), None, "{body}");
        }
    }
}
