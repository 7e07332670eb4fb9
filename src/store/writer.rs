//! The one writer of a process: it owns the write connection, takes what has queued up, checks and
//! appends it all in one transaction, commits once, and answers everyone. Group commit: the cost of
//! making things durable is shared by all who wait for it.

mod handle;

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use tokio::{
    sync::{mpsc, watch},
    time::Instant,
};
use tokio_util::sync::CancellationToken;

pub(crate) use handle::WriterHandle;

use handle::Job;

use super::{
    Measures, StoreError,
    append::{Append, Committed},
    batch::{Answer, Known, Outcome, check_first, sealed_under, write},
    catch_up,
    database::{Target, Writable},
    files::Files,
    patience::{patient, within},
    sql,
    trouble::Kind,
};
use crate::{domain::StreamId, edge::Clock};

/// Commands in one transaction at most: enough to share the cost of the commit, few enough that
/// nobody waits long for the others.
const MAX_BATCH: usize = 256;
/// Commands that may wait for the writer; beyond it callers wait to be let in.
const QUEUE: usize = 4_096;
/// How long to wait before the database is tried again after it failed to answer.
const RECONNECT_PAUSE: Duration = Duration::from_millis(100);
/// How long callers whose commit was not answered are kept until it is known what became of it.
const UNCERTAIN_FOR: Duration = Duration::from_secs(10);

/// Told what has been committed, in order, before those who asked for it are answered.
pub trait CommitListener: Send + Sync + 'static {
    /// `events` are durable.
    fn committed(&self, events: &[Committed]);

    /// Another node has appended to these streams.
    fn appended_elsewhere(&self, _streams: &[StreamId]) {}

    /// The log ends earlier than it did: whatever is known of it may be otherwise.
    fn put_back(&self) {}
}

pub(crate) struct Writer {
    target: Target,
    files: Files,
    connection: Option<Writable>,
    /// What the connection writes to.
    written: Files,
    jobs: mpsc::Receiver<Job>,
    head: watch::Sender<u64>,
    listener: Arc<dyn CommitListener>,
    clock: Clock,
    measures: Arc<Measures>,
    /// Fingerprint of the master key that this process seals under.
    seal: Arc<OnceLock<String>>,
    stop: CancellationToken,
    /// What keeps it from committing, as the log was last told.
    trouble: Option<Kind>,
}

/// How far a transaction came before it failed.
enum Failure {
    /// Nothing was written: the lock was not had, or what came before could not be read.
    Begin(StoreError),
    /// Rolled back, or the commit was refused.
    Body(StoreError),
    /// The answer to COMMIT did not come: what would have been answered.
    Commit(StoreError, Outcome),
}

impl Writer {
    #[expect(clippy::too_many_arguments, reason = "each is a part of its own")]
    pub(crate) fn new(
        target: Target,
        files: Files,
        (connection, written): (Writable, Files),
        head: watch::Sender<u64>,
        listener: Arc<dyn CommitListener>,
        clock: Clock,
        measures: Arc<Measures>,
        seal: Arc<OnceLock<String>>,
        stop: CancellationToken,
    ) -> (Self, WriterHandle) {
        let (sender, jobs) = mpsc::channel(QUEUE);
        let writer = Self {
            target,
            files,
            connection: Some(connection),
            written,
            jobs,
            head,
            listener,
            clock,
            measures,
            seal,
            stop,
            trouble: None,
        };
        (writer, WriterHandle::new(sender))
    }

    /// Works until it is told to stop, or every handle is gone, and everything queued by then is
    /// committed.
    pub(crate) async fn run(mut self) {
        let mut batch = Vec::with_capacity(MAX_BATCH);
        loop {
            let received = tokio::select! {
                () = self.stop.cancelled(), if !self.jobs.is_closed() => {
                    // Nothing more is let in; what is queued comes out below.
                    self.jobs.close();
                    continue;
                }
                received = self.jobs.recv_many(&mut batch, MAX_BATCH) => received,
            };
            if received == 0 {
                break;
            }
            self.work(std::mem::take(&mut batch)).await;
        }
        if let Some(connection) = self.connection.take() {
            connection.close().await;
        }
    }

