//! How a connection behaves: what it is waiting for, since when, and until when it may. Pure but for
//! the moments that it is told.

use tokio::time::Instant;

use crate::config::Timeouts;

/// Why a connection is closed without the other side having asked for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Overdue {
    /// A request's head did not become whole in time.
    Head,
    /// Nothing was asked for a long time.
    Idle,
    /// What was answered is not taken.
    Unread,
}

/// What a connection is doing.
#[derive(Debug)]
pub(super) struct Conduct {
    /// Requests whose answer has not been handed over to its last byte; an open stream is one.
    in_flight: usize,
    /// Since when none has been.
    quiet_since: Instant,
    /// Since when a request's head has been on its way.
    head_since: Option<Instant>,
    /// Since when the network has taken nothing of what is to be sent.
    stalled_since: Option<Instant>,
    /// Answers of HTTP/2 of which something is ready that the other side's window does not let out.
    untaken: usize,
    /// When the other side last took something of one of them, or let the first of them wait.
    taken_at: Instant,
    /// Whether it is to close for want of room, if nothing is in flight.
    makes_way: bool,
    is_http2: bool,
}

impl Conduct {
    /// A connection that was just made. Whoever connects is about to ask, so the time for the first
    /// head runs from here.
    pub(super) const fn new(now: Instant) -> Self {
        Self {
            in_flight: 0,
            quiet_since: now,
            head_since: Some(now),
            stalled_since: None,
            untaken: 0,
            taken_at: now,
            makes_way: false,
            is_http2: false,
        }
    }

    /// Something has arrived. Between the requests of HTTP/2 that may be a ping, which begins nothing.
    pub(super) fn received(&mut self, now: impl FnOnce() -> Instant) {
        if self.in_flight == 0 && self.head_since.is_none() && !self.is_http2 {
            self.head_since = Some(now());
        }
    }

    /// A request's head is whole.
    pub(super) const fn asked(&mut self, by_http2: bool) {
        self.in_flight += 1;
        self.head_since = None;
        self.is_http2 = by_http2;
    }

    /// The last byte of an answer was handed over.
    pub(super) const fn answered(&mut self, now: Instant) {
        self.in_flight -= 1;
        self.quiet_since = now;
    }

    /// The network takes nothing more at present.
    pub(super) fn stalled(&mut self, now: Instant) {
        self.stalled_since.get_or_insert(now);
    }

    /// It takes something again.
    pub(super) const fn flows(&mut self) {
        self.stalled_since = None;
    }

    /// One more answer has something ready for the other side. Whoever asks anew has not taken
    /// anything.
    pub(super) const fn offered(&mut self, now: Instant) {
        if self.untaken == 0 {
            self.taken_at = now;
        }
        self.untaken += 1;
    }

    /// The other side took something of an answer.
    pub(super) const fn taken(&mut self, now: Instant) {
        self.taken_at = now;
    }

    /// One answer less has something ready: it has ended, or its next part is yet to come.
    pub(super) const fn offers_nothing(&mut self) {
        self.untaken -= 1;
    }

    /// Whether nothing is owed to the other side.
    pub(super) const fn owes_nothing(&self) -> bool {
        self.in_flight == 0 && self.stalled_since.is_none()
    }

    /// Since when nothing is owed to the other side, unless it makes way already.
    pub(super) fn idle_since(&self) -> Option<Instant> {
        (self.owes_nothing() && !self.makes_way).then_some(self.quiet_since)
    }

    /// It is to close for want of room.
    pub(super) const fn make_way(&mut self) {
        self.makes_way = true;
    }

    /// Whether that is still to be heard of.
    pub(super) const fn makes_way(&self) -> bool {
        self.makes_way
    }

    /// Whether it closes for want of room. If something was asked meanwhile it stays.
    pub(super) const fn gives_way(&mut self) -> bool {
        let makes_way = self.makes_way;
        self.makes_way = false;
        makes_way && self.owes_nothing()
    }

