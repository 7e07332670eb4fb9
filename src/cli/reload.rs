//! SIGHUP: reads the settings again, and takes up what a running server can.

use std::{
    ffi::OsString,
    io::{self, IsTerminal},
};

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::{Failure, command, logging::SetFilter};
use crate::{
    config::{self, Setting, Settings},
    http::Reloader,
};

/// The settings of a server that runs.
pub(crate) struct Reload {
    args: Vec<OsString>,
    hangup: Signal,
    /// Whether a person sits before it, whose terminal may be closed: that is told by SIGHUP as well.
    on_terminal: bool,
    set_filter: SetFilter,
    /// Those that it was started with.
    started: Settings,
    /// Those that were read last, of which only a part may hold.
    current: Settings,
}

impl Reload {
    /// From here on SIGHUP does not end the program.
    pub(crate) fn catch(args: &[OsString], set_filter: SetFilter) -> Result<Self, Failure> {
        let cannot = |error: io::Error| Failure::failed(format!("cannot catch signals: {error}"));
        Ok(Self {
            args: args.to_vec(),
            hangup: signal(SignalKind::hangup()).map_err(cannot)?,
            on_terminal: io::stdin().is_terminal(),
            set_filter,
            started: config::settings(command(), args)?,
            current: config::settings(command(), args)?,
        })
    }

    /// Takes up what each SIGHUP brings. Returns when the terminal is gone that the server was started
    /// on: nobody could stop it there any more.
    pub(crate) async fn follow(mut self, reloader: Reloader) {
        while self.hangup.recv().await.is_some() {
            if self.on_terminal && !io::stdin().is_terminal() {
                return;
            }
            match self.read() {
                Ok(read) => self.take_up(read, &reloader).await,
                Err(error) => tracing::error!(
                    error = %error.message(),
                    "the settings cannot be used: those of before hold on"
                ),
            }
        }
    }

    fn read(&self) -> Result<Settings, Failure> {
        let mut read = config::settings(command(), &self.args)?;
        read.config.read_environment()?;
        read.config.validate()?;
        Ok(read)
    }

    async fn take_up(&mut self, read: Settings, reloader: &Reloader) {
        reloader.apply(&read.config);
        if let Some(warning) = read.config.missing_limits() {
            tracing::warn!("{warning}");
        }
        if let Err(error) = (self.set_filter)(&read.config.log) {
            tracing::error!(error = %error.message(), "the log filter cannot be changed");
        }
        // Names alone: a value may be secret.
        let now = read.changed_from(&self.current);
        let now: Vec<&str> = now
            .into_iter()
            .filter(|name| Setting::is_reloadable(name))
            .collect();
        tracing::info!(changed = %now.join(", "), "the settings were read again");
        if !now.is_empty() {
            reloader
                .record(now.into_iter().map(str::to_owned).collect())
                .await;
        }
        let later = read.changed_from(&self.started);
        let later: Vec<&str> = later
            .into_iter()
            .filter(|name| !Setting::is_reloadable(name))
            .collect();
        if !later.is_empty() {
            tracing::warn!(
                settings = %later.join(", "),
                "these settings have changed and hold from the next start on"
            );
        }
        self.current = read;
    }
}
