//! What staff set while the program runs: each change is a version, audited, and counts in every process within a
//! second.
//!
//! Nobody who asks waits for it: a task of each process reads the settings on a connection of its own, when the bus
//! tells of a change, and twice a second whatever the bus hears. While the database is away what was read last counts.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, Utc};
use secrecy::SecretString;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{Map, Value};
use tokio::sync::Notify;
use uuid::Uuid;

use super::{
    Code, Core, Expected, FieldError, Result, ServiceError,
    audit::{self, Action, Entry, Snapshot, Subject},
    cursors::{ListRequest, Listed},
};
use crate::db::{
    Bus, Origin, Topic,
    setting_versions::{self, NewVersion, SettingVersion, VersionFilter, VersionSort},
};

/// Something that staff set.
pub trait Setting: Serialize + DeserializeOwned + Clone + Send + Sync + 'static {
    /// As rows have it; never changed.
    const NAME: &'static str;

    /// What it is where nobody has set it.
    fn unset(live: &LiveSettings) -> Self;

    /// What is wrong with it.
    fn faults(&self) -> Vec<FieldError> {
        Vec::new()
    }
}

/// What an app on one platform must know before it goes on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlatformRelease {
    pub platform: String,
    /// Older apps must not go on.
    pub minimum_version: String,
    pub latest_version: String,
    /// Whether everyone must take the newest.
    pub force_upgrade: bool,
}

/// The releases of the apps.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Releases {
    pub platforms: Vec<PlatformRelease>,
}

/// Whether the client API is closed, and what it says then.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Maintenance {
    pub enabled: bool,
    /// For people.
    pub message: Option<String>,
    /// When to try again, in seconds.
    pub retry_after_seconds: u32,
}

impl Setting for Releases {
    const NAME: &'static str = "release";

    fn unset(live: &LiveSettings) -> Self {
        live.releases.clone()
    }

    fn faults(&self) -> Vec<FieldError> {
        let version = |text: &str| -> Vec<u32> {
            text.split('.').filter_map(|part| part.parse().ok()).collect()
        };
        let mut faults = Vec::new();
        for (index, one) in self.platforms.iter().enumerate() {
            let at = |field: &str| format!("platforms[{index}].{field}");
            if self.platforms[..index].iter().any(|other| other.platform == one.platform) {
                faults.push(FieldError::new(at("platform"), "repeated", "is there already"));
            }
            if version(&one.minimum_version) > version(&one.latest_version) {
                let message = "must not be above the newest version";
                faults.push(FieldError::new(at("minimum_version"), "order", message));
            }
        }
        faults
    }
}

impl Setting for Maintenance {
    const NAME: &'static str = "maintenance";

    fn unset(_: &LiveSettings) -> Self {
        Self::default()
    }
}

impl<T: Setting> Snapshot for Current<T> {
    fn snapshot(&self) -> Map<String, Value> {
        match serde_json::to_value(&self.value) {
            Ok(Value::Object(fields)) => fields,
            _ => Map::new(),
        }
    }
}

/// What a setting is, since when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Current<T> {
    pub value: T,
    /// 0 where nobody has ever set it.
    pub version: i32,
    pub changed_at: Option<DateTime<Utc>>,
    /// The admin, if it was one.
    pub changed_by: Option<Uuid>,
}

impl<T: Setting> Current<T> {
    fn of(row: &SettingVersion) -> Result<Self> {
        Ok(Self {
            value: serde_json::from_value(row.value.clone()).map_err(ServiceError::internal)?,
            version: row.version,
            changed_at: Some(row.created_at),
            changed_by: row.changed_by,
        })
    }
}

/// What this process knows of the settings.
pub struct LiveSettings {
    /// Where nobody has set them.
    releases: Releases,
    known: Arc<Mutex<Option<Vec<SettingVersion>>>>,
    woken: Arc<Notify>,
}

impl LiveSettings {
    /// Hears on the bus of changes.
    #[must_use]
    pub fn new(releases: Releases, bus: &Bus) -> Self {
        let woken = Arc::new(Notify::new());
        let hook = woken.clone();
        bus.hear(Topic::Settings, move |_| hook.notify_one());
        Self { releases, known: Arc::default(), woken }
    }

    /// Reads the settings again and again, until it is dropped. `url` leads to the database past any pooler.
    pub async fn follow(self: Arc<Self>, url: SecretString) {
        setting_versions::follow(url, &self.woken, |rows| note(&self.known, rows)).await;
    }