    /// Until when it may go on so, and what it is guilty of after that.
    pub(super) fn due(&self, timeouts: &Timeouts) -> Option<(Instant, Overdue)> {
        let after = |since: Instant, timeout: Option<_>, why| Some((since + timeout?, why));
        let waiting = match self.head_since {
            _ if self.in_flight > 0 => None,
            Some(since) => after(since, timeouts.header, Overdue::Head),
            None => after(self.quiet_since, timeouts.idle, Overdue::Idle),
        };
        let untaken = (self.untaken > 0).then_some(self.taken_at);
        let unread = [self.stalled_since, untaken]
            .into_iter()
            .flatten()
            .min()
            .and_then(|since| after(since, timeouts.idle, Overdue::Unread));
        [waiting, unread]
            .into_iter()
            .flatten()
            .min_by_key(|due| due.0)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const TIMEOUTS: Timeouts = Timeouts {
        header: Some(Duration::from_secs(10)),
        body: None,
        idle: Some(Duration::from_secs(60)),
    };

    struct Story {
        begin: Instant,
        conduct: Conduct,
    }

    impl Story {
        fn new() -> Self {
            let begin = Instant::now();
            let conduct = Conduct::new(begin);
            Self { begin, conduct }
        }

        fn at(&self, seconds: u64) -> Instant {
            self.begin + Duration::from_secs(seconds)
        }

        /// Seconds from the beginning.
        fn due(&self) -> Option<(u64, Overdue)> {
            let (at, why) = self.conduct.due(&TIMEOUTS)?;
            Some(((at - self.begin).as_secs(), why))
        }
    }

    #[test]
    fn a_head_has_its_time_from_the_first_byte_and_the_first_one_from_the_connection() {
        let mut story = Story::new();
        assert_eq!(story.due(), Some((10, Overdue::Head)));
        let later = story.at(9);
        story.conduct.received(|| later);
        assert_eq!(
            story.due(),
            Some((10, Overdue::Head)),
            "dripping wins nothing"
        );
        story.conduct.asked(false);
        assert_eq!(story.due(), None, "an answer may take its time");
        story.conduct.answered(story.at(100));
        assert_eq!(story.due(), Some((160, Overdue::Idle)));
        let (first, next) = (story.at(150), story.at(155));
        story.conduct.received(|| first);
        story.conduct.received(|| next);
        assert_eq!(story.due(), Some((160, Overdue::Head)));
    }

    #[test]
    fn what_comes_while_something_is_in_flight_begins_no_head() {
        let mut story = Story::new();
        story.conduct.asked(false);
        let body = story.at(3);
        story.conduct.received(|| body);
        assert_eq!(story.due(), None);
        story.conduct.answered(story.at(4));
        assert_eq!(story.due(), Some((64, Overdue::Idle)));
    }

    #[test]
    fn pings_of_http2_are_no_heads() {
        let mut story = Story::new();
        story.conduct.asked(true);
        story.conduct.asked(true);
        story.conduct.answered(story.at(1));
        assert_eq!(story.due(), None, "another is in flight");
        story.conduct.answered(story.at(2));
        let ping = story.at(30);
        story.conduct.received(|| ping);
        assert_eq!(story.due(), Some((62, Overdue::Idle)));
    }

    #[test]
    fn who_does_not_read_is_not_waited_for() {
        let mut story = Story::new();
        story.conduct.asked(false);
        story.conduct.stalled(story.at(5));
        story.conduct.stalled(story.at(50));
        assert_eq!(story.due(), Some((65, Overdue::Unread)));
        story.conduct.answered(story.at(6));
        assert!(!story.conduct.owes_nothing(), "it is not sent yet");
        story.conduct.flows();
        assert_eq!(story.due(), Some((66, Overdue::Idle)));
        assert!(story.conduct.owes_nothing());
    }

    #[test]
    fn who_opens_no_window_is_not_waited_for_and_does_not_help_themselves_by_asking_more() {
        let mut story = Story::new();
        story.conduct.asked(true);
        story.conduct.offered(story.at(5));
        assert_eq!(story.due(), Some((65, Overdue::Unread)));
        story.conduct.asked(true);
        story.conduct.offered(story.at(50));
        assert_eq!(story.due(), Some((65, Overdue::Unread)));
        story.conduct.taken(story.at(60));
        assert_eq!(story.due(), Some((120, Overdue::Unread)), "it moves");
        story.conduct.offers_nothing();
        assert_eq!(story.due(), Some((120, Overdue::Unread)), "the other waits");
        story.conduct.offers_nothing();
        assert_eq!(story.due(), None, "what comes next is ours to send");
        story.conduct.offered(story.at(300));
        assert_eq!(story.due(), Some((360, Overdue::Unread)));
    }

    #[test]
    fn what_is_asked_for_room_closes_unless_something_is_in_flight() {
        let mut story = Story::new();
        assert_eq!(story.conduct.idle_since(), Some(story.begin));
        story.conduct.make_way();
        assert_eq!(story.conduct.idle_since(), None);
        story.conduct.asked(false);
        assert!(!story.conduct.gives_way(), "it asked meanwhile");
        story.conduct.answered(story.at(3));
        assert_eq!(story.conduct.idle_since(), Some(story.at(3)));
        story.conduct.make_way();
        assert!(story.conduct.gives_way());
    }

    #[test]
    fn a_timeout_that_is_off_holds_nobody_to_anything() {
        let mut conduct = Story::new().conduct;
        let off = Timeouts {
            header: None,
            body: None,
            idle: None,
        };
        assert_eq!(conduct.due(&off), None);
        conduct.asked(false);
        conduct.stalled(Instant::now());
        conduct.offered(Instant::now());
        conduct.answered(Instant::now());
        assert_eq!(conduct.due(&off), None);
    }
}
