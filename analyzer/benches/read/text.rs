//! Texts of any length as Go and HotSpot print them: two hundred shapes of thirteen frames, other
//! addresses, numbers and names in each thread.

use std::io::{self, Write};

/// Shapes of stacks.
const SHAPES: u64 = 200;
/// Frames of each.
const DEPTH: u64 = 13;

const STATES: [&str; 8] = [
    "chan receive",
    "select",
    "IO wait",
    "sync.Mutex.Lock",
    "chan send",
    "select",
    "sleep",
    "runnable",
];

/// Writes the stacks of so many goroutines, as `debug=2` of net/http/pprof prints them.
pub fn go(goroutines: u64, out: &mut impl Write) -> io::Result<()> {
    let mut dice = Dice(1);
    for number in 1..=goroutines {
        let shape = dice.roll() % SHAPES;
        let state = STATES[shape as usize % STATES.len()];
        writeln!(out, "goroutine {number} [{state}, {} minutes]:", shape % 7 + 1)?;
        if state == "sync.Mutex.Lock" {
            let lock = 0xc0_0010_0000 + shape * 0x100;
            writeln!(out, "internal/sync.runtime_SemacquireMutex({lock:#x}?, 0xd0?, 0x497c0a?)")?;
            writeln!(out, "\t/usr/local/go/src/runtime/sema.go:95 +0x25")?;
            writeln!(out, "internal/sync.(*Mutex).lockSlow({lock:#x})")?;
            writeln!(out, "\t/usr/local/go/src/internal/sync/mutex.go:149 +0x15a")?;
        }
        for depth in 0..DEPTH {
            let (module, pointer) =
                (shape * 7 + depth * 3, 0xc0_0000_0000_u64 + (dice.roll() >> 40));
            writeln!(
                out,
                "example.com/shop/part{module}.(*Service{depth}).Handle\
                 ({pointer:#x}, {{{:#x}, {:#x}}}, 0x{depth:x}?)",
                pointer ^ 0x5a00,
                dice.roll() >> 56,
            )?;
            let line = (shape * 31 + depth * 17) % 900 + 1;
            writeln!(out, "\t/srv/build/shop/part{module}/service.go:{line} +0x{line:x}")?;
        }
        writeln!(out, "created by example.com/shop/internal/pool.(*Pool).Start in goroutine 1")?;
        writeln!(out, "\t/srv/build/shop/internal/pool/pool.go:{} +0x9b\n", shape % 50 + 20)?;
    }
    Ok(())
}

/// Writes the dump of a JVM with so many threads, as `jstack` of 17 prints it.
pub fn hotspot(threads: u64, out: &mut impl Write) -> io::Result<()> {
    let mut dice = Dice(2);
    writeln!(out, "2026-11-22 20:52:40")?;
    writeln!(out, "Full thread dump OpenJDK 64-Bit Server VM (17.0.15+6 mixed mode, sharing):\n")?;
    for number in 1..=threads {
        let shape = dice.roll() % SHAPES;
        let (doing, state) = [
            ("waiting on condition", "WAITING (parking)"),
            ("runnable", "RUNNABLE"),
            ("waiting for monitor entry", "BLOCKED (on object monitor)"),
        ][shape as usize % 3];
        let address = 0x7f00_0000_0000_u64 + number * 0x1000;
        writeln!(
            out,
            "\"worker-{number}\" #{number} daemon prio=5 os_prio=0 cpu={}.25ms elapsed=120.75s \
             tid={address:#018x} nid={:#x} {doing}  [{:#018x}]",
            dice.roll() >> 54,
            number + 4096,
            address + 0x8000_0000,
        )?;
        writeln!(out, "   java.lang.Thread.State: {state}")?;
        for depth in 0..DEPTH {
            let (module, line) = (shape * 7 + depth * 3, (shape * 31 + depth * 17) % 900 + 1);
            writeln!(
                out,
                "\tat com.example.shop.module{module}.Service{depth}.handle{shape}\
                 (shop@1.4.2/Service{depth}.java:{line})"
            )?;
            match (depth, shape % 3) {
                (0, 0) => {
                    let lock = 0x6_0000_0000_u64 + shape * 0x40;
                    let class = "java.util.concurrent.locks.ReentrantLock$NonfairSync";
                    writeln!(out, "\t- parking to wait for  <{lock:#018x}> (a {class})")?;
                }
                (0, 2) => {
                    let lock = 0x6_1000_0000_u64 + shape * 0x40;
                    writeln!(out, "\t- waiting to lock <{lock:#018x}> (a com.example.shop.Stock)")?;
                }
                (7, _) => {
                    let lock = 0x6_2000_0000_u64 + number * 0x40;
                    writeln!(out, "\t- locked <{lock:#018x}> (a com.example.shop.Session)")?;
                }
                _ => {}
            }
        }
        writeln!(out, "\n   Locked ownable synchronizers:\n\t- None\n")?;
    }
    writeln!(out, "JNI global refs: 7, weak refs: 0\n")
}

/// Numbers that look random and are the same every time (xorshift64*).
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }
}
