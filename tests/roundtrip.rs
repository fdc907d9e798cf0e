use sigquit_dump::{Dump, read, write};

use crate::generate::{self, Dice};

fn bytes(dump: &Dump) -> Vec<u8> {
    let mut bytes = Vec::new();
    write(dump, &mut bytes).expect("memory takes it all");
    bytes
}

/// Reads what may be anything, and follows every reference in it.
fn read_and_walk(bytes: &[u8]) {
    let Ok((dumps, _)) = read(bytes) else { return };
    for dump in &dumps {
        for thread in &dump.threads {
            dump.calls(thread).count();
            thread.wait.iter().for_each(|wait| drop(dump.lock(wait.lock).clone()));
            thread.holds.iter().for_each(|hold| drop(dump.lock(hold.lock).clone()));
        }
        let owners = dump.locks.iter().flat_map(|lock| &lock.owners);
        assert!(owners.map(|owner| owner.thread as usize).all(|at| at < dump.threads.len()));
    }
}

#[test]
fn what_was_written_is_read() {
    for seed in 0..2000 {
        let dump = generate::dump(&mut Dice::new(seed));
        let (dumps, warnings) = read(&bytes(&dump)).expect("it is a dump");
        assert_eq!(dumps, [dump], "seed {seed}");
        assert_eq!(warnings, [], "seed {seed}");
    }
}

#[test]
fn a_file_may_end_anywhere() {
    for seed in 0..10 {
        let whole = bytes(&generate::dump(&mut Dice::new(seed)));
        (0..whole.len()).for_each(|end| read_and_walk(&whole[..end]));
    }
}

#[test]
fn any_byte_may_be_wrong() {
    for seed in 0..2 {
        let mut dice = Dice::new(seed);
        let mut file = bytes(&generate::dump(&mut dice));
        for at in 0..file.len() {
            let right = file[at];
            for wrong in [b'9', b'"', b'\n', dice.number() as u8] {
                file[at] = wrong;
                read_and_walk(&file);
            }
            file[at] = right;
        }
    }
}

#[test]
fn lines_may_be_lost_doubled_and_shuffled() {
    for seed in 0..500 {
        let mut dice = Dice::new(seed);
        let file = bytes(&generate::dump(&mut dice));
        let lines: Vec<&[u8]> = file.split_inclusive(|&byte| byte == b'\n').collect();
        let shuffled: Vec<&[u8]> = lines.iter().map(|_| lines[dice.below(lines.len())]).collect();
        read_and_walk(&shuffled.concat());
    }
}
