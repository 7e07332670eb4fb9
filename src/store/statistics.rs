//! Counts for everybody to see.

use std::sync::{Mutex, PoisonError};

use sqlx::Row;

use super::{Store, StoreError, as_i64, as_u64, on, sql};

/// Counts for everybody to see.
#[derive(Debug, Clone, Copy)]
pub struct Statistics {
    /// Agents registered.
    pub agents: u64,
    /// Clients registered.
    pub clients: u64,
    /// Sign-ins so far.
    pub sign_ins: u64,
}

/// Who had registered when the log ended at `position`. Nobody's row ever goes, so only those behind it
/// have to be counted the next time.
#[derive(Debug, Clone, Copy, Default)]
struct Counted {
    position: u64,
    agents: u64,
    clients: u64,
}

/// What was counted last.
#[derive(Debug, Default)]
pub(super) struct Registered(Mutex<Counted>);

impl Registered {
    fn last(&self) -> Counted {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Another caller may have counted further meanwhile.
    fn keep(&self, counted: Counted) {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if counted.position > last.position {
            *last = counted;
        }
    }
}

impl Store {
    /// The counts.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`] when the database does not answer.
    pub async fn statistics(&self) -> Result<Statistics, StoreError> {
        let before = self.registered.last();
        let (counted, sign_ins) = on!(Pool, &self.pool, sql::STATISTICS, |c, sql| {
            let row = sqlx::query(sql)
                .bind(as_i64(before.position))
                .fetch_one(c)
                .await?;
            let counted = Counted {
                position: as_u64(row.try_get("position")?),
                agents: before.agents + as_u64(row.try_get("agents")?),
                clients: before.clients + as_u64(row.try_get("clients")?),
            };
            (counted, as_u64(row.try_get("sign_ins")?))
        });
        self.registered.keep(counted);
        Ok(Statistics {
            agents: counted.agents,
            clients: counted.clients,
            sign_ins,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_count_that_comes_late_does_not_replace_a_later_one() {
        let registered = Registered::default();
        let at = |position| Counted {
            position,
            agents: position,
            clients: 0,
        };
        registered.keep(at(7));
        registered.keep(at(5));
        assert_eq!(registered.last().position, 7);
        assert_eq!(registered.last().agents, 7);
    }
}