    async fn work(&mut self, batch: Vec<Job>) {
        self.measures.batch.observe(batch.len() as f64);
        let begun = Instant::now();
        let committed = self.committed(&batch).await;
        let seconds = begun.elapsed().as_secs_f64();
        self.measures.commit_seconds.observe(seconds);
        if committed.is_err() {
            self.measures.commit_failures.inc();
        }
        let failure = match committed {
            Ok(answers) => {
                self.commits_again(&batch, &answers);
                return self.answer(batch, answers);
            }
            Err(failure) => failure,
        };
        match failure {
            // One command may have poisoned the batch: each gets a transaction of its own.
            Failure::Body(error) if batch.len() > 1 && error.is_of_one_command() => {
                tracing::warn!(%error, "a batch failed and is tried command by command");
                self.one_by_one(batch).await;
            }
            Failure::Body(error) if error.is_of_one_command() => self.refuse_one(batch, error),
            Failure::Begin(error) | Failure::Body(error) => {
                let error = self.tell(error);
                self.refuse(batch, error);
                tokio::time::sleep(RECONNECT_PAUSE).await;
            }
            Failure::Commit(error, outcome) => {
                let answers = self.uncertain(error, outcome).await;
                self.answer(batch, answers);
            }
        }
    }

    /// Everyone hears as soon as their own is durable; at the first sign that the database itself
    /// is at fault the rest is given up.
    async fn one_by_one(&mut self, batch: Vec<Job>) {
        let mut left = batch.into_iter();
        while let Some(job) = left.next() {
            let job = vec![job];
            match self.committed(&job).await {
                Ok(answers) => self.answer(job, answers),
                Err(Failure::Commit(error, outcome)) => {
                    let answers = self.uncertain(error, outcome).await;
                    self.answer(job, answers);
                }
                Err(Failure::Body(error)) if error.is_of_one_command() => {
                    self.refuse_one(job, error);
                }
                Err(Failure::Begin(error) | Failure::Body(error)) => {
                    let error = self.tell(error);
                    self.refuse(job.into_iter().chain(left.by_ref()).collect(), error);
                }
            }
        }
    }

    /// Says what keeps it from committing: once, until that changes, however often it is tried.
    fn tell(&mut self, error: StoreError) -> StoreError {
        let error = self.target.told(error);
        let trouble = error.trouble();
        let is_news = match trouble {
            Some(_) => trouble != self.trouble,
            None => error.is_news("writer"),
        };
        if is_news {
            tracing::error!(%error, "nothing can be committed");
            self.trouble = trouble.or(self.trouble);
        } else {
            tracing::debug!(%error, "still nothing can be committed");
        }
        error
    }

    /// Says so when that is over: something that had to be written was.
    fn commits_again(&mut self, batch: &[Job], answers: &[Answer]) {
        let wrote = |((append, _), answer): (&Job, &Answer)| matches!(answer, Ok(events) if append.probe || !events.is_empty());
        if self.trouble.is_some() && batch.iter().zip(answers).any(wrote) {
            self.trouble = None;
            tracing::info!("the database commits again");
        }
    }

    /// A command that is at fault itself: others fare better.
    fn refuse_one(&self, job: Vec<Job>, error: StoreError) {
        tracing::error!(%error, "a command could not be committed");
        self.refuse(job, error);
    }

    fn refuse(&self, batch: Vec<Job>, error: StoreError) {
        for (_, caller) in batch {
            // A caller that has gone away needs no answer.
            let _ = caller.send(Err(error.again()));
        }
    }

    /// Wakes those who follow, then answers those who asked.
    fn answer(&self, batch: Vec<Job>, answers: Vec<Answer>) {
        let committed: Vec<Committed> = answers
            .iter()
            .filter_map(|answer| answer.as_ref().ok())
            .flatten()
            .cloned()
            .collect();
        if let Some(last) = committed.last() {
            self.head.send_replace(last.recorded.position);
            self.listener.committed(&committed);
        }
        for ((_, caller), answer) in batch.into_iter().zip(answers) {
            let _ = caller.send(answer);
        }
    }

    /// One transaction for the whole batch.
    async fn committed(&mut self, batch: &[Job]) -> Result<Vec<Answer>, Failure> {
        let appends: Vec<&Append> = batch.iter().map(|(append, _)| append).collect();
        let (mut connection, known) = self.begun(&appends).await.map_err(Failure::Begin)?;
        let outcome = within(connection.patience(), async {
            write(&mut connection, &appends, known, &self.clock).await
        });
        match outcome.await {
            Ok(outcome) => match self.commit(&mut connection).await {
                Ok(()) => {
                    self.connection = Some(connection);
                    Ok(outcome.answers)
                }
                // The connection is given up: what the database does with it is found out by the
                // events' ids, never guessed.
                Err(error) if error.is_of_the_connection() => Err(Failure::Commit(error, outcome)),
                Err(error) => {
                    self.rolled_back(connection, &error).await;
                    Err(Failure::Body(error))
                }
            },
            Err(error) => {
                self.rolled_back(connection, &error).await;
                Err(Failure::Body(error))
            }
        }
    }

