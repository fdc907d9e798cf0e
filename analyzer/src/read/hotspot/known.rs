//! What the JVM prints besides threads, and which threads are its own.

/// Whether a line among the threads is one that says nothing of them.
pub(super) fn is_filler(body: &str) -> bool {
    const BEGINNINGS: &[&str] = &[
        "Threads class SMR info:",
        "_java_thread_list=",
        "_to_delete_list=",
        "_to_delete_list_cnt=",
        "next-> _java_thread_list=",
        "}",
        "Compiling:",
        "No compile task",
        "JavaThread state:",
        "Thread: 0x",
        "Debugger attached successfully",
        "Server compiler detected",
        "Client compiler detected",
        "Core build detected",
        "Deadlock Detection:",
        "No deadlocks found",
        "Finding concurrent locks",
        "Found a total of",
    ];
    BEGINNINGS.iter().any(|known| body.starts_with(known)) || is_thread_list(body)
}

/// `0x00007f2c04018360, 0x00007f2c040c3410, 0x00007f2c040c47f0,`
fn is_thread_list(body: &str) -> bool {
    body.starts_with("0x") && !body.contains('\t') && body.len() > 8 && {
        let mut words = body.split([',', ' ']).filter(|word| !word.is_empty());
        words.all(|word| word.starts_with("0x"))
    }
}

/// Whether a line is among those that the JVM prints after the last thread.
pub(super) fn is_tail(body: &str) -> bool {
    const BEGINNINGS: &[&str] =
        &["JNI global ref", "Heap", "num     #instances", "num   #instances"];
    BEGINNINGS.iter().any(|known| body.starts_with(known))
}

/// Whether the thread of that name is the JVM's own.
pub(super) fn is_own_thread(name: &str) -> bool {
    const NAMES: &[&str] = &[
        "Attach Listener",
        "Common-Cleaner",
        "DestroyJavaVM",
        "Finalizer",
        "Low Memory Detector",
        "Monitor Deflation Thread",
        "Notification Thread",
        "Reference Handler",
        "Service Thread",
        "Signal Dispatcher",
        "Sweeper thread",
        "VM Periodic Task Thread",
        "VM Thread",
    ];
    const BEGINNINGS: &[&str] = &[
        "C1 CompilerThread",
        "C2 CompilerThread",
        "CompilerThread",
        "JVMCI CompilerThread",
        "JVMCI-native CompilerThread",
        "Surrogate Locker Thread",
    ];
    NAMES.contains(&name) || BEGINNINGS.iter().any(|known| name.starts_with(known))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fillers() {
        assert!(is_filler("_java_thread_list=0x00007f2b80002d70, length=35, elements={"));
        assert!(is_filler("0x00007f2c04018360, 0x00007f2c040c3410,"));
        assert!(is_filler("0x00007f2c040fd0a0, 0x00007f2b80001de0"));
        assert!(!is_filler("0x00007f3aa986e72f\t__GI_accept + 0x4f"));
        assert!(!is_filler("at a.b.C(D.java:1)"));
    }
}
