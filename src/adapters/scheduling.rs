//! When the kernel gives our threads a core.
//!
//! A thread that is woken usually interrupts what has run for longer. With the database on the same
//! cores, each request that comes in would then interrupt that: when most are refused, many times
//! for each answer.

/// From now on this thread, and those that it starts, wait until a core is free or their turn has
/// come (`SCHED_BATCH`, sched(7)). Where a core is free nothing is different; where this isn't
/// allowed all works as before, only slower under load.
pub fn interrupt_nobody() {
    #[cfg(target_os = "linux")]
    linux::set(thread_priority::NormalThreadSchedulePolicy::Batch);
}

/// Takes [`interrupt_nobody`] back: for a child that it was not meant for.
pub fn interrupt_as_usual() {
    #[cfg(target_os = "linux")]
    linux::set(thread_priority::NormalThreadSchedulePolicy::Other);
}

#[cfg(target_os = "linux")]
mod linux {
    use thread_priority::{
        NormalThreadSchedulePolicy, ThreadPriority, ThreadPriorityValue, ThreadSchedulePolicy,
        set_thread_priority_and_policy, thread_native_id,
    };

    pub fn set(policy: NormalThreadSchedulePolicy) {
        let policy = ThreadSchedulePolicy::Normal(policy);
        // The library sets the niceness as well, by numbers of its own: this is the one that it has.
        let niceness = rustix::process::getpriority_process(None).unwrap_or_default();
        let numbers = (0..u8::MAX).map_while(|number| ThreadPriorityValue::try_from(number).ok());
        let present = numbers
            .map(ThreadPriority::Crossplatform)
            .find(|priority| priority.to_posix(policy).is_ok_and(|found| found == niceness));
        if let Some(priority) = present {
            let _ = set_thread_priority_and_policy(thread_native_id(), priority, policy);
        }
    }
}
