//! How often something may happen: a token bucket as one moment in time.
//!
//! A bucket holds `burst` tokens and wins `count` of them back in every period. Instead of its
//! tokens the moment is kept at which it will be full again (the generic cell rate algorithm): that
//! is all there is to know, so a bucket needs no clockwork, and one whose moment has passed may be
//! forgotten.

use std::{fmt, str::FromStr, time::Duration};

/// Highest count in a period, and largest burst.
const MOST: u32 = 1_000_000;

/// What a count is counted in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Period {
    Second,
    Minute,
    Hour,
}

impl Period {
    const fn length(self) -> Duration {
        Duration::from_secs(match self {
            Self::Second => 1,
            Self::Minute => 60,
            Self::Hour => 60 * 60,
        })
    }

    const fn as_str(self) -> &'static str {
        match self {
            Self::Second => "s",
            Self::Minute => "min",
            Self::Hour => "h",
        }
    }
}

/// A limit as it is set: `20/s burst 200`, or `0` for none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit(Option<Terms>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Terms {
    count: u32,
    per: Period,
    burst: u32,
}

/// A text that is no limit.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "write it as `20/s burst 200` (or /min, /h), both numbers from 1 to {MOST}, or 0 to switch it off"
)]
pub struct InvalidLimit;

/// When a bucket will be full again, counted from any fixed moment.
pub type FullAt = Duration;

impl Limit {
    /// No limit.
    pub const OFF: Self = Self(None);

    /// Whether there is none.
    #[must_use]
    pub const fn is_off(&self) -> bool {
        self.0.is_none()
    }

    /// Takes a token at `now` out of a bucket (`None`: a full one), and yields the bucket.
    ///
    /// # Errors
    ///
    /// For how long to wait when there is no token; the bucket is then as it was.
    pub fn take(&self, bucket: Option<FullAt>, now: Duration) -> Result<FullAt, Duration> {
        let Some(terms) = self.0 else {
            return Ok(now);
        };
        let token = terms.per.length() / terms.count;
        let after = bucket.unwrap_or(now).max(now) + token;
        match (after - now).checked_sub(token * terms.burst) {
            Some(wait) if !wait.is_zero() => Err(wait),
            _ => Ok(after),
        }
    }
}

impl FromStr for Limit {
    type Err = InvalidLimit;

    fn from_str(text: &str) -> Result<Self, InvalidLimit> {
        let number = |text: &str| {
            let number = text.parse().ok();
            number.filter(|number| (1..=MOST).contains(number))
        };
        let words: Vec<&str> = text.split_whitespace().collect();
        let (rate, burst) = match words[..] {
            ["0"] => return Ok(Self::OFF),
            [rate, "burst", burst] => (rate, burst),
            _ => return Err(InvalidLimit),
        };
        let terms = || {
            let (count, per) = rate.split_once('/')?;
            let per = [Period::Second, Period::Minute, Period::Hour]
                .into_iter()
                .find(|period| period.as_str() == per)?;
            Some(Terms {
                count: number(count)?,
                per,
                burst: number(burst)?,
            })
        };
        terms().map(|terms| Self(Some(terms))).ok_or(InvalidLimit)
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            None => f.write_str("0"),
            Some(Terms { count, per, burst }) => {
                write!(f, "{count}/{} burst {burst}", per.as_str())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn limit(text: &str) -> Limit {
        text.parse().unwrap()
    }

    /// How many of `calls` at one moment find a token, and the bucket after them.
    fn at_once(limit: Limit, calls: usize, bucket: &mut Option<FullAt>, now: Duration) -> usize {
        let admitted = |_: &usize| match limit.take(*bucket, now) {
            Ok(after) => {
                *bucket = Some(after);
                true
            }
            Err(_) => false,
        };
        (0..calls).filter(admitted).count()
    }

    #[test]
    fn a_limit_is_written_as_it_is_read() {
        for text in ["20/s burst 200", "10/min burst 20", "1/h burst 1", "0"] {
            assert_eq!(limit(text).to_string(), text);
        }
        assert_eq!(limit(" 20/s   burst 200 "), limit("20/s burst 200"));
        assert!(limit("0").is_off());
        for text in [
            "",
            "20",
            "20/s",
            "20/s burst",
            "20/s burst 0",
            "0/s burst 1",
            "-1/s burst 1",
            "20/d burst 1",
            "1000001/s burst 1",
            "1/s burst 1000001",
            "1/s burst 1 1",
            "off",
            "1.5/s burst 3",
        ] {
            assert_eq!(text.parse::<Limit>(), Err(InvalidLimit), "{text}");
        }
    }

    #[test]
    fn a_full_bucket_gives_its_burst_and_then_says_when_the_next_token_is_there() {
        let limit = limit("10/min burst 20");
        let mut bucket = None;
        let mut now = Duration::from_secs(1_000);
        assert_eq!(at_once(limit, 50, &mut bucket, now), 20);
        assert_eq!(limit.take(bucket, now), Err(Duration::from_secs(6)));
        now += Duration::from_secs(5);
        assert_eq!(limit.take(bucket, now), Err(Duration::from_secs(1)));
        now += Duration::from_secs(1);
        assert_eq!(at_once(limit, 50, &mut bucket, now), 1);
        now += Duration::from_secs(60);
        assert_eq!(at_once(limit, 50, &mut bucket, now), 10);
        // However long nobody comes: a full bucket holds no more than it holds.
        now += Duration::from_secs(86_400);
        assert_eq!(at_once(limit, 50, &mut bucket, now), 20);
    }

    #[test]
    fn what_is_switched_off_refuses_nobody() {
        let mut bucket = None;
        assert_eq!(
            at_once(Limit::OFF, 10_000, &mut bucket, Duration::ZERO),
            10_000
        );
    }

    proptest! {
        #[test]
        fn nobody_is_given_more_than_the_burst_and_what_the_time_brings(
            count in 1..1_000_u32,
            burst in 1..50_u32,
            gaps in proptest::collection::vec(0..200_u64, 1..200),
        ) {
            let limit = limit(&format!("{count}/s burst {burst}"));
            let (mut bucket, mut now, mut given) = (None, Duration::ZERO, 0_u128);
            for gap in gaps {
                now += Duration::from_millis(gap);
                match limit.take(bucket, now) {
                    Ok(after) => {
                        given += 1;
                        bucket = Some(after);
                    }
                    Err(wait) => {
                        // Who waits as long as told is admitted.
                        prop_assert!(limit.take(bucket, now + wait).is_ok());
                    }
                }
                let token = Duration::from_secs(1) / count;
                let most = u128::from(burst) + now.as_nanos() / token.as_nanos();
                prop_assert!(given <= most, "{given} of {most}");
            }
        }

        #[test]
        fn no_limit_that_can_be_set_and_no_moment_overflows(
            count in 1..=MOST,
            burst in 1..=MOST,
            per in prop_oneof![Just("s"), Just("min"), Just("h")],
            now in 0..u64::from(u32::MAX),
        ) {
            let limit = limit(&format!("{count}/{per} burst {burst}"));
            let now = Duration::from_secs(now);
            let full_at = limit.take(None, now).unwrap();
            prop_assert!(full_at > now);
            let _ = limit.take(Some(full_at), Duration::ZERO);
        }
    }
}