    /// Commits into the files that were opened: when one of them is another by now, or none, nothing is
    /// asked of the database.
    async fn commit(&self, connection: &mut Writable) -> Result<(), StoreError> {
        within(connection.patience(), self.written.are_there()).await?;
        patient(connection, sql::COMMIT).await
    }

    /// A connection that holds the write lock, in a transaction that has begun, with everything
    /// projected that others appended.
    async fn begun(&mut self, appends: &[&Append]) -> Result<(Writable, Known), StoreError> {
        let mut connection = match self.connection.take() {
            Some(mut connection) => match self.locked(&mut connection).await {
                Ok(()) => connection,
                // Somebody holds the lock; the connection is a good one.
                Err(error) if !error.is_of_the_connection() => {
                    self.rolled_back(connection, &error).await;
                    return Err(error);
                }
                // Dropping it ended whatever it had begun: a fresh one may do.
                Err(_) => self.reconnected().await?,
            },
            None => self.reconnected().await?,
        };
        let patience = connection.patience();
        let checked = async {
            loop {
                let mut known = within(patience, check_first(&mut connection, appends)).await?;
                if appends.iter().any(|append| append.seals()) {
                    let under = within(patience, sealed_under(&mut connection)).await?;
                    known.resealed = under.as_ref() != self.seal.get();
                }
                if known.projected >= known.head {
                    return Ok(known);
                }
                // A page at a time, each durable by itself, so that no gap is too large.
                let (from, head) = (known.projected, known.head);
                within(patience, catch_up::page(&mut connection, from, head)).await?;
                self.commit(&mut connection).await?;
                within(patience, async { Ok(connection.begin().await?) }).await?;
            }
        };
        match checked.await {
            Ok(known) => Ok((connection, known)),
            Err(error) => {
                self.rolled_back(connection, &error).await;
                Err(error)
            }
        }
    }

    async fn locked(&self, connection: &mut Writable) -> Result<(), StoreError> {
        within(connection.patience(), async {
            Ok(connection.begin().await?)
        })
        .await
    }

    async fn reconnected(&mut self) -> Result<Writable, StoreError> {
        let mut connection = within(self.target.patience(), async {
            Ok(self.target.writable().await?)
        })
        .await?;
        self.locked(&mut connection).await?;
        self.written = self.files.with_wal().await?;
        Ok(connection)
    }

    /// Keeps the connection if it is a good one.
    async fn rolled_back(&mut self, mut connection: Writable, error: &StoreError) {
        if !error.is_of_the_connection() && patient(&mut connection, sql::ROLLBACK).await.is_ok() {
            self.connection = Some(connection);
        }
    }

    /// Finds out what became of a batch whose commit was not answered, under the lock: so the
    /// transaction in question has ended, one way or the other.
    async fn uncertain(&mut self, error: StoreError, outcome: Outcome) -> Vec<Answer> {
        tracing::error!(%error, "the answer to a commit was lost: looking it up");
        let until = Instant::now() + UNCERTAIN_FOR;
        loop {
            match self.was_committed(&outcome).await {
                Ok(true) => {
                    tracing::warn!("what was not answered had been committed");
                    return outcome.answers;
                }
                Ok(false) => return outcome.undone(&error),
                Err(error) if Instant::now() >= until => {
                    tracing::error!(%error, "what became of a commit is not known");
                    return outcome.undone(&StoreError::Uncertain);
                }
                Err(error) => {
                    self.tell(error);
                    tokio::time::sleep(RECONNECT_PAUSE).await;
                }
            }
        }
    }

    async fn was_committed(&mut self, outcome: &Outcome) -> Result<bool, StoreError> {
        let mut connection = self.reconnected().await?;
        let found = within(
            connection.patience(),
            outcome.is_in_the_log(&mut connection),
        );
        let found = found.await?;
        patient(&mut connection, sql::ROLLBACK).await?;
        self.connection = Some(connection);
        Ok(found)
    }
}
