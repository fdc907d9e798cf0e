//! A program with the agent. Run it, and from another terminal: `kill -QUIT $(pgrep embed)`.

use std::thread;
use std::time::Duration;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    sigquit::install()?;
    println!("kill -QUIT {}", std::process::id());
    loop {
        thread::sleep(Duration::from_secs(1));
    }
}
