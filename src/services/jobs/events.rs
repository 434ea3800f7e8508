//! Domain events: a service says what has happened, and needn't know who reacts to it.

use std::{any::Any, collections::HashMap};

use super::{Job, Order};
use crate::services::Result;

/// Something that has happened, as the past participle of its name says.
pub trait Event: Send + Sync + 'static {
    /// `subject.happened`.
    const NAME: &'static str;
}

type Reaction = Box<dyn Fn(&dyn Any) -> Option<Result<Order>> + Send + Sync>;

/// Who reacts to what.
#[derive(Default)]
pub struct Subscriptions(HashMap<&'static str, Vec<Reaction>>);

impl Subscriptions {
    /// Has a job done whenever `E` happens.
    pub fn on<E: Event, J: Job>(&mut self, job: impl Fn(&E) -> J + Send + Sync + 'static) {
        let reaction =
            move |event: &dyn Any| event.downcast_ref::<E>().map(|event| Order::of(&job(event)));
        self.0.entry(E::NAME).or_default().push(Box::new(reaction));
    }

    pub(super) fn reactions<E: Event>(&self, event: &E) -> Result<Vec<Order>> {
        let reactions = self.0.get(E::NAME).into_iter().flatten();
        reactions.filter_map(|reaction| reaction(event)).collect()
    }
}

#[cfg(test)]
mod tests {
    use serde::{Deserialize, Serialize};

    use super::*;

    struct ItHappened(u32);

    impl Event for ItHappened {
        const NAME: &'static str = "it.happened";
    }

    #[derive(Serialize, Deserialize)]
    struct Count {
        n: u32,
    }

    impl Job for Count {
        const KIND: &'static str = "count";
    }

    #[test]
    fn each_subscriber_gets_a_job_made_of_the_event() {
        let mut subscriptions = Subscriptions::default();
        assert!(subscriptions.reactions(&ItHappened(1)).expect("made").is_empty());
        subscriptions.on(|event: &ItHappened| Count { n: event.0 });
        subscriptions.on(|event: &ItHappened| Count { n: event.0 * 2 });
        let orders = subscriptions.reactions(&ItHappened(3)).expect("made");
        let told: Vec<_> = orders.iter().map(|order| order.payload["n"].clone()).collect();
        assert_eq!(told, [3, 6]);
    }
}
