//! What the process's log was told of lately: one trouble is one line in it, however many notice.

use std::{
    collections::HashMap,
    sync::{LazyLock, Mutex, PoisonError},
    time::{Duration, Instant},
};

/// For how long the same words are no news.
const LATELY: Duration = Duration::from_secs(60);
/// Most that is remembered: whatever has words of its own each time is told each time.
const MOST: usize = 100;

/// For all databases of the process, as its log is one.
static TOLD: LazyLock<News> = LazyLock::new(News::default);

/// Whether these words have not been told lately. From now on they have.
pub(super) fn is_news(words: &str) -> bool {
    TOLD.is_news(words, Instant::now())
}

#[derive(Debug, Default)]
struct News {
    told: Mutex<HashMap<String, Instant>>,
}

impl News {
    fn is_news(&self, words: &str, now: Instant) -> bool {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let lately = |at: &Instant| now.saturating_duration_since(*at) < LATELY;
        if told.get(words).is_some_and(lately) {
            return false;
        }
        if told.len() >= MOST {
            told.retain(|_, at| lately(at));
        }
        if told.len() < MOST {
            told.insert(words.to_owned(), now);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_words_are_told_once_a_minute() {
        let (news, now) = (News::default(), Instant::now());
        let later = |seconds| now + Duration::from_secs(seconds);
        assert!(news.is_news("it cannot be reached", now));
        assert!(!news.is_news("it cannot be reached", later(1)));
        assert!(news.is_news("its disk is full", later(1)));
        assert!(!news.is_news("it cannot be reached", later(59)));
        assert!(news.is_news("it cannot be reached", later(60)));
        assert!(!news.is_news("it cannot be reached", later(61)));
    }

    #[test]
    fn what_is_remembered_is_bounded_and_nothing_is_kept_back_for_it() {
        let (news, now) = (News::default(), Instant::now());
        for number in 0..2 * MOST {
            assert!(news.is_news(&number.to_string(), now));
        }
        assert_eq!(news.told.lock().unwrap().len(), MOST);
        assert!(!news.is_news("0", now), "still known");
        assert!(
            news.is_news("other", now + LATELY),
            "and there is room again"
        );
        assert_eq!(news.told.lock().unwrap().len(), 1);
    }
}
