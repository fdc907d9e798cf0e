use std::fs;
use std::path::Path;

use sigquit_dump::{Dump, Symbol, read, write};

use crate::running::files;

/// Keeps the dumps that lie under one folder in another, one file each, without what they say
/// of the machine. What lay there before is replaced.
pub fn record(dumps: &Path, fixture: &Path) {
    if fixture.exists() {
        fs::remove_dir_all(fixture).unwrap();
    }
    fs::create_dir_all(fixture).unwrap();
    for file in files(dumps) {
        let Ok((dumps, _)) = read(&fs::read(&file).unwrap()) else { continue };
        for mut dump in dumps {
            let index = dump.series.as_ref().map_or(1, |series| series.index);
            forget_machine(&mut dump);
            let file = fs::File::create(fixture.join(format!("dump-{index}.sigquit"))).unwrap();
            write(&dump, std::io::BufWriter::new(file)).unwrap();
        }
    }
}

fn forget_machine(dump: &mut Dump) {
    dump.process.host = Some("shop-1".to_owned());
    let executable = dump.process.executable.as_mut().expect("a program");
    let program = executable.rsplit('/').next().unwrap_or_default();
    let there = std::mem::replace(executable, format!("/srv/{program}"));
    for module in dump.modules.iter_mut().filter(|module| module.path == there) {
        module.path = executable.clone();
    }
    dump.frames.iter_mut().flat_map(|frame| &mut frame.symbols).for_each(forget_home);
}

/// Leaves of a source file's path what is the same wherever it is compiled.
fn forget_home(symbol: &mut Symbol) {
    let Some(location) = &mut symbol.location else { return };
    let of_package = location.file.split_once("/registry/src/").and_then(|(_, rest)| {
        let (_registry, file) = rest.split_once('/')?;
        Some(file.to_owned())
    });
    let of_project =
        ["/fixtures/programs/", "/fixtures/plain/", "/agent/"].iter().find_map(|folder| {
            let at = location.file.find(folder)?;
            Some(location.file[at + 1..].to_owned())
        });
    if let Some(file) = of_package.or(of_project) {
        location.file = file;
    }
}
