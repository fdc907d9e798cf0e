//! The control group: how much CPU and memory the process may use at most, and how often it was
//! held back. Version 2 where it is mounted, version 1 otherwise.
//!
//! A limit holds for everything below the group that sets it, so every group from the process's
//! own up to the root is asked, and the tightest answer counts.

use std::fs;
use std::path::{Path, PathBuf};

use sigquit_dump::{CpuLimit, Nanos, Throttling};

const ROOT: &str = "/sys/fs/cgroup";

/// What the groups say of the process.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Limits {
    pub cpu: Option<CpuLimit>,
    pub throttling: Option<Throttling>,
    pub memory: Option<u64>,
}

pub(super) fn limits() -> Limits {
    let own = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    limits_below(Path::new(ROOT), &own)
}

fn limits_below(root: &Path, own: &str) -> Limits {
    if root.join("cgroup.controllers").exists() {
        let groups = chain(root, path_of(own, "").unwrap_or("/"));
        let (cpu, throttling) = tightest(&groups, cpu_max);
        return Limits { cpu, throttling, memory: least(&groups, "memory.max") };
    }
    let groups =
        |controller: &str| chain(&root.join(controller), path_of(own, controller).unwrap_or("/"));
    let (cpu, throttling) = tightest(&groups("cpu"), cpu_quota);
    Limits { cpu, throttling, memory: least(&groups("memory"), "memory.limit_in_bytes") }
}

/// The path of the group in `/proc/self/cgroup`, whose lines are `4:cpu,cpuacct:/path`; version 2
/// has no controllers there: `0::/path`.
fn path_of<'a>(own: &'a str, controller: &str) -> Option<&'a str> {
    own.lines().find_map(|line| {
        let mut parts = line.splitn(3, ':').skip(1);
        let mut controllers = parts.next()?.split(',');
        controllers.any(|name| name == controller).then_some(parts.next()?)
    })
}

/// The folders of the group and of those above it. In a container the path may be the host's,
/// and only the root of what is mounted exists.
fn chain(root: &Path, path: &str) -> Vec<PathBuf> {
    let own = root.join(path.trim_start_matches('/'));
    let inside = own.ancestors().take_while(|folder| folder.starts_with(root));
    inside.filter(|folder| folder.is_dir()).map(Path::to_owned).collect()
}

/// The CPU limit that leaves the smallest share, with the throttling of the group that sets it;
/// without a limit, the throttling of the process's own group.
fn tightest(
    groups: &[PathBuf],
    limit: fn(&Path) -> Option<CpuLimit>,
) -> (Option<CpuLimit>, Option<Throttling>) {
    let share = |limit: &CpuLimit| limit.quota.0 as f64 / limit.period.0.max(1) as f64;
    let limited = groups.iter().filter_map(|group| Some((group, limit(group)?)));
    match limited.min_by(|(_, a), (_, b)| share(a).total_cmp(&share(b))) {
        Some((group, limit)) => (Some(limit), throttling(group)),
        None => (None, groups.first().and_then(|group| throttling(group))),
    }
}

/// Version 2: `200000 100000`, or `max 100000`.
fn cpu_max(group: &Path) -> Option<CpuLimit> {
    let text = fs::read_to_string(group.join("cpu.max")).ok()?;
    let (quota, period) = text.trim().split_once(' ')?;
    Some(CpuLimit { quota: micros(quota)?, period: micros(period)? })
}

/// Version 1: a file for each number; no limit is -1.
fn cpu_quota(group: &Path) -> Option<CpuLimit> {
    let read = |file| micros(fs::read_to_string(group.join(file)).ok()?.trim());
    Some(CpuLimit { quota: read("cpu.cfs_quota_us")?, period: read("cpu.cfs_period_us")? })
}

fn micros(text: &str) -> Option<Nanos> {
    Some(Nanos(text.parse::<u64>().ok()?.saturating_mul(1000)))
}

/// `cpu.stat`: version 2 counts microseconds (`throttled_usec`), version 1 nanoseconds
/// (`throttled_time`).
fn throttling(group: &Path) -> Option<Throttling> {
    let text = fs::read_to_string(group.join("cpu.stat")).ok()?;
    let field = |name: &str| {
        text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok())
    };
    let time = match field("throttled_usec") {
        Some(micros) => Nanos(u64::saturating_mul(micros, 1000)),
        None => Nanos(field("throttled_time")?),
    };
    Some(Throttling { periods: field("nr_periods")?, throttled: field("nr_throttled")?, time })
}

/// Version 1 says "no limit" with a number larger than any memory.
fn least(groups: &[PathBuf], file: &str) -> Option<u64> {
    let read = |group: &PathBuf| {
        let limit: u64 = fs::read_to_string(group.join(file)).ok()?.trim().parse().ok()?;
        (limit < i64::MAX as u64 / 2).then_some(limit)
    };
    groups.iter().filter_map(read).min()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group(files: &[(&str, &str)]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        root
    }

    #[test]
    fn version_2_takes_the_tightest_limit_of_the_groups_above() {
        let root = group(&[
            ("cgroup.controllers", "cpu memory\n"),
            ("shop/cpu.max", "50000 100000\n"),
            ("shop/cpu.stat", "usage_usec 9\nnr_periods 70\nnr_throttled 6\nthrottled_usec 5\n"),
            ("shop/orders/cpu.max", "max 100000\n"),
            ("shop/orders/memory.max", "1048576\n"),
            ("shop/memory.max", "max\n"),
        ]);
        let limits = limits_below(root.path(), "0::/shop/orders\n");
        let cpu = CpuLimit { quota: Nanos(50_000_000), period: Nanos(100_000_000) };
        let throttling = Throttling { periods: 70, throttled: 6, time: Nanos(5000) };
        assert_eq!(
            limits,
            Limits { cpu: Some(cpu), throttling: Some(throttling), memory: Some(1 << 20) }
        );
    }

    #[test]
    fn version_1_has_a_folder_for_each_controller_and_odd_words_for_none() {
        let root = group(&[
            ("cpu/orders/cpu.cfs_quota_us", "200000\n"),
            ("cpu/orders/cpu.cfs_period_us", "100000\n"),
            ("cpu/orders/cpu.stat", "nr_periods 7\nnr_throttled 1\nthrottled_time 12\n"),
            ("memory/memory.limit_in_bytes", "9223372036854771712\n"),
        ]);
        let own = "5:memory:/\n4:cpu,cpuacct:/orders\n";
        let limits = limits_below(root.path(), own);
        assert_eq!(limits.cpu.unwrap().quota, Nanos(200_000_000));
        assert_eq!(limits.throttling.unwrap().time, Nanos(12));
        assert_eq!(limits.memory, None);
    }

    #[test]
    fn a_path_of_the_host_leaves_the_root_that_is_mounted() {
        let root = group(&[("cgroup.controllers", "cpu\n"), ("cpu.max", "1000 2000\n")]);
        let limits = limits_below(root.path(), "0::/../../host/path\n");
        assert_eq!(limits.cpu.unwrap().quota, Nanos(1_000_000));
    }

    #[test]
    fn nothing_mounted_says_nothing() {
        let root = group(&[]);
        assert_eq!(limits_below(root.path(), ""), Limits::default());
    }
}