    fn find<T: Setting>(&self, rows: &[SettingVersion]) -> Result<Current<T>> {
        match rows.iter().find(|row| row.name == T::NAME) {
            Some(row) => Current::of(row),
            None => Ok(self.unset()),
        }
    }

    fn unset<T: Setting>(&self) -> Current<T> {
        Current { value: T::unset(self), version: 0, changed_at: None, changed_by: None }
    }

    /// What was read last: no statement, but for the first one.
    async fn known(&self, core: &Core) -> Result<Vec<SettingVersion>> {
        if let Some(rows) = lock(&self.known).clone() {
            return Ok(rows);
        }
        let rows = setting_versions::current(&mut *core.db.conn().await?).await?;
        note(&self.known, rows.clone());
        Ok(rows)
    }

    /// What counts; as long as the database has never told, what counts where nobody has set it.
    pub async fn get<T: Setting>(&self, core: &Core) -> Current<T> {
        let known = self.known(core).await.and_then(|rows| self.find(&rows));
        known.unwrap_or_else(|_| self.unset())
    }
}

/// A version never goes back to an older one that was read before it.
fn note(known: &Mutex<Option<Vec<SettingVersion>>>, rows: Vec<SettingVersion>) {
    let mut known = lock(known);
    let present = known.get_or_insert_default();
    for row in rows {
        match present.iter_mut().find(|one| one.name == row.name) {
            Some(one) if one.version <= row.version => *one = row,
            Some(_) => {}
            None => present.push(row),
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What a setting is in the database.
///
/// # Errors
/// When the database fails.
pub async fn read<T: Setting>(core: &Core) -> Result<Current<T>> {
    let rows = setting_versions::current(&mut *core.db.conn().await?).await?;
    core.live_settings.find(&rows)
}

/// Sets it, in this process at once and in all others within a second.
///
/// # Errors
/// [`Code::ValidationFailed`], or [`Code::PreconditionFailed`], also when somebody else sets it at the same time.
pub async fn change<T: Setting>(
    core: &Core,
    origin: &Origin,
    expected: Expected<Current<T>>,
    value: T,
) -> Result<Current<T>> {
    let faults = value.faults();
    if !faults.is_empty() {
        return Err(ServiceError::invalid(faults));
    }
    let mut tx = core.db.begin(origin).await?;
    let rows = setting_versions::current(&mut tx).await?;
    let live = &core.live_settings;
    let present = live.find(&rows)?;
    expected.check(&present)?;
    let new = NewVersion {
        id: core.random.id(tx.now),
        name: T::NAME,
        version: present.version + 1,
        value: &serde_json::to_value(&value).map_err(ServiceError::internal)?,
        changed_by: origin.actor.admin_id(),
        now: tx.now,
    };
    let row = setting_versions::insert(&mut tx, new).await?.ok_or(Code::PreconditionFailed)?;
    let current = Current::of(&row)?;
    let entry = Entry::new(Action::SettingChanged, Subject::Setting(T::NAME));
    audit::record(core, &mut tx, entry.changed(&present, &current)).await?;
    let known = live.known.clone();
    tx.after_commit(move || note(&known, vec![row]));
    tx.commit().await?;
    Ok(current)
}

/// One page of the versions of a setting: one statement.
///
/// # Errors
/// [`Code::ValidationFailed`] for a cursor of another list.
pub async fn history<T: Setting>(
    core: &Core,
    request: ListRequest<VersionSort>,
) -> Result<Listed<SettingVersion>> {
    let filter = VersionFilter { name: T::NAME };
    let reading = core.cursors.start(request, &filter)?;
    let mut conn = core.db.conn().await?;
    let rows = setting_versions::list(&mut conn, filter, &reading.window).await?;
    reading.finish(rows, None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_read_before_a_change_does_not_undo_it() {
        let row = |name: &str, version| SettingVersion {
            id: Uuid::nil(),
            name: name.to_owned(),
            version,
            value: Value::Null,
            changed_by: None,
            created_at: DateTime::UNIX_EPOCH,
        };
        let known = Mutex::default();
        note(&known, Vec::new());
        assert_eq!(lock(&known).as_deref(), Some(&[][..]), "nobody has set any");
        note(&known, vec![row("release", 2)]);
        note(&known, vec![row("release", 1), row("maintenance", 1)]);
        let expected = [row("release", 2), row("maintenance", 1)];
        assert_eq!(lock(&known).as_deref(), Some(&expected[..]));
    }
}
